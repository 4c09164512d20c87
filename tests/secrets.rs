//! No secret leaves the program: it is started with every secret that it can have, meets what makes
//! programs talkative, and all that it says is searched for them.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use vminsights_exporter::config::Settings;
use vminsights_exporter::simulator::{Access, Faults, Scenario, Simulator, SimulatorOptions};

const SOON: Duration = Duration::from_secs(30);
const WRONG_SECRET: &str = "wrong~secret.never.print.this";
const API_KEY: &str = "api-key~never.print.this";
/// The workspace's tokens are so many hexadecimal digits; nothing else has as many in a row.
const TOKEN_DIGITS: usize = 64;

/// What came to the receiver: path, the secret header, body.
type Seen = Arc<Mutex<Vec<(String, String, Bytes)>>>;

/// An OTLP receiver that takes everything. Its death breaks its connections.
struct Receiver {
    address: SocketAddr,
    seen: Seen,
    runtime: Runtime,
}

impl Receiver {
    fn start() -> Self {
        async fn take(State(seen): State<Seen>, uri: Uri, headers: HeaderMap, body: Bytes) {
            let key = headers["api-key"].to_str().unwrap().to_owned();
            seen.lock().unwrap().push((uri.path().into(), key, body));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listen = tokio::net::TcpListener::bind("127.0.0.1:0");
        let listener = runtime.block_on(listen).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Seen::default();
        let router = Router::new().fallback(take).with_state(seen.clone());
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            seen,
            runtime,
        }
    }

    fn has(&self, path: &str) -> bool {
        let seen = self.seen.lock().unwrap();
        seen.iter().any(|(seen, ..)| seen == path)
    }

    fn die(self) -> Seen {
        self.runtime.shutdown_background();
        self.seen
    }
}

/// The program, in a folder of its own that holds its configuration, secrets and output.
struct Exporter {
    folder: TempDir,
    child: Child,
}

