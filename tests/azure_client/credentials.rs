//! Each kind of credential, against what it signs in with.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use vminsights_exporter::azure::{Environment, LogsClient};
use vminsights_exporter::config::{CredentialChoice, MachineIdentity, SecretSource};
use vminsights_exporter::telemetry::error_chain;

use crate::rig::{
    AUDIENCE, HonestTokenEndpoint, HonestWorkspace, METADATA_ADDRESS, PATIENT, Rig, SECRET, TENANT,
    ask,
};
use crate::server::{Behaviour, Reply, Seen, Server};

fn bearer(rig: &Rig) -> Vec<String> {
    let seen = rig.logs.seen();
    let bearer = seen
        .iter()
        .map(|seen| seen.header("authorization").to_owned());
    bearer.collect()
}

#[tokio::test]
async fn a_client_secret_is_sent_as_documented_without_its_line_break() {
    let rig = Rig::asking(HonestWorkspace).await;
    rig.ask().await.unwrap();
    let [asked] = &rig.entra.seen()[..] else {
        panic!("one request")
    };
    assert_eq!(asked.path, format!("/{TENANT}/oauth2/v2.0/token"));
    for (name, value) in [
        ("grant_type", "client_credentials"),
        ("client_id", "client"),
        ("client_secret", SECRET),
        ("scope", "https://api.loganalytics.io/.default"),
    ] {
        assert_eq!(asked.form(name).as_deref(), Some(value), "{name}");
    }
}

/// Refuses every token, so that each query signs in anew.
fn forgetful(_: &Seen) -> Reply {
    Reply::json(401, "")
}

#[tokio::test]
async fn a_secret_file_is_read_again_at_each_sign_in() {
    let rig = Rig::asking(forgetful).await;
    let client = rig.client();
    let file = rig.folder.path().join("secret");
    let failed = || async { ask(&client, PATIENT).await.unwrap_err() };

    failed().await;
    std::fs::write(&file, "rotated\r\n").unwrap();
    failed().await;
    let secrets: Vec<_> = rig
        .entra
        .seen()
        .iter()
        .filter_map(|seen| seen.form("client_secret"))
        .collect();
    assert_eq!(secrets, [SECRET, "rotated"]);

    let (shown, rig) = (file.display(), &rig);
    std::fs::write(&file, "\n").unwrap();
    let told = rig.failure().await;
    assert_eq!(told.reason, "sign_in");
    assert_eq!(
        told.text,
        format!("cannot sign in: client_secret: {shown} is empty")
    );
    std::fs::remove_file(&file).unwrap();
    assert_eq!(
        rig.failure().await.text,
        format!(
            "cannot sign in: client_secret: cannot read {shown}: No such file or directory (os error 2)"
        )
    );
}

#[tokio::test]
async fn a_secret_may_come_from_the_environment() {
    let mut rig = Rig::asking(HonestWorkspace).await;
    rig.settings.credential = CredentialChoice::ClientSecret {
        tenant_id: TENANT.into(),
        client_id: "client".into(),
        secret: SecretSource::Env("MY_SECRET".into()),
    };
    let new = LogsClient::with_environment(
        &rig.settings,
        rig.metrics.clone(),
        Environment::of([("MY_SECRET", "")]),
    );
    assert_eq!(
        error_chain(&new.unwrap_err()),
        "azure.credential: the environment variable MY_SECRET is not set"
    );
    rig.environment = Environment::of([("MY_SECRET", "from-env")]);
    rig.ask().await.unwrap();
    let sent = rig.entra.seen()[0].form("client_secret");
    assert_eq!(sent.as_deref(), Some("from-env"));
}

