//! The server and its lock over loopback: TLS, users, limits, and what hostile or slow clients get.

mod hostile;
mod limits;
mod listening;
mod tls;
mod users;

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
        lifecycle: None,
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
