//! The settings as a person may see them: what is meant, without a secret and without a path.

use std::path::Path;

use reqwest::Url;
use std::time::Duration;

use super::discover::{Choice, DiscoverSettings};
use super::filters::{FilterSettings, Glob};
use super::otlp::{OtlpCompression, OtlpConnection, OtlpMetrics, OtlpSettings, OtlpTraces};
use super::settings::{
    AzureSettings, BudgetSettings, CredentialChoice, Endpoints, Limits, MachineIdentity,
    SecretSource, Settings, Workspace,
};

impl Settings {
    /// The settings as keys of the configuration file and what they mean here, in the file's order.
    /// Where a secret is read from is said by the file's or the variable's name alone; of paths, only
    /// the last name: a stranger may see them.
    pub fn masked(&self) -> Vec<(String, String)> {
        // By name, so that a new setting does not compile until somebody has thought of it here.
        let Self {
            azure,
            workspaces,
            discover,
            packs,
            queries_dir,
            state,
            limits,
            filters,
            otlp,
        } = self;
        let mut pairs = Pairs(Vec::new());
        pairs.azure(azure);
        pairs.workspaces(workspaces);
        if let Some(discover) = discover {
            pairs.discover(discover);
        }
        let packs: Vec<&str> = packs.iter().map(|pack| pack.value.as_str()).collect();
        pairs.add("packs", or_none(packs.join(", ")));
        let folder = queries_dir.as_ref().map(|folder| name(&folder.value));
        pairs.add("queries_dir", folder.unwrap_or_else(|| "none".into()));
        let state = state.as_ref().map(|folder| name(folder));
        pairs.add("state", state.unwrap_or_else(|| "in memory".into()));
        pairs.limits(limits);
        pairs.filters(filters);
        pairs.otlp(otlp.as_ref());
        pairs.0
    }
}

struct Pairs(Vec<(String, String)>);

impl Pairs {
    fn add(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.push((key.into(), value.into()));
    }

    fn azure(&mut self, settings: &AzureSettings) {
        let AzureSettings {
            endpoints,
            credential,
            ca_file,
            proxy,
            allow_http_on_loopback,
            budget,
        } = settings;
        self.add("azure.cloud", cloud(endpoints));
        self.add("azure.cloud.logs", address(&endpoints.logs));
        self.add("azure.cloud.audience", &*endpoints.audience);
        self.add("azure.cloud.authority", address(&endpoints.authority));
        let manager = address(&endpoints.resource_manager);
        self.add("azure.cloud.resource_manager", manager);
        self.credential(credential);
        let ca_file = ca_file
            .as_deref()
            .map(|file| format!("file {}", name(file)));
        self.add(
            "azure.ca_file",
            ca_file.unwrap_or_else(|| "none, the system's roots alone".into()),
        );
        let proxy = proxy.as_ref().map(address);
        self.add(
            "azure.proxy",
            proxy.unwrap_or_else(|| "as the environment says".into()),
        );
        self.add(
            "azure.allow_http_on_loopback",
            allow_http_on_loopback.to_string(),
        );
        let BudgetSettings {
            requests_per_30s,
            concurrent_requests,
        } = budget;
        self.add("azure.requests_per_30s", requests_per_30s.to_string());
        self.add("azure.concurrent_requests", concurrent_requests.to_string());
    }

    fn discover(&mut self, settings: &DiscoverSettings) {
        let DiscoverSettings {
            subscriptions,
            include,
            exclude,
            interval,
            allow_empty,
            tag_labels,
        } = settings;
        self.add("discover.subscriptions", subscriptions.join(", "));
        for (key, choices, otherwise) in [
            ("discover.include", include, "all"),
            ("discover.exclude", exclude, "none"),
        ] {
            let choices: Vec<String> = choices.iter().map(choice).collect();
            let text = choices.join(", ");
            self.add(
                key,
                if text.is_empty() {
                    otherwise.into()
                } else {
                    text
                },
            );
        }
        let every = humantime::format_duration(*interval);
        self.add("discover.interval", every.to_string());
        self.add("discover.allow_empty", allow_empty.to_string());
        self.add("discover.tag_labels", or_none(tag_labels.join(", ")));
    }

