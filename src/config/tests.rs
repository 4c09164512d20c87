use std::path::Path;
use std::time::Duration;

use super::*;

fn load(text: &str) -> Result<Settings, String> {
    Settings::from_yaml(Path::new("/etc/x/exporter.yaml"), text).map_err(|p| p.to_string())
}

const WORKSPACE: &str = "workspaces: [{id: 5f6d2b1c-0000-4000-8000-000000000001, name: prod}]\n";

#[test]
fn the_least_configuration_has_the_documented_defaults() {
    let settings = load("workspaces: [{id: 5f6d2b1c-0000-4000-8000-000000000001}]").unwrap();
    assert_eq!(settings.azure.endpoints, Endpoints::public());
    assert_eq!(settings.azure.credential, CredentialChoice::Default);
    assert_eq!(
        &*settings.workspaces[0].name,
        "5f6d2b1c-0000-4000-8000-000000000001"
    );
    let packs: Vec<&str> = settings.packs.iter().map(|p| p.value.as_str()).collect();
    assert_eq!(packs, ["vm", "threats", "feed"]);
    assert_eq!(settings.queries_dir, None);
    assert_eq!(settings.limits, Limits::default());
}

#[test]
fn a_full_configuration_is_read_with_paths_beside_the_file() {
    let settings = load(&format!(
        "azure:
  cloud: {{logs: 'https://localhost:1', audience: 'https://a/', authority: 'https://localhost:2'}}
  credential: {{client_secret: {{tenant_id: t, client_id: c, secret_file: secret}}}}
  ca_file: ca.pem
  proxy: http://proxy:3128
{WORKSPACE}packs: []
queries_dir: queries/
limits: {{max_series: 7, stale_after: 10m}}
"
    ))
    .unwrap();
    assert_eq!(
        settings.azure.endpoints.logs.as_str(),
        "https://localhost:1/"
    );
    assert_eq!(settings.azure.endpoints.audience, "https://a");
    assert_eq!(
        settings.azure.credential,
        CredentialChoice::ClientSecret {
            tenant_id: "t".into(),
            client_id: "c".into(),
            secret: SecretSource::File("/etc/x/secret".into()),
        }
    );
    assert_eq!(settings.azure.ca_file, Some("/etc/x/ca.pem".into()));
    assert!(settings.packs.is_empty());
    assert_eq!(
        settings.queries_dir,
        Some(Located::new("/etc/x/queries/".into(), Some(8)))
    );
    assert_eq!(settings.limits.max_series, Some(7));
    assert_eq!(settings.limits.stale_after, Some(Duration::from_secs(600)));
}

#[test]
fn every_form_of_credential_is_read() {
    let credential = |yaml: &str| {
        load(&format!("azure: {{credential: {yaml}}}\n{WORKSPACE}"))
            .unwrap()
            .azure
            .credential
    };
    assert_eq!(credential("default"), CredentialChoice::Default);
    assert_eq!(credential("azure_cli"), CredentialChoice::AzureCli);
    assert_eq!(
        credential("{managed_identity: {}}"),
        CredentialChoice::ManagedIdentity { client_id: None }
    );
    assert_eq!(
        credential("{managed_identity: {client_id: abc}}"),
        CredentialChoice::ManagedIdentity {
            client_id: Some("abc".into())
        }
    );
    assert_eq!(
        credential("{workload_identity: {}}"),
        CredentialChoice::WorkloadIdentity
    );
}

#[test]
fn the_named_clouds_are_readable() {
    for (name, endpoints) in [
        ("public", Endpoints::public()),
        ("usgov", Endpoints::us_government()),
        ("china", Endpoints::china()),
    ] {
        let settings = load(&format!("azure: {{cloud: {name}}}\n{WORKSPACE}")).unwrap();
        assert_eq!(settings.azure.endpoints, endpoints);
    }
}

#[test]
fn a_proxy_is_refused_without_printing_its_password() {
    for (proxy, rule) in [
        ("ftp://proxy/hunter2", "must begin with http://"),
        (
            "http://user:hunter2@proxy",
            "must not hold a user or password",
        ),
        ("hunter2", "must be a URL"),
    ] {
        let error = load(&format!("azure: {{proxy: '{proxy}'}}\n{WORKSPACE}")).unwrap_err();
        assert!(
            error.starts_with("/etc/x/exporter.yaml:1: azure.proxy "),
            "{error}"
        );
        assert!(error.contains(rule), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