#[tokio::test]
async fn workload_identity_sends_its_file_and_reads_it_again() {
    let mut rig = Rig::asking(forgetful).await;
    rig.settings.credential = CredentialChoice::WorkloadIdentity;
    let file = rig.folder.path().join("federated");
    std::fs::write(&file, "assertion-1").unwrap();
    rig.environment = Environment::of([
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", "pod"),
        ("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap()),
    ]);
    let client = rig.client();
    ask(&client, PATIENT).await.unwrap_err();
    std::fs::write(&file, "assertion-2").unwrap();
    ask(&client, PATIENT).await.unwrap_err();

    let seen = rig.entra.seen();
    let assertions: Vec<_> = seen
        .iter()
        .filter_map(|seen| seen.form("client_assertion"))
        .collect();
    assert_eq!(assertions, ["assertion-1", "assertion-2"]);
    assert_eq!(seen[0].path, format!("/{TENANT}/oauth2/v2.0/token"));
    assert_eq!(seen[0].form("client_id").as_deref(), Some("pod"));
    assert_eq!(
        seen[0].form("client_assertion_type").as_deref(),
        Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
    );
}

#[tokio::test]
async fn a_client_certificate_signs_anew_with_the_file_as_it_is() {
    let mut rig = Rig::asking(forgetful).await;
    let file = rig.folder.path().join("client.pem");
    let pem = include_str!("../../src/azure/testdata/client.pem");
    std::fs::write(&file, pem).unwrap();
    rig.settings.credential = CredentialChoice::ClientCertificate {
        tenant_id: TENANT.into(),
        client_id: "app".into(),
        file: file.clone(),
    };
    let client = rig.client();
    for _ in 0..2 {
        ask(&client, PATIENT).await.unwrap_err();
    }
    let seen = rig.entra.seen();
    let assertion = |seen: &Seen| seen.form("client_assertion").unwrap();
    assert_eq!(seen.len(), 2);
    assert_ne!(assertion(&seen[0]), assertion(&seen[1]));
    assert_eq!(assertion(&seen[0]).split('.').count(), 3);
    assert_eq!(seen[0].form("client_id").as_deref(), Some("app"));
    assert_eq!(seen[0].form("client_secret"), None);

    std::fs::write(&file, "nothing").unwrap();
    let told = crate::rig::Told::of(&ask(&client, PATIENT).await.unwrap_err());
    assert_eq!(
        told.text,
        format!(
            "cannot sign in: client_certificate: {} holds no private key in PEM form",
            file.display()
        )
    );
    assert_eq!(rig.entra.seen().len(), 2);
}

#[tokio::test]
async fn the_azure_developer_cli_is_run() {
    let mut rig = Rig::asking(HonestWorkspace).await;
    rig.settings.credential = CredentialChoice::AzureDeveloperCli;
    let answer = r#"echo '{"token": "token-of-a-person", "expiresOn": "3000-01-01T00:00:00Z"}'"#;
    rig.environment = fake_cli(rig.folder.path(), "azd", answer);
    rig.ask().await.unwrap();
    assert_eq!(bearer(&rig), ["Bearer token-of-a-person"]);

    rig.environment = metadata_at(&nobody());
    let told = rig.failure().await;
    assert_eq!(
        told.text,
        "cannot sign in: azure_developer_cli: azd not found on PATH"
    );
    assert!(told.hint.contains("Azure Developer CLI"), "{told:?}");
}

#[tokio::test]
async fn sign_ins_and_the_token_s_end_are_measured() {
    let rig = Rig::signing_in_at(|_: &Seen| Reply::json(401, "{}")).await;
    rig.ask().await.unwrap_err();
    let family = |rig: &Rig, name: &str| {
        let families = rig.metrics.gather().into_iter();
        let mut found = families.filter(|family| family.name() == name);
        let values = found.next().map(|family| {
            let metrics = family.get_metric().iter();
            metrics
                .map(|m| {
                    let labels = m.get_label().iter().map(|label| label.value().to_owned());
                    let value = m.get_counter().get_value() + m.get_gauge().get_value();
                    (labels.collect::<Vec<_>>().join(" "), value)
                })
                .collect::<Vec<_>>()
        });
        values.unwrap_or_default()
    };
    let sign_ins = "vminsights_exporter_credential_sign_ins_total";
    let expiry = "vminsights_exporter_credential_token_expiry_timestamp_seconds";
    assert_eq!(
        family(&rig, sign_ins),
        [("failure logs".into(), 1.0), ("success logs".into(), 0.0)]
    );
    assert!(family(&rig, expiry).is_empty());

    let metadata = Server::plain(MetadataEndpoint).await;
    let mut rig = Rig::asking(HonestWorkspace).await;
    rig.environment = metadata_at(&metadata.address);
    rig.settings.credential = CredentialChoice::ManagedIdentity(MachineIdentity::System);
    rig.ask().await.unwrap();
    assert_eq!(
        family(&rig, sign_ins),
        [("failure logs".into(), 0.0), ("success logs".into(), 1.0)]
    );
    assert_eq!(family(&rig, expiry), [("logs".into(), 32_503_680_000.0)]);
}

#[tokio::test]
async fn workload_identity_names_the_variable_that_is_missing() {
    let mut rig = Rig::asking(HonestWorkspace).await;
    rig.settings.credential = CredentialChoice::WorkloadIdentity;
    let environment = Environment::of([("AZURE_TENANT_ID", TENANT), ("AZURE_CLIENT_ID", "pod")]);
    let new = LogsClient::with_environment(&rig.settings, rig.metrics.clone(), environment);
    assert_eq!(
        error_chain(&new.unwrap_err()),
        "azure.credential: the environment variable AZURE_FEDERATED_TOKEN_FILE is not set"
    );
}

/// The metadata service of a virtual machine, or App Service's: strings where numbers would do.
struct MetadataEndpoint;

impl Behaviour for MetadataEndpoint {
    fn reply(&self, _: &Seen) -> Reply {
        Reply::json(
            200,
            r#"{"access_token": "token-of-the-machine", "refresh_token": "", "expires_in": "3599",
                "expires_on": "32503680000", "not_before": "0", "resource": "r", "token_type": "Bearer"}"#,
        )
    }
}