    fn credential(&mut self, credential: &CredentialChoice) {
        let key = "azure.credential";
        match credential {
            CredentialChoice::Default => {
                self.add(key, "default (the first that the environment has)");
            }
            CredentialChoice::AzureCli => self.add(key, "azure_cli"),
            CredentialChoice::WorkloadIdentity => self.add(key, "workload_identity"),
            CredentialChoice::AzureDeveloperCli => self.add(key, "azure_developer_cli"),
            CredentialChoice::ManagedIdentity(identity) => {
                self.add(key, "managed_identity");
                let (name, id) = match identity {
                    MachineIdentity::System => ("client_id", "none, the system's identity"),
                    MachineIdentity::ClientId(id) => ("client_id", &**id),
                    MachineIdentity::ObjectId(id) => ("object_id", &**id),
                    MachineIdentity::ResourceId(id) => ("resource_id", &**id),
                };
                self.add(format!("{key}.{name}"), id);
            }
            CredentialChoice::ClientCertificate {
                tenant_id,
                client_id,
                file,
            } => {
                self.add(key, "client_certificate");
                self.add(format!("{key}.tenant_id"), &**tenant_id);
                self.add(format!("{key}.client_id"), &**client_id);
                self.add(
                    format!("{key}.certificate"),
                    format!("from file {}", name(file)),
                );
            }
            CredentialChoice::ClientSecret {
                tenant_id,
                client_id,
                secret,
            } => {
                self.add(key, "client_secret");
                self.add(format!("{key}.tenant_id"), &**tenant_id);
                self.add(format!("{key}.client_id"), &**client_id);
                let secret = match secret {
                    SecretSource::File(file) => format!("from file {}", name(file)),
                    SecretSource::Env(variable) => format!("from variable {variable}"),
                };
                self.add(format!("{key}.secret"), secret);
            }
        }
    }

    fn workspaces(&mut self, workspaces: &[Workspace]) {
        for workspace in workspaces {
            self.add(
                format!("workspaces.{}", workspace.name),
                workspace.id.to_string(),
            );
        }
    }

    fn otlp(&mut self, settings: Option<&OtlpSettings>) {
        let Some(OtlpSettings {
            metrics,
            traces,
            resource,
        }) = settings
        else {
            return self.add("otlp", "none");
        };
        if let Some(OtlpMetrics {
            connection,
            interval,
        }) = metrics
        {
            let every = humantime::format_duration(*interval);
            self.add(
                "otlp metrics",
                format!("every {every} to {}", receiver(connection)),
            );
        }
        if let Some(OtlpTraces { connection, ratio }) = traces {
            self.add(
                "otlp traces",
                format!("{ratio} of all to {}", receiver(connection)),
            );
        }
        for (key, value) in resource {
            self.add(format!("otlp resource {key}"), &**value);
        }
    }

    fn limits(&mut self, limits: &Limits) {
        let Limits {
            max_series,
            stale_after,
            expire_after,
            catch_up,
        } = limits;
        let otherwise = || "as each definition says".to_owned();
        let series = max_series.map(|most| most.to_string());
        self.add("limits.max_series", series.unwrap_or_else(otherwise));
        let length = |length: &Option<Duration>| {
            length.map(|length| humantime::format_duration(length).to_string())
        };
        let (stale, expire) = (length(stale_after), length(expire_after));
        let catch_up = length(catch_up);
        self.add("limits.stale_after", stale.unwrap_or_else(otherwise));
        self.add("limits.expire_after", expire.unwrap_or_else(otherwise));
        self.add("limits.catch_up", catch_up.unwrap_or_else(otherwise));
    }

    /// Of the addresses only how many: an attacker would use one of them.
    fn filters(&mut self, filters: &FilterSettings) {
        let FilterSettings {
            min_severity,
            min_confidence_percent,
            allowed_addresses,
            exclude_disks,
        } = filters;
        self.add("filters.min_severity", min_severity.to_string());
        self.add(
            "filters.min_confidence_percent",
            min_confidence_percent.to_string(),
        );
        let addresses = match allowed_addresses.len() {
            0 => "none".to_owned(),
            count => format!("{count} listed"),
        };
        self.add("filters.allowed_addresses", addresses);
        let disks: Vec<&str> = exclude_disks.iter().map(Glob::as_str).collect();
        self.add("filters.exclude_disks", or_none(disks.join(", ")));
    }
}

fn cloud(endpoints: &Endpoints) -> &'static str {
    let named = [
        ("public", Endpoints::public()),
        ("usgov", Endpoints::us_government()),
        ("china", Endpoints::china()),
    ];
    let found = named.iter().find(|(_, known)| known == endpoints);
    found.map_or("custom", |(name, _)| name)
}

fn choice(choice: &Choice) -> String {
    match choice {
        Choice::Name(name) => format!("name {name}"),
        Choice::Id(id) => format!("id {id}"),
        Choice::ResourceGroup(group) => format!("resource_group {group}"),
        Choice::Tag { name, value } => format!("tag {name}={value}"),
    }
}

