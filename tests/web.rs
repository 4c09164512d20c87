//! The server and its lock over loopback: TLS, users, limits, and what hostile or slow clients get.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use vminsights_exporter::http::{Address, BindError, Endpoint, Limits, Lock, Server, Site};
use vminsights_exporter::telemetry::SelfMetrics;

/// Only a failed test waits for so long.
const SOON: Duration = Duration::from_secs(30);
const BIG: usize = 32 << 20;

/// A running server, and the folder of its web configuration.
struct Rig {
    folder: TempDir,
    lock: Arc<Lock>,
    metrics: SelfMetrics,
    address: SocketAddr,
    /// Each answer that holds a big page holds one.
    pages: Arc<()>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

/// A big page, while an answer holds it.
struct Page(
    Arc<Vec<u8>>,
    #[expect(dead_code, reason = "is counted")] Arc<()>,
);

impl AsRef<[u8]> for Page {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The site's routes, a big page and one that never ends.
fn router(metrics: &SelfMetrics, pages: Arc<()>) -> Router {
    let page = Arc::new(vec![b'x'; BIG]);
    let big = async move || Bytes::from_owner(Page(page.clone(), pages.clone()));
    let endless = async || {
        let piece = Bytes::from(vec![b'x'; 64 << 10]);
        Body::from_stream(futures_util::stream::repeat(Ok::<_, Infallible>(piece)))
    };
    let site = Site {
        store: Arc::default(),
        metrics: metrics.clone(),
        telemetry_path: "/metrics".into(),
        about: Arc::default(),
    };
    site.router()
        .route("/big", get(big))
        .route("/endless", get(endless))
}

impl Rig {
    async fn open(limits: Limits) -> Self {
        Self::start(limits, tempfile::tempdir().unwrap(), None).await
    }

    async fn with(folder: TempDir, web: &str) -> Self {
        std::fs::write(folder.path().join("web.yml"), web).unwrap();
        Self::start(Limits::default(), folder, Some("web.yml")).await
    }

