//! Which credential signs in: the configured one, or the first of the default chain that works.
//!
//! The chain: a client secret from the environment (`AZURE_TENANT_ID`, `AZURE_CLIENT_ID`,
//! `AZURE_CLIENT_SECRET`), workload identity, managed identity, the Azure CLI, the Azure
//! Developer CLI. The first that works is kept: an exporter does not change who it is because one refresh failed. For the same
//! reason the chain ends at one that is set up but could reach nobody.

use std::sync::OnceLock;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::credential::{CLIENT_ID, Credential, Desk, TENANT_ID};
use super::environment::Environment;
use super::hints;
use super::sign_in::SignInError;
use super::token::{Token, TokenSource};
use super::transport::ClientError;
use crate::config::{AzureSettings, CredentialChoice, MachineIdentity, SecretSource};

/// Signs in as `azure.credential` says.
#[derive(Debug)]
pub(super) struct SignIn {
    desk: Desk,
    /// Set from the start unless the choice is the chain.
    kept: OnceLock<Credential>,
}

const CLIENT_SECRET: &str = "AZURE_CLIENT_SECRET";

impl SignIn {
    /// # Errors
    /// If a setting cannot be used, or names a variable that is not set: a process's environment
    /// does not change any more.
    pub fn new(settings: &AzureSettings, environment: Environment) -> Result<Self, ClientError> {
        let missing = |name: &str| ClientError::Variable(name.to_owned());
        let credential = match &settings.credential {
            CredentialChoice::Default => None,
            CredentialChoice::AzureCli => Some(Credential::AzureCli),
            CredentialChoice::AzureDeveloperCli => Some(Credential::AzureDeveloperCli),
            CredentialChoice::ManagedIdentity(identity) => {
                Some(Credential::ManagedIdentity(identity.clone()))
            }
            CredentialChoice::ClientCertificate {
                tenant_id,
                client_id,
                file,
            } => Some(Credential::ClientCertificate {
                tenant_id: tenant_id.clone(),
                client_id: client_id.clone(),
                file: file.clone(),
            }),
            CredentialChoice::WorkloadIdentity => {
                Some(Credential::workload_identity(&environment).map_err(missing)?)
            }
            CredentialChoice::ClientSecret {
                tenant_id,
                client_id,
                secret,
            } => {
                if let SecretSource::Env(name) = secret
                    && environment.get(name).is_none()
                {
                    return Err(missing(name));
                }
                Some(Credential::ClientSecret {
                    tenant_id: tenant_id.clone(),
                    client_id: client_id.clone(),
                    secret: secret.clone(),
                })
            }
        };
        Ok(Self {
            desk: Desk::new(settings, environment)?,
            kept: credential.map_or_else(OnceLock::new, OnceLock::from),
        })
    }

    async fn try_all(&self) -> Result<Token, SignInError> {
        let mut tried = Vec::new();
        let mut hint = None;
        for link in links(&self.desk.environment) {
            let credential = match link {
                Ok(credential) => credential,
                Err(skipped) => {
                    tried.push(skipped);
                    continue;
                }
            };
            match credential.sign_in(&self.desk).await {
                Ok(token) => {
                    tracing::info!(credential = credential.name(), "signed in");
                    // Sign-ins run one at a time, so nobody was faster.
                    let _ = self.kept.set(credential);
                    return Ok(token);
                }
                Err(error) => {
                    tried.push(error.to_string());
                    if matches!(
                        credential,
                        Credential::ManagedIdentity(_)
                            | Credential::AzureCli
                            | Credential::AzureDeveloperCli
                    ) {
                        continue;
                    }
                    // What was set up on purpose and fails is worth more advice than what is
                    // simply not there; and a network that is down for a moment must not make us
                    // somebody else for good.
                    hint = hint.or(error.hint());
                    if error.is_unreachable() {
                        tried.push("the others: not tried".into());
                        break;
                    }
                }
            }
        }
        let cause = format!("no credential works ({})", tried.join("; "));
        Err(SignInError::before("default", cause).with_hint(hint.or(Some(hints::NO_CREDENTIAL))))
    }
}

/// The chain's links in their order: a credential, or why it is skipped.
fn links(environment: &Environment) -> [Result<Credential, String>; 5] {
    let variable = |name| environment.get(name).ok_or(name);
    let from_environment = || {
        Ok(Credential::ClientSecret {
            tenant_id: variable(TENANT_ID)?,
            client_id: variable(CLIENT_ID)?,
            secret: variable(CLIENT_SECRET).map(|_| SecretSource::Env(CLIENT_SECRET.into()))?,
        })
    };
    let skipped = |name| move |missing: &str| format!("{name}: skipped, {missing} is not set");
    [
        from_environment().map_err(skipped("client_secret")),
        Credential::workload_identity(environment).map_err(skipped("workload_identity")),
        Ok(Credential::ManagedIdentity(
            environment
                .get(CLIENT_ID)
                .map_or(MachineIdentity::System, MachineIdentity::ClientId),
        )),
        Ok(Credential::AzureCli),
        Ok(Credential::AzureDeveloperCli),
    ]
}

impl TokenSource for SignIn {
    fn sign_in(&self) -> BoxFuture<'_, Result<Token, SignInError>> {
        match self.kept.get() {
            Some(credential) => credential.sign_in(&self.desk).boxed(),
            None => self.try_all().boxed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_skips_what_the_environment_does_not_describe() {
        let [secret, workload, managed, cli, developer_cli] = links(&Environment::of([
            (TENANT_ID, "t"),
            (CLIENT_ID, "c"),
            (CLIENT_SECRET, "s"),
        ]));
        assert_eq!(
            secret,
            Ok(Credential::ClientSecret {
                tenant_id: "t".into(),
                client_id: "c".into(),
                secret: SecretSource::Env(CLIENT_SECRET.into()),
            })
        );
        assert_eq!(
            workload,
            Err("workload_identity: skipped, AZURE_FEDERATED_TOKEN_FILE is not set".into())
        );
        assert_eq!(
            managed,
            Ok(Credential::ManagedIdentity(MachineIdentity::ClientId(
                "c".into()
            )))
        );
        assert_eq!(cli, Ok(Credential::AzureCli));
        assert_eq!(developer_cli, Ok(Credential::AzureDeveloperCli));

        let [secret, ..] = links(&Environment::of::<&str, &str>([]));
        assert_eq!(
            secret,
            Err("client_secret: skipped, AZURE_TENANT_ID is not set".into())
        );
    }
}
