//! TLS: versions, client certificates, and what a reload does to connections.

use super::*;

#[tokio::test]
async fn tls_speaks_http2_and_http1() {
    let ca = Authority::new();
    let rig = Rig::with(ca.folder(), TLS).await;
    let url = format!("https://{}/-/healthy", rig.address);
    for (client, version) in [
        (ca.client(), reqwest::Version::HTTP_2),
        (ca.client().http1_only(), reqwest::Version::HTTP_11),
    ] {
        let answer = client.build().unwrap().get(&url).send().await.unwrap();
        assert_eq!(answer.version(), version);
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.text().await.unwrap(), "Healthy.\n");
    }
    // A big page over HTTP/2, whole.
    let url = format!("https://{}/big", rig.address);
    let answer = ca.client().build().unwrap().get(&url).send().await.unwrap();
    assert_eq!(answer.bytes().await.unwrap().len(), BIG);
    // Plain HTTP gets no answer, and is counted.
    let answer = send(rig.address, "GET / HTTP/1.1").await;
    assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
    let cut = "vminsights_exporter_http_connections_cut_total";
    assert_eq!(rig.counted(cut, "handshake"), 1.0);
}

#[tokio::test]
async fn http2_and_old_versions_can_be_switched_off() {
    let ca = Authority::new();
    let web = "tls_server_config: {cert_file: server.crt, key_file: server.key, min_version: TLS13}
http_server_config: {http2: false, headers: {Content-Security-Policy: frame-ancestors example.org}}\n";
    let rig = Rig::with(ca.folder(), web).await;
    let url = format!("https://{}/", rig.address);
    let answer = ca.client().build().unwrap().get(&url).send().await.unwrap();
    assert_eq!(answer.version(), reqwest::Version::HTTP_11);
    let headers = answer.headers();
    assert_eq!(
        headers["content-security-policy"],
        "frame-ancestors example.org"
    );
    assert_eq!(headers["x-content-type-options"], "nosniff");
    let old = ca.client().tls_version_max(reqwest::tls::Version::TLS_1_2);
    assert!(old.build().unwrap().get(&url).send().await.is_err());
}

#[tokio::test]
async fn only_certificates_of_the_authority_with_a_listed_name_get_in() {
    let (ca, stranger) = (Authority::new(), Authority::new());
    let web = "tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [prometheus.example]\n";
    let rig = Rig::with(ca.folder(), web).await;
    let url = format!("https://{}/-/healthy", rig.address);
    let good = ca.client_with(&ca.sign("prometheus.example"));
    assert_eq!(
        good.build()
            .unwrap()
            .get(&url)
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    for (who, client) in [
        ("nobody", ca.client()),
        ("another name", ca.client_with(&ca.sign("grafana.example"))),
        (
            "a stranger",
            ca.client_with(&stranger.sign("prometheus.example")),
        ),
    ] {
        let answer = client.build().unwrap().get(&url).send().await;
        assert!(answer.is_err(), "{who} got in");
    }
}

#[tokio::test]
async fn a_new_certificate_is_used_and_a_broken_one_is_not() {
    let (ca, next) = (Authority::new(), Authority::new());
    let rig = Rig::with(ca.folder(), TLS).await;
    let url = format!("https://{}/-/healthy", rig.address);
    let reaches = |ca: &Authority| {
        let request = ca.client().build().unwrap().get(&url).send();
        async move { request.await.is_ok() }
    };
    let reloads = "vminsights_exporter_web_config_reloads_total";
    rig.lock.refresh();
    assert_eq!(rig.counted(reloads, "success"), 0.0, "nothing has changed");
    // The key of the new pair is not there yet; telling it once is enough.
    let (certificate, key) = next.sign("127.0.0.1");
    rig.write("server.crt", &certificate);
    rig.lock.refresh();
    rig.lock.refresh();
    assert_eq!(rig.counted(reloads, "failure"), 1.0);
    assert!(reaches(&ca).await, "the last good one stays");
    rig.write("server.key", &key);
    rig.lock.refresh();
    assert_eq!(rig.counted(reloads, "success"), 1.0);
    assert!(reaches(&next).await && !reaches(&ca).await);
    rig.write("web.yml", "");
    rig.lock.refresh();
    assert_eq!(rig.counted(reloads, "failure"), 2.0);
    assert!(
        reaches(&next).await,
        "TLS is never switched off by a reload"
    );
}

#[tokio::test]
async fn a_client_that_is_no_longer_let_in_loses_its_connection_after_its_answers() {
    let (ca, next) = (Authority::new(), Authority::new());
    let web = "tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt\n";
    let rig = Rig::with(ca.folder(), web).await;
    let certificate = ca.sign("prometheus.example");
    let clients = [
        ca.client_with(&certificate),
        ca.client_with(&certificate).http1_only(),
    ];
    let clients = clients.map(|client| client.build().unwrap());
    let ask = |client: &reqwest::Client, path| {
        let request = client.get(format!("https://{}{path}", rig.address));
        async move { request.send().await }
    };
    let mut under_way = Vec::new();
    for client in &clients {
        under_way.push(ask(client, "/big").await.unwrap());
        let answer = ask(client, "/-/healthy").await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "Healthy.\n");
    }
    rig.write("ca.crt", &next.1);
    rig.lock.refresh();
    for client in &clients {
        // What was on its way when the files changed may still be answered.
        let let_in = async { while ask(client, "/-/healthy").await.is_ok() {} };
        let refused = tokio::time::timeout(SOON, let_in).await;
        assert!(refused.is_ok(), "still let in");
    }
    for answer in under_way {
        assert_eq!(answer.bytes().await.unwrap().len(), BIG);
    }
}
