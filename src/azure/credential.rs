//! One way to sign in, tried once: each sign-in reads its secret anew, because files rotate.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientMethodOptions, ClientOptions, RetryOptions, Transport};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, AzureDeveloperCliCredential,
    AzureDeveloperCliCredentialOptions, ClientAssertion, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    Executor, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};
use jiff::Timestamp;

use super::assertion::Signer;
use super::environment::Environment;
use super::hints;
use super::sign_in::SignInError;
use super::token::Token;
use super::token_endpoint::TokenTransport;
use super::transport::{ClientError, azure_client, metadata_client};
use crate::config::{AzureSettings, MachineIdentity, Secret, SecretSource};

/// A way to sign in. Credentials of `azure_identity` are made for one sign-in and dropped: they
/// cache tokens by themselves, and would give back the very one that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Credential {
    ClientSecret {
        tenant_id: String,
        client_id: String,
        secret: SecretSource,
    },
    /// A token of Kubernetes (or another issuer that the application trusts), in a file.
    WorkloadIdentity {
        tenant_id: String,
        client_id: String,
        token_file: PathBuf,
    },
    /// A certificate and its key, in a file.
    ClientCertificate {
        tenant_id: String,
        client_id: String,
        file: PathBuf,
    },
    ManagedIdentity(MachineIdentity),
    AzureCli,
    AzureDeveloperCli,
}

/// The variables that workload identity's webhook sets.
pub(super) const TENANT_ID: &str = "AZURE_TENANT_ID";
pub(super) const CLIENT_ID: &str = "AZURE_CLIENT_ID";
pub(super) const FEDERATED_TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";

impl Credential {
    /// Its name, as in the configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ClientSecret { .. } => "client_secret",
            Self::WorkloadIdentity { .. } => "workload_identity",
            Self::ClientCertificate { .. } => "client_certificate",
            Self::ManagedIdentity(_) => "managed_identity",
            Self::AzureCli => "azure_cli",
            Self::AzureDeveloperCli => "azure_developer_cli",
        }
    }

    /// Workload identity as the environment describes it; else the variable that is missing.
    pub fn workload_identity(environment: &Environment) -> Result<Self, &'static str> {
        let variable = |name| environment.get(name).ok_or(name);
        Ok(Self::WorkloadIdentity {
            tenant_id: variable(TENANT_ID)?,
            client_id: variable(CLIENT_ID)?,
            token_file: variable(FEDERATED_TOKEN_FILE)?.into(),
        })
    }

    /// Asks for a token.
    pub async fn sign_in(&self, desk: &Desk) -> Result<Token, SignInError> {
        match self {
            Self::ClientSecret {
                tenant_id,
                client_id,
                secret,
            } => {
                let secret = self.named(desk.read_secret(secret).await)?;
                let credential = ClientSecretCredential::new(
                    tenant_id,
                    client_id.clone(),
                    secret.expose().to_owned().into(),
                    Some(ClientSecretCredentialOptions {
                        client_options: desk.options(&desk.remote),
                    }),
                );
                let host = Some(desk.authority_host.as_str());
                self.ask(desk, credential, host, secret.expose()).await
            }
            Self::WorkloadIdentity {
                tenant_id,
                client_id,
                token_file,
            } => {
                let assertion = self.named(read_file(token_file).await)?;
                self.assert(desk, tenant_id, client_id, assertion).await
            }
            Self::ClientCertificate {
                tenant_id,
                client_id,
                file,
            } => {
                let pem = self.named(read_bytes(file).await)?;
                let audience = desk.token_endpoint(tenant_id);
                let assertion = Signer::from_pem(&pem)
                    .and_then(|signer| signer.assertion(client_id, &audience, Timestamp::now()));
                let wrong = |problem| format!("{} {problem}", file.display());
                let assertion = self.named(assertion.map_err(wrong))?;
                self.assert(desk, tenant_id, client_id, assertion).await
            }
            Self::ManagedIdentity(identity) => {
                let credential =
                    ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                        user_assigned_id: match identity.clone() {
                            MachineIdentity::System => None,
                            MachineIdentity::ClientId(id) => Some(UserAssignedId::ClientId(id)),
                            MachineIdentity::ObjectId(id) => Some(UserAssignedId::ObjectId(id)),
                            MachineIdentity::ResourceId(id) => Some(UserAssignedId::ResourceId(id)),
                        },
                        client_options: desk.options(&desk.metadata),
                    }));
                let host = Some("the metadata service");
                let asked = self.ask(desk, credential, host, "").await;
                asked.map_err(|error| {
                    let unreachable = error.is_unreachable();
                    let hint = unreachable.then_some(hints::NO_MANAGED_IDENTITY_HERE);
                    let hint = hint.or(error.hint());
                    error.with_hint(hint)
                })
            }
            Self::AzureCli => {
                let credential = AzureCliCredential::new(Some(AzureCliCredentialOptions {
                    executor: Some(Arc::new(CommandLine(desk.environment.clone()))),
                    ..Default::default()
                }));
                let asked = self.ask(desk, credential, None, "").await;
                let hints = (hints::NO_AZURE_CLI, hints::AZURE_CLI_LOGIN);
                asked.map_err(|error| of_a_command(error, "az login", hints))
            }
            Self::AzureDeveloperCli => {
                let credential =
                    AzureDeveloperCliCredential::new(Some(AzureDeveloperCliCredentialOptions {
                        executor: Some(Arc::new(CommandLine(desk.environment.clone()))),
                        ..Default::default()
                    }));
                let asked = self.ask(desk, credential, None, "").await;
                let hints = (
                    hints::NO_AZURE_DEVELOPER_CLI,
                    hints::AZURE_DEVELOPER_CLI_LOGIN,
                );
                asked.map_err(|error| of_a_command(error, "azd auth login", hints))
            }
        }
    }

    /// Sends an assertion. Not by azure_identity's own WorkloadIdentityCredential: that one reads
    /// the file itself, and then nobody could take its contents out of an error.
    async fn assert(
        &self,
        desk: &Desk,
        tenant_id: &str,
        client_id: &str,
        assertion: Secret,
    ) -> Result<Token, SignInError> {
        let credential = ClientAssertionCredential::new(
            tenant_id.to_owned(),
            client_id.to_owned(),
            Assertion(assertion.clone()),
            Some(ClientAssertionCredentialOptions {
                client_options: desk.options(&desk.remote),
            }),
        );
        let host = Some(desk.authority_host.as_str());
        self.ask(desk, credential, host, assertion.expose()).await
    }

    async fn ask<C: TokenCredential>(
        &self,
        desk: &Desk,
        credential: azure_core::Result<Arc<C>>,
        host: Option<&str>,
        secret: &str,
    ) -> Result<Token, SignInError> {
        let failed = |error| SignInError::from_azure(self.name(), host, &error, secret);
        let credential = credential.map_err(failed)?;
        let token = credential.get_token(&[&desk.scope], None).await;
        self.named(Token::new(&token.map_err(failed)?).map_err(str::to_owned))
    }

    fn named<T>(&self, result: Result<T, String>) -> Result<T, SignInError> {
        result.map_err(|cause| SignInError::before(self.name(), cause))
    }
}

