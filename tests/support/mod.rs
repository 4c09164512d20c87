//! Programs that the end-to-end tests start: the exporter's release binary, Prometheus, promtool,
//! Python. A child ends with its handle.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A running `demo`, `serve` or `workspace`.
pub struct Exporter {
    child: Child,
    /// Kept open: a program may go on writing.
    _stdout: Option<BufReader<ChildStdout>>,
    /// Of the metrics.
    pub url: String,
    pub announced_after: Duration,
    /// What `workspace` printed.
    pub access: serde_json::Value,
}

impl Exporter {
    pub fn demo(arguments: &[&str]) -> Self {
        let port = format!("--web.listen-address=127.0.0.1:{}", free_port());
        Self::start(&[&["demo", &port], arguments].concat(), |line| {
            let url = line
                .split_whitespace()
                .find(|word| word.ends_with("/metrics"))?;
            Some((url.to_owned(), serde_json::Value::Null))
        })
    }

    pub fn serve(config: &Path) -> Self {
        let port = free_port();
        let config = format!("--config.file={}", config.display());
        let listen = format!("--web.listen-address=127.0.0.1:{port}");
        let child = spawn(&["serve", &config, &listen]);
        Self {
            child,
            _stdout: None,
            url: format!("http://127.0.0.1:{port}/metrics"),
            announced_after: Duration::ZERO,
            access: serde_json::Value::Null,
        }
    }

    pub fn workspace(arguments: &[&str]) -> Self {
        let arguments = [
            &["workspace", "--web.listen-address=127.0.0.1:0"],
            arguments,
        ]
        .concat();
        Self::start(&arguments, |line| {
            let access = serde_json::from_str(line).expect("workspace prints one line of JSON");
            Some((String::new(), access))
        })
    }

    /// Starts the binary and reads its stdout until `ready` finds what it needs in a line.
    fn start(
        arguments: &[&str],
        ready: impl Fn(&str) -> Option<(String, serde_json::Value)>,
    ) -> Self {
        let started = Instant::now();
        let mut child = spawn(arguments);
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while stdout.read_line(&mut line).unwrap() > 0 {
            if let Some((url, access)) = ready(&line) {
                return Self {
                    child,
                    _stdout: Some(stdout),
                    url,
                    announced_after: started.elapsed(),
                    access,
                };
            }
            line.clear();
        }
        panic!("{arguments:?} ended: {:?}", child.wait());
    }

    /// Ctrl-C; the exit code, which must come within 10 s.
    pub fn interrupt(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .unwrap()
                .success()
        );
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("still running 10 s after Ctrl-C");
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(arguments: &[&str]) -> Child {
    let binary = std::env::var_os("VMINSIGHTS_EXPORTER")
        .map(PathBuf::from)
        .expect("VMINSIGHTS_EXPORTER must name the release binary; `make test` sets it");
    Command::new(&binary)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", binary.display()))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The page at `url`; it may take the server a moment to listen.
pub async fn page(url: &str) -> String {
    get(url).await.text().await.unwrap()
}

/// An HTTP client; reqwest builds none before a TLS provider is chosen, whatever the scheme.
pub fn client() -> reqwest::Client {
    // Whichever test comes first chooses.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

async fn get(url: &str) -> reqwest::Response {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match client().get(url).send().await {
            Ok(answer) => {
                assert_eq!(answer.status(), 200, "{url}");
                return answer;
            }
            Err(error) if Instant::now() > deadline => panic!("{url}: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Whether `/-/ready` says so.
pub async fn is_ready(metrics_url: &str) -> bool {
    let url = metrics_url.replace("/metrics", "/-/ready");
    let answer = client().get(url).send().await;
    answer.is_ok_and(|answer| answer.status() == 200)
}

pub async fn wait_until(what: &str, limit: Duration, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A real Prometheus with one target.
pub struct Prometheus {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// `options` as on its command line.
    pub fn scraping(url: &str, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let target = url
            .trim_start_matches("http://")
            .trim_end_matches("/metrics");
        std::fs::write(
            folder.path().join("prometheus.yml"),
            format!(
                "global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: vminsights\n    static_configs: [{{targets: ['{target}']}}]\n"
            ),
        )
        .unwrap();
        let port = free_port();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", path("prometheus.yml")))
            .arg(format!("--storage.tsdb.path={}", path("data")))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(options)
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus must be installed; `make test` does that");
        Self {
            child,
            url: format!("http://127.0.0.1:{port}/api/v1/query"),
            _folder: folder,
        }
    }

    /// The value of a query that has one.
    pub async fn value(&self, promql: &str) -> Option<f64> {
        let url = reqwest::Url::parse_with_params(&self.url, [("query", promql)]).unwrap();
        let answer = client().get(url).send().await.ok()?;
        let answer: serde_json::Value = answer.json().await.ok()?;
        assert_eq!(answer["status"], "success", "{promql}: {answer}");
        let result = answer["data"]["result"].as_array()?.first()?;
        result["value"][1].as_str()?.parse().ok()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program with `input` on stdin; its stdout, if it ends well.
pub fn pipe(mut command: Command, input: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; `make test` installs it"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let mut stdout = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut stdout)
        .unwrap();
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    let status = child.wait().unwrap();
    let _ = writer.join();
    assert!(status.success(), "{command:?}: {status}\n{stdout}{stderr}");
    stdout + &stderr
}

/// `promtool check metrics` has no complaint.
pub fn promtool_check(page: &str) {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]);
    assert_eq!(pipe(promtool, page), "", "promtool complains");
}

/// What Python's prometheus_client makes of the page at `url` in all text formats: series by family.
pub fn parse_page(url: &str) -> HashMap<String, u64> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut python = Command::new(root.join(".tools/python/bin/python"));
    python
        .arg(root.join("tests/programs/parse_page.py"))
        .arg(url);
    serde_json::from_str(&pipe(python, "")).unwrap()
}