fn metadata_at(address: &str) -> Environment {
    Environment::of([(METADATA_ADDRESS, address), ("PATH", "/nowhere")])
}

#[tokio::test]
async fn a_managed_identity_asks_the_metadata_service() {
    let metadata = Server::plain(MetadataEndpoint).await;
    let mut rig = Rig::asking(HonestWorkspace).await;
    rig.environment = metadata_at(&metadata.address);
    for identity in [
        MachineIdentity::System,
        MachineIdentity::ClientId("mine".into()),
        MachineIdentity::ObjectId("principal".into()),
        MachineIdentity::ResourceId("/subscriptions/s".into()),
    ] {
        rig.settings.credential = CredentialChoice::ManagedIdentity(identity);
        rig.ask().await.unwrap();
    }
    let seen = metadata.seen();
    assert_eq!(seen[0].method, "GET");
    assert_eq!(seen[0].path, "/metadata/identity/oauth2/token");
    assert_eq!(seen[0].header("metadata"), "true");
    assert_eq!(seen[0].parameter("resource").as_deref(), Some(AUDIENCE));
    assert_eq!(seen[0].parameter("client_id"), None);
    assert_eq!(seen[1].parameter("client_id").as_deref(), Some("mine"));
    assert_eq!(seen[2].parameter("object_id").as_deref(), Some("principal"));
    assert_eq!(
        seen[3].parameter("msi_res_id").as_deref(),
        Some("/subscriptions/s")
    );
    assert_eq!(bearer(&rig), ["Bearer token-of-the-machine"; 4]);
    assert!(rig.entra.seen().is_empty());
}

#[tokio::test]
async fn the_metadata_service_is_not_asked_by_a_proxy() {
    let metadata = Server::plain(MetadataEndpoint).await;
    let mut rig = Rig::asking(HonestWorkspace).await;
    rig.settings.credential = CredentialChoice::ManagedIdentity(MachineIdentity::System);
    rig.settings.proxy = Some(nobody().parse().unwrap());
    rig.environment = metadata_at(&metadata.address);
    let told = rig.failure().await;
    assert_eq!(
        told.reason, "connect",
        "the way to the workspace is by the proxy"
    );
    assert_eq!(metadata.seen().len(), 1);
}

#[tokio::test]
async fn a_metadata_service_that_refuses_is_asked_once() {
    for (status, body, text, hint) in [
        (
            400,
            r#"{"error": "invalid_request", "error_description": "Identity not found"}"#,
            "Identity not found (HTTP 400)",
            "assign a managed identity",
        ),
        (500, "", "no token (HTTP 500)", ""),
        (404, "<404>", "<404> (HTTP 404)", ""),
    ] {
        let metadata = Server::plain(move |_: &Seen| Reply::json(status, body)).await;
        let mut rig = Rig::asking(HonestWorkspace).await;
        rig.environment = metadata_at(&metadata.address);
        rig.settings.credential = CredentialChoice::ManagedIdentity(MachineIdentity::System);
        let told = rig.failure().await;
        assert_eq!(
            told.text,
            format!("cannot sign in: managed_identity at the metadata service: {text}")
        );
        assert!(told.hint.contains(hint), "{told:?}");
        assert_eq!(metadata.seen().len(), 1);
    }
}