    async fn start(limits: Limits, folder: TempDir, file: Option<&str>) -> Self {
        let metrics = SelfMetrics::new().unwrap();
        let lock = Arc::new(match file {
            Some(file) => Lock::load(&folder.path().join(file), metrics.clone()).unwrap(),
            None => Lock::open(metrics.clone()),
        });
        let anywhere = ["127.0.0.1:0".parse().unwrap()];
        let server = Server::bind(&anywhere, limits).await.unwrap();
        let address = address(&server);
        let (stop, stopped) = oneshot::channel();
        let pages = Arc::new(());
        let routes = router(&metrics, pages.clone());
        let serving = server.serve(routes, lock.clone(), metrics.clone(), async {
            let _ = stopped.await;
        });
        Self {
            folder,
            lock,
            metrics,
            address,
            pages,
            stop,
            serving: tokio::spawn(serving),
        }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Waits until so many connections were cut for that reason.
    async fn cut(&self, reason: &str, times: f64) {
        let cut = "vminsights_exporter_http_connections_cut_total";
        let counted = async {
            while self.counted(cut, reason) < times {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, counted).await.unwrap();
    }

    fn counted(&self, family: &str, label: &str) -> f64 {
        let families = self.metrics.gather();
        let family = families.iter().find(|f| f.name() == family).unwrap();
        let metric =
            |m: &&prometheus::proto::Metric| m.get_label().iter().any(|l| l.value() == label);
        let metric = family.get_metric().iter().find(metric);
        metric.map_or(0.0, |metric| metric.get_counter().get_value())
    }
}

fn address(server: &Server) -> SocketAddr {
    match server.endpoints().next() {
        Some(Endpoint::Tcp(address)) => *address,
        other => panic!("{other:?}"),
    }
}

/// Sends a request's head as it stands and reads to the end.
async fn send(address: SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    exchange(&mut stream, head).await
}

async fn exchange<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    stream: &mut S,
    head: &str,
) -> String {
    let head = format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(SOON, stream.read_to_end(&mut answer))
        .await
        .unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// An authority, and PEM of what it signs.
struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = ca.self_signed(&key).unwrap().pem();
        Self(Issuer::new(ca, key), pem)
    }

    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![name.into()]).unwrap();
        let certificate = leaf.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// A folder with `server.crt`, `server.key` and `ca.crt`.
    fn folder(&self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = self.sign("127.0.0.1");
        for (name, text) in [
            ("server.crt", &certificate),
            ("server.key", &key),
            ("ca.crt", &self.1),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn client(&self) -> reqwest::ClientBuilder {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let ca = reqwest::Certificate::from_pem(self.1.as_bytes()).unwrap();
        reqwest::Client::builder().tls_certs_only([ca]).no_proxy()
    }

    fn client_with(&self, certificate: &(String, String)) -> reqwest::ClientBuilder {
        let pem = format!("{}{}", certificate.0, certificate.1);
        self.client()
            .identity(reqwest::Identity::from_pem(pem.as_bytes()).unwrap())
    }
}

const TLS: &str = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n";

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

fn users(pairs: &[(&str, &str)]) -> String {
    let mut text = String::from("basic_auth_users:\n");
    for (user, password) in pairs {
        text.push_str(&format!(
            "  {user}: {}\n",
            bcrypt::hash(password, 4).unwrap()
        ));
    }
    text
}

#[tokio::test]
async fn only_users_get_in_wherever_they_ask() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::with(folder, &users(&[("alice", "wonder land")])).await;
    let client = Authority::new().client().build().unwrap();
    let ask = |path: &str, user: &str, password: &str| {
        let request = client.get(format!("http://{}{path}", rig.address));
        let request = request.basic_auth(user, Some(password));
        async move { request.send().await.unwrap().status().as_u16() }
    };
    for path in ["/metrics", "/-/healthy", "/", "/nowhere"] {
        let answer = send(rig.address, &format!("GET {path} HTTP/1.1")).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{path}: {answer}");
        let asks = "www-authenticate: Basic realm=\"vminsights-exporter\", charset=\"UTF-8\"\r\n";
        assert!(answer.contains(asks), "{answer}");
        assert_eq!(ask(path, "alice", "wrong").await, 401);
        assert_eq!(ask(path, "mallory", "wonder land").await, 401);
    }
    for _ in 0..2 {
        assert_eq!(ask("/metrics", "alice", "wonder land").await, 200);
    }
    assert_eq!(ask("/nowhere", "alice", "wonder land").await, 404);
    let requests = "vminsights_exporter_http_requests_total";
    assert_eq!(rig.counted(requests, "401"), 12.0);
    // Another password: the remembered one is of no use.
    rig.write("web.yml", &users(&[("alice", "looking glass")]));
    rig.lock.refresh();
    assert_eq!(ask("/metrics", "alice", "wonder land").await, 401);
    assert_eq!(ask("/metrics", "alice", "looking glass").await, 200);
}

/// A body would be a protocol error over HTTP/2, and the next answer's first bytes over HTTP/1.
#[tokio::test]
async fn a_refused_head_has_no_body() {
    let ca = Authority::new();
    let alice = users(&[("alice", "wonder land")]);
    let long = format!("/{}", "x".repeat(5_000));
    let rig = Rig::with(ca.folder(), &format!("{TLS}{alice}")).await;
    for client in [ca.client(), ca.client().http1_only()] {
        let client = client.build().unwrap();
        for (path, status, length) in [("/metrics", 401, "13"), (&long, 414, "22")] {
            let url = format!("https://{}{path}", rig.address);
            let answer = client.head(&url).send().await.unwrap();
            assert_eq!(answer.status(), status);
            assert_eq!(answer.headers()["content-length"], length);
            assert_eq!(answer.bytes().await.unwrap(), "");
        }
    }
    let limited = "rate_limit: {interval: 1h, burst: 1}\n";
    let rig = Rig::with(ca.folder(), &format!("{TLS}{limited}")).await;
    let client = ca.client().build().unwrap();
    for status in [200, 429] {
        let url = format!("https://{}/-/healthy", rig.address);
        let answer = client.head(&url).send().await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    }
    // Over plain HTTP, byte by byte, and over a Unix socket.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock");
    let file = folder.path().join("web.yml");
    std::fs::write(&file, &alice).unwrap();
    let addresses = ["127.0.0.1:0".parse().unwrap(), Address::Unix(path.clone())];
    let metrics = SelfMetrics::new().unwrap();
    let server = Server::bind(&addresses, Limits::default()).await.unwrap();
    let address = address(&server);
    let lock = Arc::new(Lock::load(&file, metrics.clone()).unwrap());
    let routes = router(&metrics, Arc::default());
    tokio::spawn(server.serve(routes, lock, metrics, std::future::pending()));
    for head in ["HEAD /metrics HTTP/1.1", &format!("HEAD {long} HTTP/1.1")] {
        let mut unix = UnixStream::connect(&path).await.unwrap();
        for answer in [send(address, head).await, exchange(&mut unix, head).await] {
            assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
            assert!(answer.contains("content-length: "), "{answer}");
            assert!(answer.ends_with("\r\n\r\n"), "{answer}");
        }
    }
}

/// A FIFO that nobody writes to would keep the program waiting, and a long file that is cut may pass.
#[tokio::test]
async fn only_regular_files_of_some_length_are_read() {
    let folder = Authority::new().folder();
    let path = |name: &str| folder.path().join(name);
    let made = Command::new("mkfifo").arg(path("fifo")).status().unwrap();
    assert!(made.success());
    std::fs::create_dir(path("directory")).unwrap();
    let limit = 1 << 20;
    std::fs::write(path("full"), "#".repeat(limit)).unwrap();
    std::fs::write(path("long"), "#".repeat(limit + 1)).unwrap();
    let load = |name: &str| {
        let lock = Lock::load(&path(name), SelfMetrics::new().unwrap());
        lock.map(|_| ()).map_err(|problems| problems.to_string())
    };
    assert_eq!(load("full"), Ok(()));
    for (name, rule) in [
        ("fifo", "it is not a regular file"),
        ("directory", "it is not a regular file"),
        ("long", "it is longer than 1 MiB"),
    ] {
        let error = load(name).unwrap_err();
        let expected = format!("{}: cannot read it: {rule}", path(name).display());
        assert!(error.starts_with(&expected), "{error}");
        let tls = format!("tls_server_config: {{cert_file: {name}, key_file: server.key}}\n");
        std::fs::write(path("web.yml"), tls).unwrap();
        let error = load("web.yml").unwrap_err();
        let expected = format!(": cert_file: cannot read {}: {rule}", path(name).display());
        assert!(error.contains(&expected), "{error}");
    }
}

/// A file that is read while it is written may be empty, or end early.
#[tokio::test]
async fn a_reload_never_opens_the_door() {
    let ca = Authority::new();
    let clients = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n";
    let names = "  client_allowed_sans: [prometheus.example]\n";
    let tls = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";
    let alice = users(&[("alice", "wonder land")]);
    let reloads = "vminsights_exporter_web_config_reloads_total";

    let rig = Rig::with(ca.folder(), &alice).await;
    for (index, less) in ["", "basic_auth_users:\n", "{}", "# alice\n"]
        .iter()
        .enumerate()
    {
        rig.write("web.yml", less);
        rig.lock.refresh();
        rig.lock.refresh();
        let failures = (index + 1) as f64;
        assert_eq!(rig.counted(reloads, "failure"), failures, "{less:?}");
        let answer = send(rig.address, "GET /metrics HTTP/1.1").await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{less:?}: {answer}");
    }
    rig.write("web.yml", &users(&[("bob", "builder")]));
    rig.lock.refresh();
    assert_eq!(rig.counted(reloads, "success"), 1.0, "other users are fine");

    let rig = Rig::with(ca.folder(), &format!("{tls}{clients}{names}")).await;
    let url = format!("https://{}/-/healthy", rig.address);
    for (index, less) in [String::new(), clients.to_owned()].iter().enumerate() {
        rig.write("web.yml", &format!("{tls}{less}"));
        rig.lock.refresh();
        assert_eq!(rig.counted(reloads, "failure"), (index + 1) as f64);
        let other = ca.client_with(&ca.sign("grafana.example"));
        for client in [ca.client(), other] {
            let answer = client.build().unwrap().get(&url).send().await;
            assert!(answer.is_err(), "{less:?} opened the door");
        }
    }
    let good = ca.client_with(&ca.sign("prometheus.example"));
    let answer = good.build().unwrap().get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// Nothing is remembered yet when the right password comes.
#[tokio::test]
async fn a_flood_of_wrong_passwords_does_not_lock_out_the_right_one() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::with(folder, &users(&[("alice", "wonder land")])).await;
    let address = rig.address;
    let refused = Arc::new(Semaphore::new(0));
    let mut flood = JoinSet::new();
    for _ in 0..48 {
        let refused = refused.clone();
        flood.spawn(async move {
            loop {
                let wrong = "GET / HTTP/1.1\r\nAuthorization: Basic YWxpY2U6eA==";
                let answer = send(address, wrong).await;
                assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
                refused.add_permits(1);
            }
        });
    }
    // It is under way.
    let under_way = tokio::time::timeout(SOON, refused.acquire_many(48)).await;
    assert!(under_way.is_ok());
    let right = "GET / HTTP/1.1\r\nAuthorization: Basic YWxpY2U6d29uZGVyIGxhbmQ=";
    let answer = send(address, right).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// What is logged, for this thread's tests to read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn users_without_tls_are_warned_of_when_a_reload_brings_them() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let _set = tracing::subscriber::set_default(subscriber);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.yml");
    std::fs::write(&file, "").unwrap();
    let metrics = SelfMetrics::new().unwrap();
    let lock = Arc::new(Lock::load(&file, metrics.clone()).unwrap());
    let limits = Limits {
        reload: Duration::from_millis(5),
        ..Limits::default()
    };
    let addresses = ["0.0.0.0:0".parse().unwrap(), "127.0.0.1:0".parse().unwrap()];
    let server = Server::bind(&addresses, limits).await.unwrap();
    let exposed = address(&server);
    let routes = router(&metrics, Arc::default());
    tokio::spawn(server.serve(routes, lock, metrics, std::future::pending()));
    let text = || String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text(), "");
    std::fs::write(&file, users(&[("alice", "wonder land")])).unwrap();
    let warned = async {
        while !text().contains("passwords travel unencrypted") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, warned).await.unwrap();
    assert!(
        text().contains(&format!("endpoint={exposed}")),
        "{}",
        text()
    );
    assert!(!text().contains("endpoint=127.0.0.1"), "{}", text());
}

#[tokio::test]
async fn a_rate_limit_refuses_what_is_beyond_the_burst() {
    let folder = tempfile::tempdir().unwrap();
    let alice = users(&[("alice", "wonder land")]);
    let web = |burst| format!("{alice}rate_limit: {{interval: 1h, burst: {burst}}}\n");
    let rig = Rig::with(folder, &web(2)).await;
    let credentials = "Authorization: Basic YWxpY2U6d29uZGVyIGxhbmQ=";
    let user = format!("GET / HTTP/1.1\r\n{credentials}");
    let stranger = "GET / HTTP/1.1";
    let codes = async |heads: &[&str]| {
        let mut codes = Vec::new();
        for head in heads {
            codes.push(send(rig.address, head).await[9..12].to_owned());
        }
        codes
    };
    // Strangers use up nothing.
    let heads = [stranger, stranger, stranger, &user, &user, &user, stranger];
    let expected = ["401", "401", "401", "200", "200", "429", "401"];
    assert_eq!(codes(&heads).await, expected);
    // The same rate goes on where it was; another one begins full.
    rig.write("web.yml", &format!("# new\n{}", web(2)));
    rig.lock.refresh();
    assert_eq!(codes(&[&user]).await, ["429"]);
    rig.write("web.yml", &web(1));
    rig.lock.refresh();
    assert_eq!(codes(&[&user, &user]).await, ["200", "429"]);
}

#[tokio::test]
async fn a_rate_limit_without_users_counts_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::with(folder, "rate_limit: {interval: 1h, burst: 1}\n").await;
    for code in ["200", "429"] {
        let answer = send(rig.address, "GET / HTTP/1.1").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{answer}");
    }
}

