//! From what was typed to what is meant: every rule of the configuration is here.

mod discover;
mod filters;
mod otlp;

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;
use serde_saphyr::Spanned;

use super::problem::{Problem, Problems};
use super::settings::{
    AzureSettings, BudgetSettings, CredentialChoice, Endpoints, Limits, Located, MachineIdentity,
    SecretSource, Settings, Workspace, WorkspaceId,
};
use super::{raw, yaml};

/// The packs of a configuration that names none.
const DEFAULT_PACKS: [&str; 3] = ["vm", "threats", "feed"];

impl Settings {
    /// Reads the configuration file. Paths in it are relative to its folder.
    ///
    /// # Errors
    /// All problems at once, each with its line.
    pub fn load(file: &Path) -> Result<Self, Problems> {
        let text = super::read_text(file)
            .map_err(|error| Problems(vec![Problem::new(file, None, error)]))?;
        Self::from_yaml(file, &text)
    }

    /// As [`Settings::load`], from the file's text.
    ///
    /// # Errors
    /// All problems at once, each with its line.
    pub fn from_yaml(file: &Path, text: &str) -> Result<Self, Problems> {
        let (settings, problems) =
            Self::read(file, text).map_err(|problem| Problems(vec![problem]))?;
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(Problems(problems))
        }
    }

    /// As [`Settings::from_yaml`], but reads on past broken rules: with problems, the settings hold
    /// stand-ins and serve only to look for more of them.
    ///
    /// # Errors
    /// If the text is no YAML of the documented shape.
    pub fn read(file: &Path, text: &str) -> Result<(Self, Vec<Problem>), Problem> {
        Self::read_with(file, text, &|name| std::env::var(name).ok())
    }

    /// As [`Settings::read`], with `variables` as the environment.
    ///
    /// # Errors
    /// If the text is no YAML of the documented shape.
    pub fn read_with(
        file: &Path,
        text: &str,
        variables: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(Self, Vec<Problem>), Problem> {
        let raw: raw::Config = yaml::from_text(file, text)?;
        let mut reader = Reader {
            file,
            folder: file.parent().unwrap_or(Path::new("")),
            variables,
            problems: Vec::new(),
        };
        let settings = reader.settings(raw);
        Ok((settings, reader.problems))
    }
}