/// An http address on which nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn off_azure_a_managed_identity_says_so() {
    let mut rig = Rig::asking(HonestWorkspace).await;
    rig.environment = metadata_at(&nobody());
    rig.settings.credential = CredentialChoice::ManagedIdentity(MachineIdentity::System);
    let told = rig.failure().await;
    assert_eq!(told.reason, "sign_in");
    assert!(told.text.contains("Connection refused"), "{told:?}");
    assert!(told.hint.contains("works on Azure only"), "{told:?}");
}

/// App Service tells of itself by the process's own environment, so this one needs a process.
#[tokio::test]
async fn on_app_service_a_managed_identity_asks_there() {
    let endpoint = Server::plain(MetadataEndpoint).await;
    let address = format!("{}/msi/token", endpoint.address);
    let child = tokio::task::spawn_blocking(move || {
        Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "credentials::in_an_app_service_process",
            ])
            .env("IDENTITY_ENDPOINT", address)
            .env("IDENTITY_HEADER", "the-header")
            .output()
            .unwrap()
    });
    let output = child.await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("1 passed"), "{printed}");
    let [asked] = &endpoint.seen()[..] else {
        panic!("one request")
    };
    assert_eq!(asked.path, "/msi/token");
    assert_eq!(asked.header("x-identity-header"), "the-header");
    assert_eq!(asked.parameter("resource").as_deref(), Some(AUDIENCE));
    assert_eq!(
        asked.parameter("api-version").as_deref(),
        Some("2019-08-01")
    );
}

#[tokio::test]
#[ignore = "runs in a process of its own, started by the test above"]
async fn in_an_app_service_process() {
    let mut rig = Rig::asking(HonestWorkspace).await;
    rig.settings.credential = CredentialChoice::ManagedIdentity(MachineIdentity::System);
    rig.ask().await.unwrap();
    assert_eq!(bearer(&rig), ["Bearer token-of-the-machine"]);
}

/// A folder with an `az` that does this.
fn fake_az(folder: &Path, script: &str) -> Environment {
    fake_cli(folder, "az", script)
}

fn fake_cli(folder: &Path, name: &str, script: &str) -> Environment {
    let az = folder.join(name);
    std::fs::write(&az, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&az, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.display());
    let nobody = nobody();
    Environment::of([("PATH", path.as_str()), (METADATA_ADDRESS, nobody.as_str())])
}

const AZ_SIGNED_IN: &str = r#"echo '{"accessToken": "token-of-a-person", "expires_on": 32503680000, "tokenType": "Bearer"}'"#;

#[tokio::test]
async fn the_azure_cli_is_run() {
    let mut rig = Rig::asking(HonestWorkspace).await;
    rig.settings.credential = CredentialChoice::AzureCli;
    let noted = rig.folder.path().join("arguments");
    let script = format!("echo \"$@\" > '{}'\n{AZ_SIGNED_IN}", noted.display());
    rig.environment = fake_az(rig.folder.path(), &script);
    rig.ask().await.unwrap();
    assert_eq!(bearer(&rig), ["Bearer token-of-a-person"]);
    assert_eq!(
        std::fs::read_to_string(noted).unwrap(),
        format!("account get-access-token -o json --scope {AUDIENCE}/.default\n")
    );
}

#[tokio::test]
async fn an_azure_cli_that_is_absent_or_signed_out_says_what_to_do() {
    let mut rig = Rig::asking(HonestWorkspace).await;
    rig.settings.credential = CredentialChoice::AzureCli;
    rig.environment = metadata_at(&nobody());
    let told = rig.failure().await;
    assert_eq!(told.text, "cannot sign in: azure_cli: az not found on PATH");
    assert!(told.hint.contains("install the Azure CLI"), "{told:?}");

    let script = "echo 'ERROR: Please run '\"'az login'\"' to setup account.' >&2; exit 1";
    rig.environment = fake_az(rig.folder.path(), script);
    let told = rig.failure().await;
    assert_eq!(
        told.text,
        "cannot sign in: azure_cli: ERROR: Please run 'az login' to setup account."
    );
    assert!(told.hint.contains("run `az login`"), "{told:?}");
}