#[tokio::test]
async fn other_methods_unknown_paths_and_endless_heads_are_refused() {
    let rig = Rig::open(Limits::default()).await;
    let long_path = format!("GET /{} HTTP/1.1", "x".repeat(5_000));
    let long_head = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(64 << 10));
    for (head, code) in [
        ("POST /metrics HTTP/1.1", "405"),
        ("OPTIONS / HTTP/1.1", "405"),
        ("GET /nowhere HTTP/1.1", "404"),
        ("POST /nowhere HTTP/1.1", "404"),
        (long_path.as_str(), "414"),
        (long_head.as_str(), "431"),
    ] {
        let answer = send(rig.address, head).await;
        let told = answer.lines().next().unwrap_or_default();
        assert!(
            told.starts_with(&format!("HTTP/1.1 {code} ")),
            "{head:.40}: {told}"
        );
        assert_eq!(
            answer.contains("allow: GET,HEAD\r\n"),
            code == "405",
            "{answer}"
        );
    }
}

#[tokio::test]
async fn silent_and_dawdling_clients_are_let_go() {
    let short = Duration::from_millis(50);
    let rig = Rig::open(Limits {
        head: short,
        ..Limits::default()
    })
    .await;
    for sent in ["", "GET / HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let read = tokio::time::timeout(SOON, stream.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "still open");
        assert!(!rest.starts_with(b"HTTP/1.1 200"), "{sent:?}");
    }
    // A client that does not read its answer is cut, and the answer ends early.
    let rig = Rig::open(Limits {
        stall: short,
        ..Limits::default()
    })
    .await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    stream
        .write_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    rig.cut("stalled", 1.0).await;
}