impl Exporter {
    fn start(access: &Access, receiver: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        configure(folder.path(), access, receiver);
        let file = |name| Stdio::from(File::create(folder.path().join(name)).unwrap());
        let child = Command::new(env!("CARGO_BIN_EXE_vminsights-exporter"))
            .current_dir(folder.path())
            .args(["serve", "--config.file=exporter.yaml", "--log.level=debug"])
            .arg(format!(
                "--web.listen-address=unix:{}",
                folder.path().join("socket").display()
            ))
            .env("OTEL_BSP_SCHEDULE_DELAY", "100")
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap();
        Self { folder, child }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// An answer as it came, its head too; empty while nothing listens.
    fn get(&self, path: &str) -> String {
        let mut answer = String::new();
        if let Ok(mut stream) = UnixStream::connect(self.folder.path().join("socket")) {
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            stream.read_to_string(&mut answer).unwrap();
        }
        answer
    }

    fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + SOON;
        while !condition(self) {
            assert!(Instant::now() < deadline, "{what}: {}", self.read("stderr"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn until_page_has(&self, text: &str) {
        self.until(text, |exporter| exporter.get("/metrics").contains(text));
    }

    /// Everything that anybody can see of it, and where.
    fn said(&self) -> Vec<(&'static str, String)> {
        let process = Path::new("/proc").join(self.child.id().to_string());
        let of_process = |name| {
            let text = fs::read(process.join(name)).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        };
        vec![
            ("/metrics", self.get("/metrics")),
            ("/", self.get("/")),
            ("a page that is not there", self.get("/nowhere")),
            ("cmdline", of_process("cmdline")),
            ("comm", of_process("comm")),
            ("environ", of_process("environ")),
            ("stdout", self.read("stdout")),
            ("stderr", self.read("stderr")),
        ]
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configure(folder: &Path, access: &Access, receiver: SocketAddr) {
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("ca.pem", &access.ca_pem);
    write("secret", WRONG_SECRET);
    write("headers", &format!("api-key: {API_KEY}\n"));
    fs::create_dir(folder.join("queries")).unwrap();
    write("queries/seven.kql", "print n = 7");
    write(
        "queries/seven.yaml",
        "interval: 1s\nmetrics: [{name: x_seven, type: gauge, help: Seven., value: n}]\n",
    );
    let Access {
        endpoint,
        authority,
        audience,
        tenant_id,
        client_id,
        workspace_id,
        ..
    } = access;
    write(
        "exporter.yaml",
        &format!(
            "azure:
  cloud: {{logs: '{endpoint}', authority: '{authority}', audience: '{audience}'}}
  credential: {{client_secret: {{tenant_id: {tenant_id}, client_id: {client_id}, secret_file: secret}}}}
  ca_file: ca.pem
workspaces: [{{id: {workspace_id}, name: prod}}]
packs: []
queries_dir: queries
otlp:
  endpoint: http://{receiver}
  interval: 1s
  compression: none
  headers_file: headers
  traces: {{ratio: 1}}
"
        ),
    );
}

/// Whether it holds one of the workspace's tokens, whichever.
fn holds_token(text: &str) -> bool {
    let mut runs = text.split(|digit: char| !digit.is_ascii_hexdigit());
    runs.any(|run| run.len() >= TOKEN_DIGITS)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_tells_no_secret() {
    let rules = "rules: [{on: query, after: 2, times: 1, answer: expired_token}]";
    let simulator = Simulator::start(SimulatorOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        vms: 1,
        scenario: Some(Scenario::Calm),
        faults: Faults::from_yaml(Path::new("faults.yaml"), rules).unwrap(),
        ..SimulatorOptions::default()
    })
    .await
    .unwrap();
    let access = simulator.access().clone();
    let told = tokio::task::spawn_blocking(move || told(&access));
    told.await.unwrap();
    simulator.stop().await;
}

fn told(access: &Access) {
    let receiver = Receiver::start();
    let exporter = Exporter::start(access, receiver.address);
    exporter.until_page_has("reason=\"sign_in\"} ");
    assert!(exporter.read("stderr").contains("AADSTS7000215"));

    let good = access.client_secret.expose();
    fs::write(exporter.folder.path().join("secret"), good).unwrap();
    exporter.until_page_has("\nx_seven{workspace=\"prod\"} 7\n");

    // The token that is taken back is replaced within the same poll.
    exporter.until_page_has("api_requests_total{outcome=\"forbidden\"} 1\n");
    exporter.until_page_has("state=\"ok\"} 1\n");

    for path in ["/v1/traces", "/v1/metrics"] {
        exporter.until(path, |_| receiver.has(path));
    }
    let seen = receiver.die();
    for line in ["does not take our traces", "ended\" outcome=failed"] {
        exporter.until(line, |exporter| exporter.read("stderr").contains(line));
    }

    let mut said = exporter.said();
    for (path, key, body) in seen.lock().unwrap().drain(..) {
        assert_eq!(key, API_KEY, "the receiver is told it: {path}");
        said.push(("OTLP", String::from_utf8_lossy(&body).into_owned()));
    }
    let settings = Settings::load(&exporter.folder.path().join("exporter.yaml")).unwrap();
    assert!(settings.otlp.is_some());
    said.push(("Debug of the settings", format!("{settings:?}")));
    for (place, text) in said {
        assert!(!text.is_empty() || place == "stdout", "{place} is empty");
        for secret in [good, WRONG_SECRET, API_KEY] {
            assert!(!text.contains(secret), "{place} holds {secret}: {text}");
        }
        assert!(!holds_token(&text), "{place} holds a token: {text}");
        assert!(!text.contains("Bearer "), "{place}: {text}");
    }
}

#[test]
fn the_search_finds_a_token() {
    let token = "0123456789abcdef".repeat(TOKEN_DIGITS / 16);
    assert!(holds_token(&format!("authorization=\"Bearer {token}\"")));
    assert!(!holds_token(&token[1..]));
}