#[tokio::test]
async fn the_default_chain_tells_of_each_link_when_none_works() {
    let mut rig = Rig::asking(HonestWorkspace).await;
    rig.settings.credential = CredentialChoice::Default;
    rig.environment = metadata_at(&nobody());
    let told = rig.failure().await;
    assert_eq!(told.reason, "sign_in");
    for part in [
        "cannot sign in: default: no credential works (client_secret: skipped, AZURE_TENANT_ID is not set; ",
        "workload_identity: skipped, AZURE_TENANT_ID is not set; ",
        "managed_identity at the metadata service: error sending request: ",
        "azure_cli: az not found on PATH; azure_developer_cli: azd not found on PATH)",
    ] {
        assert!(told.text.contains(part), "{told:?}");
    }
    assert!(told.hint.contains("set azure.credential"), "{told:?}");
}

#[tokio::test]
async fn the_default_chain_keeps_the_first_that_works() {
    // The environment's secret is refused at first, and would be taken later.
    let mut rig = Rig::new(
        {
            let honest = HonestTokenEndpoint::new();
            let asked = std::sync::atomic::AtomicUsize::new(0);
            move |request: &Seen| match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => Reply::json(401, r#"{"error_description": "AADSTS7000222: expired"}"#),
                _ => honest.reply(request),
            }
        },
        forgetful,
    )
    .await;
    let metadata = Server::plain(MetadataEndpoint).await;
    rig.settings.credential = CredentialChoice::Default;
    rig.environment = Environment::of([
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", "client"),
        ("AZURE_CLIENT_SECRET", SECRET),
        (METADATA_ADDRESS, &metadata.address),
    ]);
    let client = rig.client();
    for _ in 0..2 {
        ask(&client, PATIENT).await.unwrap_err();
    }
    assert_eq!(rig.entra.seen().len(), 1);
    assert_eq!(metadata.seen().len(), 2);
    assert_eq!(
        metadata.seen()[0].parameter("client_id").as_deref(),
        Some("client")
    );
    assert_eq!(bearer(&rig), ["Bearer token-of-the-machine"; 2]);
}

#[tokio::test]
async fn a_chain_that_fails_gives_the_advice_for_what_was_set_up() {
    let refuse = |_: &Seen| Reply::json(401, r#"{"error_description": "AADSTS7000222: expired"}"#);
    let mut rig = Rig::signing_in_at(refuse).await;
    rig.settings.credential = CredentialChoice::Default;
    rig.environment = Environment::of([
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", "client"),
        ("AZURE_CLIENT_SECRET", SECRET),
        (METADATA_ADDRESS, &nobody()),
        ("PATH", "/nowhere"),
    ]);
    let told = rig.failure().await;
    assert!(
        told.text.contains("AADSTS7000222: expired (HTTP 401)"),
        "{told:?}"
    );
    assert!(
        told.hint.contains("the client secret has expired"),
        "{told:?}"
    );
}

#[tokio::test]
async fn the_chain_ends_at_what_is_set_up_and_reaches_nobody() {
    let metadata = Server::plain(MetadataEndpoint).await;
    let mut rig = Rig::asking(HonestWorkspace).await;
    rig.settings.credential = CredentialChoice::Default;
    rig.settings.endpoints.authority = nobody().replace("http:", "https:").parse().unwrap();
    rig.environment = Environment::of([
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", "client"),
        ("AZURE_CLIENT_SECRET", SECRET),
        (METADATA_ADDRESS, &metadata.address),
    ]);
    let told = rig.failure().await;
    assert!(told.text.ends_with("; the others: not tried)"), "{told:?}");
    assert!(told.hint.contains("firewall"), "{told:?}");
    assert!(metadata.seen().is_empty());
}

#[tokio::test]
async fn a_metadata_address_that_is_none_is_named() {
    let mut rig = Rig::asking(HonestWorkspace).await;
    rig.environment = metadata_at("nowhere");
    let (metrics, environment) = (rig.metrics.clone(), rig.environment.clone());
    let new = LogsClient::with_environment(&rig.settings, metrics, environment);
    assert_eq!(
        error_chain(&new.unwrap_err()),
        "the environment variable AZURE_POD_IDENTITY_AUTHORITY_HOST must be a URL: relative URL without a base"
    );
}