/// New requests on the connection renew nothing.
#[tokio::test]
async fn http2_answers_that_nobody_takes_are_let_go() {
    const STREAMS: usize = 4;
    let ca = Authority::new();
    let folder = ca.folder();
    std::fs::write(folder.path().join("web.yml"), TLS).unwrap();
    let limits = Limits {
        stall: Duration::from_secs(1),
        ..Limits::default()
    };
    let rig = Rig::start(limits, folder, Some("web.yml")).await;
    let free = Arc::strong_count(&rig.pages);
    let client = ca.client().build().unwrap();
    let ask = |path| {
        let request = client.get(format!("https://{}{path}", rig.address));
        async move { request.send().await }
    };
    let mut untaken = Vec::new();
    for _ in 0..STREAMS {
        untaken.push(ask("/big").await.unwrap());
    }
    assert_eq!(Arc::strong_count(&rig.pages), free + STREAMS);
    let lively = async {
        loop {
            let _ = ask("/-/healthy").await;
        }
    };
    tokio::select! {
        () = rig.cut("stalled", 1.0) => {}
        () = lively => {}
    }
    let gone = async {
        while Arc::strong_count(&rig.pages) > free {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, gone).await.unwrap();
    for answer in untaken {
        assert!(answer.bytes().await.is_err(), "it was cut");
    }
}

/// However fast the client is.
#[tokio::test]
async fn an_answer_that_takes_too_long_as_a_whole_is_cut() {
    let ca = Authority::new();
    let limits = Limits {
        answer: Duration::from_millis(50),
        ..Limits::default()
    };
    let rig = Rig::open(limits).await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let head = b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut sink = tokio::io::sink();
    let taken = tokio::time::timeout(SOON, tokio::io::copy(&mut stream, &mut sink));
    assert!(taken.await.is_ok(), "still open");
    rig.cut("stalled", 1.0).await;

    let folder = ca.folder();
    std::fs::write(folder.path().join("web.yml"), TLS).unwrap();
    let rig = Rig::start(limits, folder, Some("web.yml")).await;
    let url = format!("https://{}/endless", rig.address);
    let mut answer = ca.client().build().unwrap().get(url).send().await.unwrap();
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    let taken = async { while let Ok(Some(_)) = answer.chunk().await {} };
    let taken = tokio::time::timeout(SOON, taken);
    assert!(taken.await.is_ok(), "still open");
    rig.cut("stalled", 1.0).await;
}

#[tokio::test]
async fn a_thousand_slow_clients_do_not_stop_one_honest_scraper() {
    let rig = Rig::open(Limits {
        connections: 64,
        ..Limits::default()
    })
    .await;
    let mut crowd = Vec::new();
    let come = async {
        for index in 0..1_000 {
            let mut stream = TcpStream::connect(rig.address).await.unwrap();
            // Silent ones, half heads, and answers that are never read.
            let sent = [
                "",
                "GET /metrics HT",
                "GET /big HTTP/1.1\r\nHost: x\r\n\r\n",
            ][index % 3];
            let _ = stream.write_all(sent.as_bytes()).await;
            crowd.push(stream);
        }
    };
    let mut pages = 0;
    let scrape = async {
        loop {
            let page = send(rig.address, "GET /big HTTP/1.1").await;
            let body = page.split_once("\r\n\r\n").map(|(_, body)| body.len());
            assert_eq!(body, Some(BIG), "page {pages}: {page:.100}");
            pages += 1;
        }
    };
    tokio::select! {
        () = come => {}
        () = scrape => {}
    }
    assert!(pages > 0, "no page while the crowd came");
    let page = send(rig.address, "GET /metrics HTTP/1.1").await;
    assert!(page.starts_with("HTTP/1.1 200 "), "{page:.100}");
    let cut = "vminsights_exporter_http_connections_cut_total";
    assert!(rig.counted(cut, "full") >= 900.0);
}

#[tokio::test]
async fn a_scrape_during_shutdown_is_whole_or_refused() {
    let rig = Rig::open(Limits::default()).await;
    let mut slow = TcpStream::connect(rig.address).await.unwrap();
    slow.write_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 1];
    slow.read_exact(&mut first).await.unwrap();
    let mut silent = TcpStream::connect(rig.address).await.unwrap();
    rig.stop.send(()).unwrap();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(SOON, silent.read_to_end(&mut rest)).await;
    assert!(
        read.is_ok() && rest.is_empty(),
        "one that never asked is closed"
    );
    assert!(
        TcpStream::connect(rig.address).await.is_err(),
        "nobody listens"
    );
    assert!(!rig.serving.is_finished(), "it waits for the slow one");
    let mut page = Vec::new();
    slow.read_to_end(&mut page).await.unwrap();
    let body = page.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(page.len() - body, BIG);
    tokio::time::timeout(SOON, rig.serving)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn an_http2_scrape_during_shutdown_is_whole_or_refused() {
    let ca = Authority::new();
    let rig = Rig::with(ca.folder(), TLS).await;
    let client = ca.client().build().unwrap();
    let ask = |path| {
        let request = client.get(format!("https://{}{path}", rig.address));
        async move { request.send().await }
    };
    let mut slow = ask("/big").await.unwrap();
    assert_eq!(slow.version(), reqwest::Version::HTTP_2);
    let mut taken = slow.chunk().await.unwrap().unwrap().len();
    rig.stop.send(()).unwrap();
    let answered = async {
        while let Ok(answer) = ask("/-/healthy").await {
            assert_eq!(answer.text().await.unwrap(), "Healthy.\n");
        }
    };
    let refused = tokio::time::timeout(SOON, answered).await;
    assert!(refused.is_ok(), "new requests are still answered");
    assert!(!rig.serving.is_finished(), "it waits for the slow one");
    while let Some(piece) = slow.chunk().await.unwrap() {
        taken += piece.len();
    }
    assert_eq!(taken, BIG);
    tokio::time::timeout(SOON, rig.serving)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn several_addresses_and_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock");
    let addresses = || {
        let unix = Address::Unix(path.clone());
        [
            "127.0.0.1:0".parse().unwrap(),
            unix,
            "127.0.0.1:0".parse().unwrap(),
        ]
    };
    // A socket that a program left behind is in nobody's way.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let metrics = SelfMetrics::new().unwrap();
    let server = Server::bind(&addresses(), Limits::default()).await.unwrap();
    let endpoints: Vec<Endpoint> = server.endpoints().cloned().collect();
    let second = Server::bind(&addresses()[1..], Limits::default()).await;
    assert!(matches!(second, Err(BindError::InUse(Endpoint::Unix(_)))));
    let (stop, stopped) = oneshot::channel::<()>();
    let lock = Arc::new(Lock::open(metrics.clone()));
    let serving =
        tokio::spawn(
            server.serve(router(&metrics, Arc::default()), lock, metrics, async {
                let _ = stopped.await;
            }),
        );
    for endpoint in endpoints {
        let answer = match endpoint {
            Endpoint::Tcp(address) => send(address, "GET /-/healthy HTTP/1.1").await,
            Endpoint::Unix(path) => {
                use std::os::unix::fs::PermissionsExt;
                let mode = std::fs::metadata(&path).unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o660);
                let mut stream = UnixStream::connect(path).await.unwrap();
                exchange(&mut stream, "GET /-/healthy HTTP/1.1").await
            }
        };
        assert!(answer.ends_with("Healthy.\n"), "{answer}");
    }
    stop.send(()).unwrap();
    tokio::time::timeout(SOON, serving).await.unwrap().unwrap();
    assert!(!path.exists(), "the socket file goes with the server");
    std::fs::write(&path, "a file").unwrap();
    let bound = Server::bind(&addresses()[1..2], Limits::default()).await;
    assert!(matches!(bound, Err(BindError::NoSocket(_))));
}

