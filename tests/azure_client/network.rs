//! Connections that do not come about, or break.

use std::net::Ipv4Addr;
use std::time::Duration;

use vminsights_exporter::azure::LogsClient;
use vminsights_exporter::telemetry::error_chain;

use crate::rig::{HonestTokenEndpoint, HonestWorkspace, Rig, Told, ask};
use crate::server::{Authority, Reply, Seen, Server};

/// An https address on which nobody listens.
fn nobody() -> reqwest::Url {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    format!("https://{address}").parse().unwrap()
}

#[tokio::test]
async fn an_absent_workspace_is_a_matter_of_the_connection() {
    let mut rig = Rig::asking(HonestWorkspace).await;
    rig.settings.endpoints.logs = nobody();
    let told = rig.failure().await;
    assert_eq!(told.reason, "connect");
    assert!(
        told.text.starts_with("cannot connect to 127.0.0.1:"),
        "{told:?}"
    );
    assert!(told.text.contains("Connection refused"), "{told:?}");
    assert!(told.hint.contains("firewall"), "{told:?}");
    assert_eq!(rig.counted("connect"), 1.0);
}

#[tokio::test]
async fn an_unknown_host_is_a_matter_of_the_connection() {
    let mut rig = Rig::asking(HonestWorkspace).await;
    rig.settings.endpoints.logs = "https://no-such-host.invalid".parse().unwrap();
    let told = rig.failure().await;
    assert_eq!(told.reason, "connect");
    assert!(
        told.text
            .starts_with("cannot connect to no-such-host.invalid: "),
        "{told:?}"
    );
}

/// A certificate of an authority that the client does not know.
#[tokio::test]
async fn a_wrong_certificate_workspace_gets_no_token() {
    let (ca, stranger) = (Authority::new(), Authority::new());
    let entra = Server::tls(ca.acceptor("127.0.0.1"), HonestTokenEndpoint::new()).await;
    let logs = Server::tls(stranger.acceptor("127.0.0.1"), HonestWorkspace).await;
    let rig = Rig::of(&ca, entra, logs);
    let told = rig.failure().await;
    assert_eq!(told.reason, "tls");
    assert!(
        told.text
            .starts_with("cannot make a secure connection to 127.0.0.1:"),
        "{told:?}"
    );
    assert!(told.text.contains("invalid peer certificate"), "{told:?}");
    assert!(told.hint.contains("azure.ca_file"), "{told:?}");
    assert!(rig.logs.seen().is_empty());
    assert_eq!(rig.counted("tls"), 1.0);
}

/// A certificate for somebody else.
#[tokio::test]
async fn a_wrong_name_workspace_gets_no_token() {
    let ca = Authority::new();
    let entra = Server::tls(ca.acceptor("127.0.0.1"), HonestTokenEndpoint::new()).await;
    let logs = Server::tls(ca.acceptor("api.example"), HonestWorkspace).await;
    let rig = Rig::of(&ca, entra, logs);
    let told = rig.failure().await;
    assert_eq!(told.reason, "tls");
    assert!(rig.logs.seen().is_empty());
}

/// Speaks http where https is due.
#[tokio::test]
async fn a_plain_workspace_gets_no_token() {
    let mut rig = Rig::asking(HonestWorkspace).await;
    let plain = Server::plain(HonestWorkspace).await;
    let address = plain.address.replace("http:", "https:");
    rig.settings.endpoints.logs = address.parse().unwrap();
    assert_eq!(rig.failure().await.reason, "tls");

    rig.settings.endpoints.logs = plain.address.parse().unwrap();
    assert_eq!(rig.failure().await.reason, "internal");
    assert!(plain.seen().is_empty());
}

#[tokio::test]
async fn a_silent_workspace_times_out() {
    let rig = Rig::asking(|_: &Seen| Reply::Silence).await;
    let failure = ask(&rig.client(), Duration::from_secs(1))
        .await
        .unwrap_err();
    let told = Told::of(&failure);
    assert_eq!(told.reason, "timeout");
    assert_eq!(
        told.text,
        "no answer within 1s, while waiting for the answer"
    );
    assert!(told.hint.contains("`timeout`"), "{told:?}");
    assert_eq!(rig.logs.seen().len(), 1);
    assert_eq!(rig.counted("timeout"), 1.0);
}

#[tokio::test]
async fn a_half_answer_is_a_lost_connection() {
    let half = |_: &Seen| Reply::Half(r#"{"tables": [{"name": "PrimaryResult", "columns""#);
    for protocol in ["h2", "http/1.1"] {
        let ca = Authority::new();
        let entra = Server::tls(ca.acceptor("127.0.0.1"), HonestTokenEndpoint::new()).await;
        let logs = Server::tls(ca.acceptor_for("127.0.0.1", &[protocol]), half).await;
        let rig = Rig::of(&ca, entra, logs);
        let told = rig.failure().await;
        assert_eq!(told.reason, "connect", "{protocol}: {told:?}");
        assert!(
            told.text.starts_with("lost the connection to 127.0.0.1:"),
            "{protocol}: {told:?}"
        );
        assert_eq!(rig.counted("connect"), 1.0);
    }
}

#[tokio::test]
async fn a_proxy_is_asked_for_every_tunnel_and_its_password_is_not_told() {
    let mut rig = Rig::asking(HonestWorkspace).await;
    let proxy = Server::plain(|_: &Seen| Reply::json(403, "no way out")).await;
    let address = proxy.address.replace("http://", "http://me:hunter3@");
    rig.settings.proxy = Some(address.parse().unwrap());
    let failure = rig.ask().await.unwrap_err();
    let told = Told::of(&failure);
    assert_eq!(told.reason, "sign_in");
    assert!(told.hint.contains("azure.proxy"), "{told:?}");
    let everything = format!("{told:?} {failure:?} {:?}", rig.client());
    assert!(!everything.contains("hunter3"), "{everything}");
    let [tunnel] = &proxy.seen()[..] else {
        panic!("one tunnel")
    };
    assert_eq!(tunnel.method, "CONNECT");
    assert!(tunnel.header("proxy-authorization").starts_with("Basic "));
    assert!(rig.entra.seen().is_empty() && rig.logs.seen().is_empty());
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_is_named() {
    let rig = Rig::asking(HonestWorkspace).await;
    let new = |change: &dyn Fn(&mut vminsights_exporter::config::AzureSettings)| {
        let mut settings = rig.settings.clone();
        change(&mut settings);
        let client = LogsClient::new(&settings, rig.metrics.clone());
        error_chain(&client.unwrap_err())
    };
    let missing = rig.folder.path().join("missing.pem");
    assert_eq!(
        new(&|settings| settings.ca_file = Some(missing.clone())),
        format!(
            "azure.ca_file: cannot read {}: No such file or directory (os error 2)",
            missing.display()
        )
    );
    let empty = rig.folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate").unwrap();
    assert_eq!(
        new(&|settings| settings.ca_file = Some(empty.clone())),
        format!(
            "azure.ca_file: {} must hold certificates in PEM form",
            empty.display()
        )
    );
}