/// What a sign-in by an installed command lacked: the command itself, or that somebody signs in.
fn of_a_command(
    error: SignInError,
    sign_in: &str,
    (missing, signed_out): (&'static str, &'static str),
) -> SignInError {
    let text = error.to_string();
    let hint = if text.contains("not found on PATH") {
        Some(missing)
    } else {
        text.contains(sign_in).then_some(signed_out)
    };
    error.with_hint(hint)
}

/// What every sign-in needs: where, for what, and by which clients.
#[derive(Debug)]
pub(super) struct Desk {
    pub environment: Environment,
    scope: String,
    authority: reqwest::Url,
    authority_host: String,
    cloud: Arc<CloudConfiguration>,
    remote: Arc<TokenTransport>,
    metadata: Arc<TokenTransport>,
}

/// Moves the metadata service elsewhere; Azure's other SDKs know it by this name as well.
const METADATA_ADDRESS: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";

impl Desk {
    pub fn new(settings: &AzureSettings, environment: Environment) -> Result<Self, ClientError> {
        let endpoints = &settings.endpoints;
        let mut cloud = CustomConfiguration::default();
        cloud.authority_host = endpoints.authority.as_str().into();
        let metadata_address = environment
            .get(METADATA_ADDRESS)
            .map(|address| address.parse())
            .transpose()
            .map_err(|source| ClientError::VariableUrl {
                name: METADATA_ADDRESS,
                source,
            })?;
        Ok(Self {
            environment,
            scope: format!("{}/.default", endpoints.audience),
            authority: endpoints.authority.clone(),
            authority_host: host_of(&endpoints.authority),
            cloud: Arc::new(cloud.into()),
            remote: Arc::new(TokenTransport::new(azure_client(settings)?, None)),
            metadata: Arc::new(TokenTransport::new(
                metadata_client(settings)?,
                metadata_address,
            )),
        })
    }

    fn options(&self, transport: &Arc<TokenTransport>) -> ClientOptions {
        ClientOptions {
            transport: Some(Transport::new(Arc::clone(transport) as Arc<_>)),
            retry: RetryOptions::none(),
            cloud: Some(Arc::clone(&self.cloud)),
            ..Default::default()
        }
    }

    /// As an assertion names it.
    fn token_endpoint(&self, tenant_id: &str) -> String {
        format!("{}{tenant_id}/oauth2/v2.0/token", self.authority)
    }

    async fn read_secret(&self, source: &SecretSource) -> Result<Secret, String> {
        match source {
            SecretSource::File(path) => read_file(path).await,
            SecretSource::Env(name) => self
                .environment
                .get(name)
                .map(Secret::new)
                .ok_or_else(|| format!("the environment variable {name} is not set")),
        }
    }
}

/// Host and, unless it is https' own, port.
pub(super) fn host_of(url: &reqwest::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// A file's text without the line break at its end, which editors and `echo` leave there.
async fn read_file(path: &Path) -> Result<Secret, String> {
    let text = tokio::fs::read_to_string(path)
        .await
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(format!("{} is empty", path.display())),
        secret => Ok(Secret::new(secret)),
    }
}

/// A file's bytes; what is no text may be a certificate in another form.
async fn read_bytes(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, String> {
    let bytes = tokio::fs::read(path).await;
    bytes
        .map(zeroize::Zeroizing::new)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))
}

#[derive(Debug)]
struct Assertion(Secret);

#[async_trait::async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(self.0.expose().to_owned())
    }
}

/// Runs `az` or `azd`, and ends it with the sign-in that wanted it.
#[derive(Debug)]
struct CommandLine(Environment);

#[async_trait::async_trait]
impl Executor for CommandLine {
    async fn run(&self, program: &OsStr, args: &[&OsStr]) -> std::io::Result<Output> {
        let mut command = tokio::process::Command::new(program);
        command.args(args).stdin(Stdio::null()).kill_on_drop(true);
        if let Some(path) = self.0.get("PATH") {
            command.env("PATH", path);
        }
        command.output().await
    }
}