#[tokio::test]
async fn an_address_that_is_listed_twice_is_told_from_a_taken_one() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = format!("127.0.0.1:{}", taken.local_addr().unwrap().port());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let ours = format!("127.0.0.1:{port}");
    let everywhere = format!("0.0.0.0:{port}");
    let unix = format!("unix:{}", folder.path().join("web.sock").display());
    let twice = |endpoint: &str, held: &str| {
        format!(
            "address {endpoint} is listed twice: this exporter listens on {held} already; \
             list it once with --web.listen-address"
        )
    };
    let in_use = format!(
        "address {other} is in use by another program; \
         choose another with --web.listen-address"
    );
    for (addresses, told) in [
        ([&ours, &ours], twice(&ours, &ours)),
        ([&ours, &everywhere], twice(&everywhere, &ours)),
        ([&unix, &unix], twice(&unix, &unix)),
        ([&ours, &other], in_use),
    ] {
        let addresses = addresses.map(|text| text.parse::<Address>().unwrap());
        let bound = Server::bind(&addresses, Limits::default()).await;
        assert_eq!(bound.err().unwrap().to_string(), told);
    }
}

/// The child has 64 file descriptors and uses them up at a word.
#[tokio::test]
async fn a_lack_of_file_descriptors_is_survived() {
    let test = std::env::current_exe().unwrap();
    let mut child = Command::new("sh")
        .args([
            "-c",
            "ulimit -n 64; exec \"$0\" --ignored --exact --nocapture with_few_file_descriptors",
        ])
        .arg(test)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut tell = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = move |word: &str| {
        let line = lines
            .by_ref()
            .map(Result::unwrap)
            .find(|line| line.contains(word));
        line.unwrap_or_else(|| panic!("no {word}"))
            .rsplit(' ')
            .next()
            .unwrap()
            .to_owned()
    };
    let address: SocketAddr = told("address").parse().unwrap();
    let mut connected = TcpStream::connect(address).await.unwrap();
    let mut ask = async || {
        connected
            .write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"Healthy.\n") {
            assert_ne!(connected.read_buf(&mut answer).await.unwrap(), 0);
        }
    };
    ask().await;
    writeln!(tell, "take").unwrap();
    told("taken");
    let mut waiting = TcpStream::connect(address).await.unwrap();
    ask().await;
    writeln!(tell, "free").unwrap();
    told("freed");
    let answer = exchange(&mut waiting, "GET /-/healthy HTTP/1.1").await;
    assert!(answer.ends_with("Healthy.\n"), "{answer}");
    drop(tell);
    assert!(child.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a process of its own, started by the test above"]
async fn with_few_file_descriptors() {
    let rig = Rig::open(Limits::default()).await;
    println!("\naddress {}", rig.address);
    let commands = tokio::task::spawn_blocking(move || {
        let mut files = Vec::new();
        for line in std::io::stdin().lines() {
            match line.unwrap().as_str() {
                "take" => {
                    files.extend(std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()));
                    assert!(files.len() > 16, "{}", files.len());
                    println!("\ntaken");
                }
                _ => {
                    files.clear();
                    println!("\nfreed");
                }
            }
        }
    });
    commands.await.unwrap();
}