/// Collects problems while it reads on with a stand-in, so that one run finds all of them.
struct Reader<'a> {
    file: &'a Path,
    folder: &'a Path,
    variables: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn problem(&mut self, line: Option<u32>, text: impl std::fmt::Display) {
        self.add(Problem::new(self.file, line, text));
    }

    /// What is read for two purposes is wrong once.
    fn add(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn settings(&mut self, raw: raw::Config) -> Settings {
        Settings {
            azure: self.azure(raw.azure.unwrap_or_default()),
            workspaces: self.workspaces(raw.workspaces, raw.discover.is_some()),
            discover: raw.discover.map(|discover| self.discover(discover)),
            packs: raw.packs.map_or_else(
                || {
                    DEFAULT_PACKS
                        .map(|pack| Located::new(pack.to_owned(), None))
                        .into()
                },
                |packs| packs.into_iter().map(located).collect(),
            ),
            queries_dir: raw.queries_dir.map(|dir| {
                let dir = located(dir);
                Located::new(self.folder.join(dir.value), dir.line)
            }),
            state: raw.state.map(|state| self.folder.join(state.path)),
            limits: self.limits(raw.limits.unwrap_or_default()),
            filters: self.filters(raw.filters.unwrap_or_default()),
            otlp: self.otlp(raw.otlp),
        }
    }

    fn azure(&mut self, raw: raw::Azure) -> AzureSettings {
        AzureSettings {
            endpoints: match raw.cloud {
                None => Endpoints::public(),
                Some(raw::Cloud::Named(raw::CloudName::Public)) => Endpoints::public(),
                Some(raw::Cloud::Named(raw::CloudName::Usgov)) => Endpoints::us_government(),
                Some(raw::Cloud::Named(raw::CloudName::China)) => Endpoints::china(),
                Some(raw::Cloud::Custom(cloud)) => {
                    self.custom_cloud(*cloud, raw.allow_http_on_loopback)
                }
            },
            credential: self.credential(raw.credential.unwrap_or(raw::Credential::Default)),
            ca_file: raw.ca_file.map(|file| self.folder.join(file)),
            proxy: raw.proxy.and_then(|proxy| {
                let rule = proxy_rule(&proxy.value);
                rule.map_err(|rule| self.problem(yaml::line(&proxy), rule))
                    .ok()
            }),
            allow_http_on_loopback: raw.allow_http_on_loopback,
            budget: self.budget(raw.requests_per_30s, raw.concurrent_requests),
        }
    }

    fn budget(
        &mut self,
        requests: Option<Spanned<i64>>,
        at_once: Option<Spanned<i64>>,
    ) -> BudgetSettings {
        let default = BudgetSettings::default();
        let mut count = |key: &str, written: Option<Spanned<i64>>, default, most| {
            let Some(written) = written else {
                return default;
            };
            let count = usize::try_from(written.value).ok();
            count
                .filter(|count| (1..=most).contains(count))
                .unwrap_or_else(|| {
                    let rule = format!("{key} {} must be from 1 to {most}", written.value);
                    self.problem(yaml::line(&written), rule);
                    default
                })
        };
        BudgetSettings {
            requests_per_30s: count(
                "azure.requests_per_30s",
                requests,
                default.requests_per_30s,
                100_000,
            ),
            concurrent_requests: count(
                "azure.concurrent_requests",
                at_once,
                default.concurrent_requests,
                1_000,
            ),
        }
    }

    fn custom_cloud(&mut self, cloud: raw::CustomCloud, http_on_loopback: bool) -> Endpoints {
        let public = Endpoints::public();
        if cloud.audience.value.trim().is_empty() {
            let line = yaml::line(&cloud.audience);
            self.problem(line, "azure.cloud.audience must not be empty");
        }
        Endpoints {
            logs: match loopback_http(&cloud.logs.value) {
                Some(url) if http_on_loopback => url,
                Some(_) => {
                    let rule = format!(
                        "azure.cloud.logs {:?} is plain http, by which tokens travel unencrypted; on this machine itself azure.allow_http_on_loopback: true allows it",
                        cloud.logs.value
                    );
                    self.problem(yaml::line(&cloud.logs), rule);
                    public.logs.clone()
                }
                None => self.endpoint("azure.cloud.logs", &cloud.logs, &public.logs),
            },
            audience: cloud.audience.value.trim_end_matches('/').to_owned(),
            authority: self.endpoint("azure.cloud.authority", &cloud.authority, &public.authority),
            resource_manager: cloud.resource_manager.map_or_else(
                || public.resource_manager.clone(),
                |url| {
                    self.endpoint(
                        "azure.cloud.resource_manager",
                        &url,
                        &public.resource_manager,
                    )
                },
            ),
        }
    }

    /// Tokens travel there, so it is `https` or nothing.
    fn endpoint(&mut self, key: &str, text: &Spanned<String>, otherwise: &Url) -> Url {
        match Url::parse(&text.value) {
            Ok(url) if url.scheme() == "https" && is_base(&url) => url,
            _ => {
                // What stands before an @ may be a password.
                let value = if text.value.contains('@') {
                    "…@…"
                } else {
                    &text.value
                };
                let rule = format!(
                    "{key} {value:?} must be an https URL without a user or path, such as {otherwise}"
                );
                self.problem(yaml::line(text), rule);
                otherwise.clone()
            }
        }
    }

    fn credential(&mut self, raw: raw::Credential) -> CredentialChoice {
        match raw {
            raw::Credential::Default => CredentialChoice::Default,
            raw::Credential::AzureCli => CredentialChoice::AzureCli,
            raw::Credential::AzureDeveloperCli => CredentialChoice::AzureDeveloperCli,
            raw::Credential::ManagedIdentity(identity) => {
                CredentialChoice::ManagedIdentity(self.machine_identity(identity))
            }
            raw::Credential::WorkloadIdentity(_) => CredentialChoice::WorkloadIdentity,
            raw::Credential::ClientSecret(secret) => {
                let line = yaml::line(&secret.client_id);
                self.application("client_secret", &secret.tenant_id, &secret.client_id);
                let source = match (secret.secret_file, secret.secret_env) {
                    (Some(file), None) => SecretSource::File(self.folder.join(file)),
                    (None, Some(variable)) => SecretSource::Env(variable),
                    _ => {
                        self.problem(line, "client_secret needs one of secret_file and secret_env: where the secret is, not the secret");
                        SecretSource::File(PathBuf::new())
                    }
                };
                CredentialChoice::ClientSecret {
                    tenant_id: secret.tenant_id.value,
                    client_id: secret.client_id.value,
                    secret: source,
                }
            }
            raw::Credential::ClientCertificate(certificate) => {
                let (tenant_id, client_id) = (certificate.tenant_id, certificate.client_id);
                self.application("client_certificate", &tenant_id, &client_id);
                CredentialChoice::ClientCertificate {
                    tenant_id: tenant_id.value,
                    client_id: client_id.value,
                    file: self.folder.join(certificate.certificate_file),
                }
            }
        }
    }

    fn application(
        &mut self,
        kind: &str,
        tenant_id: &Spanned<String>,
        client_id: &Spanned<String>,
    ) {
        for (key, value) in [("tenant_id", tenant_id), ("client_id", client_id)] {
            if value.value.trim().is_empty() {
                self.problem(yaml::line(value), format!("{kind}.{key} must not be empty"));
            }
        }
    }

    fn machine_identity(&mut self, raw: raw::ManagedIdentity) -> MachineIdentity {
        let ids = [
            (raw.client_id, MachineIdentity::ClientId as fn(String) -> _),
            (raw.object_id, MachineIdentity::ObjectId),
            (raw.resource_id, MachineIdentity::ResourceId),
        ];
        let mut given = ids.into_iter().filter_map(|(id, kind)| Some((id?, kind)));
        let Some((id, kind)) = given.next() else {
            return MachineIdentity::System;
        };
        if let Some((second, _)) = given.next() {
            self.problem(
                yaml::line(&second),
                "managed_identity takes one of client_id, object_id and resource_id",
            );
        }
        if id.value.trim().is_empty() {
            self.problem(yaml::line(&id), "managed_identity's id must not be empty");
        }
        kind(id.value)
    }

    fn workspaces(&mut self, raw: Vec<raw::Workspace>, may_be_empty: bool) -> Vec<Workspace> {
        if raw.is_empty() && !may_be_empty {
            self.problem(
                None,
                "workspaces must list at least one, as {id: GUID, name: NAME}, or discover must say where to find them",
            );
        }
        let mut ids = HashSet::new();
        let mut names = HashSet::new();
        let mut workspaces = Vec::new();
        for workspace in raw {
            let line = yaml::line(&workspace.id);
            let id: WorkspaceId = match workspace.id.value.parse() {
                Ok(id) => id,
                Err(error) => {
                    self.problem(line, error);
                    continue;
                }
            };
            let name = workspace
                .name
                .map_or_else(|| id.to_string(), |name| name.value);
            if name.trim().is_empty() {
                self.problem(
                    line,
                    format!("the name of workspace {id} must not be empty"),
                );
            }
            if !ids.insert(id.clone()) {
                self.problem(line, format!("workspace id {id} is listed twice"));
            }
            if !names.insert(name.clone()) {
                self.problem(
                    line,
                    format!("workspace name {name:?} is listed twice; names tell series apart"),
                );
            }
            workspaces.push(Workspace {
                id,
                name: name.into(),
            });
        }
        workspaces
    }

    fn length(
        &mut self,
        key: &str,
        text: Option<Spanned<String>>,
        least_seconds: u64,
    ) -> Option<Duration> {
        let text = text?;
        yaml::duration(key, &text.value, Duration::from_secs(least_seconds))
            .map_err(|rule| self.problem(yaml::line(&text), rule))
            .ok()
    }

    fn limits(&mut self, raw: raw::Limits) -> Limits {
        Limits {
            max_series: raw.max_series.and_then(|max| {
                let valid = usize::try_from(max.value).ok().filter(|max| *max > 0);
                if valid.is_none() {
                    self.problem(
                        yaml::line(&max),
                        format!("limits.max_series {} must be 1 or more", max.value),
                    );
                }
                valid
            }),
            stale_after: self.length("limits.stale_after", raw.stale_after, 1),
            expire_after: self.length("limits.expire_after", raw.expire_after, 60),
            catch_up: self.length("limits.catch_up", raw.catch_up, 60),
        }
    }
}

/// Whether it is a host and no more.
fn is_base(url: &Url) -> bool {
    url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
        && url.path() == "/"
        && url.query().is_none()
}

/// The address, if it is on this machine and plain http, which the logs endpoint alone may be.
fn loopback_http(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (url.scheme() == "http" && is_base(&url) && is_loopback(&url)).then_some(url)
}

/// Whether no request to it leaves this machine: `localhost`, or an address that is one.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The rule's text never repeats the value: it may hold a password.
fn proxy_rule(text: &str) -> Result<Url, &'static str> {
    match Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") => {
            Err("azure.proxy must begin with http://, https://, socks5:// or socks5h://")
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => Err(
            "azure.proxy must not hold a user or password; give those in the environment, as HTTPS_PROXY",
        ),
        Ok(url) => Ok(url),
        Err(_) => Err("azure.proxy must be a URL such as http://proxy.example:3128"),
    }
}

fn located<T>(spanned: Spanned<T>) -> Located<T> {
    let line = yaml::line(&spanned);
    Located::new(spanned.value, line)
}