/// Where a signal goes and how; of the headers, which may hold a secret, the names.
fn receiver(connection: &OtlpConnection) -> String {
    let OtlpConnection {
        endpoint,
        protocol,
        compression,
        timeout,
        headers,
        ca_file,
    } = connection;
    let mut text = format!(
        "{} by {protocol}, {}, within {}",
        address(endpoint),
        match compression {
            OtlpCompression::Gzip => "gzip",
            OtlpCompression::None => "uncompressed",
        },
        humantime::format_duration(*timeout),
    );
    if !headers.is_empty() {
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        text.push_str(&format!(", headers {}", names.join(", ")));
    }
    if let Some(file) = ca_file {
        text.push_str(&format!(", trusting file {}", name(file)));
    }
    text
}

/// Scheme, host and port: a user, a password or a query does not get out this way, whatever the
/// rules of loading let in.
fn address(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}"));
    format!("{}://{host}{}", url.scheme(), port.unwrap_or_default())
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(yaml: &str) -> String {
        let settings = Settings::from_yaml(Path::new("/etc/vm/exporter.yaml"), yaml).unwrap();
        let pairs = settings.masked().into_iter();
        pairs
            .map(|(key, value)| format!("{key}: {value}\n"))
            .collect()
    }

    const WORKSPACES: &str =
        "workspaces: [{id: 00000000-0000-0000-0000-000000000001, name: prod}]\n";

    #[test]
    fn a_secret_s_place_is_named_and_no_folder() {
        let text = masked(&format!(
            "{WORKSPACES}azure:
  credential: {{client_secret: {{tenant_id: t-1, client_id: c-1, secret_file: /run/secrets/azure}}}}
  ca_file: corp/ca.pem
  proxy: http://proxy.example:3128
packs: [vm]
queries_dir: mine
limits: {{max_series: 500, stale_after: 10m}}
"
        ));
        assert_eq!(
            text,
            "azure.cloud: public
azure.cloud.logs: https://api.loganalytics.azure.com
azure.cloud.audience: https://api.loganalytics.io
azure.cloud.authority: https://login.microsoftonline.com
azure.cloud.resource_manager: https://management.azure.com
azure.credential: client_secret
azure.credential.tenant_id: t-1
azure.credential.client_id: c-1
azure.credential.secret: from file azure
azure.ca_file: file ca.pem
azure.proxy: http://proxy.example:3128
azure.allow_http_on_loopback: false
azure.requests_per_30s: 180
azure.concurrent_requests: 4
workspaces.prod: 00000000-0000-0000-0000-000000000001
packs: vm
queries_dir: mine
state: in memory
limits.max_series: 500
limits.stale_after: 10m
limits.expire_after: as each definition says
limits.catch_up: as each definition says
filters.min_severity: 0
filters.min_confidence_percent: 0
filters.allowed_addresses: none
filters.exclude_disks: /snap, /snap/*, /run/*, /var/lib/docker/*, /var/lib/containerd/*, /var/lib/containers/*, /var/lib/kubelet/*
otlp: none
"
        );
    }

    #[test]
    fn of_otlp_headers_only_the_names_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("headers");
        std::fs::write(&file, "Authorization: Bearer hunter2\n").unwrap();
        let text = masked(&format!(
            "{WORKSPACES}otlp: {{endpoint: 'https://collector.example:4318', headers_file: '{}', interval: 30s, traces: {{ratio: 0.1}}}}\n",
            file.display()
        ));
        assert!(!text.contains("hunter2"), "{text}");
        for line in [
            "otlp metrics: every 30s to https://collector.example:4318 by http/protobuf, gzip, within 10s, headers authorization\n",
            "otlp traces: 0.1 of all to https://collector.example:4318 by http/protobuf, gzip, within 10s, headers authorization\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn what_is_not_set_is_said_too() {
        let text = masked(&format!(
            "{WORKSPACES}azure: {{cloud: usgov, credential: {{managed_identity: {{}}}}}}\npacks: []\n"
        ));
        for line in [
            "azure.cloud: usgov\n",
            "azure.credential: managed_identity\n",
            "azure.credential.client_id: none, the system's identity\n",
            "azure.ca_file: none, the system's roots alone\n",
            "azure.proxy: as the environment says\n",
            "packs: none\n",
            "queries_dir: none\n",
            "state: in memory\n",
            "limits.max_series: as each definition says\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn an_address_has_no_user_and_no_query() {
        let url = Url::parse("http://user:hunter2@proxy.example:3128/x?token=hunter2").unwrap();
        assert_eq!(address(&url), "http://proxy.example:3128");
    }
}