#[test]
fn any_bytes_are_answered_or_end_the_connection() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rig = runtime.block_on(Rig::open(Limits::default()));
    let begin = prop::sample::select(vec![
        "",
        "GET ",
        "GET / HTTP/1.1\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]);
    let config = ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(begin in begin, bytes in prop::collection::vec(any::<u8>(), 0..200))| {
        runtime.block_on(async {
            let mut stream = TcpStream::connect(rig.address).await.unwrap();
            let _ = stream.write_all(begin.as_bytes()).await;
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            let read = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await;
            assert!(read.is_ok(), "neither answered nor ended");
            let answer = send(rig.address, "GET /-/healthy HTTP/1.1").await;
            assert!(answer.ends_with("Healthy.\n"));
        });
    });
}

/// Each bad web configuration is a file beside its exact text; UPDATE_EXPECTED=1 writes the latter.
#[test]
fn each_bad_web_configuration_gets_its_text() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/bad_web_config");
    let mut cases: Vec<_> = std::fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yml"))
        .collect();
    cases.sort();
    assert!(cases.len() >= 8, "only {} cases", cases.len());
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("exporter.yaml");
    std::fs::write(
        &good,
        "workspaces: [{id: 5f6d2b1c-0000-4000-8000-000000000001}]\n",
    )
    .unwrap();
    for case in cases {
        let output = Command::new(env!("CARGO_BIN_EXE_vminsights-exporter"))
            .current_dir(&root)
            .args(["serve", "--config.check", "--config.file"])
            .arg(&good)
            .arg("--web.config.file")
            .arg(case.file_name().unwrap())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        let expected_file = case.with_extension("txt");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&expected_file, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&expected_file).unwrap_or_default();
        assert_eq!(text, expected, "{}", case.display());
        assert_eq!(output.status.code(), Some(64), "{}", case.display());
        assert!(!text.contains("hunter2"), "{text}");
    }
}
