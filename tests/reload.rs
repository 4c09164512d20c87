//! The program reads its configuration again: by SIGHUP and over HTTP.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(20);

/// A running exporter, which listens on a socket in its own folder and reaches no Azure.
struct Exporter {
    folder: TempDir,
    child: Child,
}

impl Exporter {
    fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        configure(folder.path(), "prod");
        let child = Command::new(env!("CARGO_BIN_EXE_vminsights-exporter"))
            .current_dir(folder.path())
            .args(["serve", "--config.file=exporter.yaml"])
            .arg(format!(
                "--web.listen-address=unix:{}",
                folder.path().join("socket").display()
            ))
            .args(options)
            // No Azure CLI is found there.
            .env("PATH", folder.path())
            .stderr(Stdio::from(
                std::fs::File::create(folder.path().join("log")).unwrap(),
            ))
            .spawn()
            .unwrap();
        let exporter = Self { folder, child };
        exporter.until("it listens", |exporter| {
            UnixStream::connect(exporter.folder.path().join("socket")).is_ok()
        });
        exporter
    }

    fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + SOON;
        while !condition(self) {
            assert!(Instant::now() < deadline, "{what}: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// An answer's status and body.
    fn send(&self, method: &str, path: &str) -> (u16, String) {
        let mut stream = UnixStream::connect(self.folder.path().join("socket")).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    fn page(&self) -> String {
        self.send("GET", "/metrics").1
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configure(folder: &Path, workspace: &str) {
    let text = format!(
        "azure: {{credential: azure_cli}}\npacks: [feed]\nworkspaces:\n  \
         - {{id: 5f6d2b1c-0000-4000-8000-000000000001, name: always}}\n  \
         - {{id: 5f6d2b1c-0000-4000-8000-000000000002, name: {workspace}}}\n"
    );
    std::fs::write(folder.join("exporter.yaml"), text).unwrap();
}

fn has(page: &str, workspace: &str) -> bool {
    page.contains(&format!("workspace=\"{workspace}\""))
}

const GOOD: &str = "\nvminsights_exporter_config_last_reload_successful 1\n";
const BAD: &str = "\nvminsights_exporter_config_last_reload_successful 0\n";

#[test]
fn post_applies_a_good_configuration_and_refuses_a_bad_one() {
    let exporter = Exporter::start(&["--web.enable-lifecycle"]);
    let page = exporter.page();
    assert!(has(&page, "prod") && page.contains(GOOD), "{page}");

    configure(exporter.folder.path(), "dev");
    assert_eq!(
        exporter.send("POST", "/-/reload"),
        (
            200,
            "Reloaded: polls: 5 kept, 5 started, 0 restarted, 5 removed\n".into()
        )
    );
    let page = exporter.page();
    assert!(has(&page, "always") && has(&page, "dev"), "{page}");
    assert!(!has(&page, "prod"), "{page}");
    let status = exporter.send("GET", "/").1;
    assert!(status.contains("dev") && !status.contains("prod"));

    std::fs::write(
        exporter.folder.path().join("exporter.yaml"),
        "packs: [moon]",
    )
    .unwrap();
    let (status, told) = exporter.send("PUT", "/-/reload");
    let check = Command::new(env!("CARGO_BIN_EXE_vminsights-exporter"))
        .current_dir(exporter.folder.path())
        .args(["check", "--config.file=exporter.yaml"])
        .output()
        .unwrap();
    assert_eq!(status, 500);
    assert_eq!(told, String::from_utf8(check.stderr).unwrap());
    let page = exporter.page();
    assert!(page.contains(BAD) && has(&page, "dev"), "{page}");
    assert!(page.contains("config_reloads_total{outcome=\"failure\"} 1\n"));
    assert!(page.contains("config_reloads_total{outcome=\"success\"} 1\n"));
    assert!(exporter.log().contains("the last good one stays in use"));
    assert_eq!(exporter.send("GET", "/-/reload").0, 405);
}

#[test]
fn sighup_reloads_and_http_does_not_unless_it_may() {
    let exporter = Exporter::start(&[]);
    configure(exporter.folder.path(), "dev");
    let (status, told) = exporter.send("POST", "/-/reload");
    assert_eq!(status, 403);
    assert!(told.contains("--web.enable-lifecycle"), "{told}");
    assert!(has(&exporter.page(), "prod"));
    exporter.signal("-HUP");
    exporter.until("the new workspace", |exporter| has(&exporter.page(), "dev"));
    assert!(exporter.page().contains(GOOD));
}

#[test]
fn a_shard_asks_its_own_workspaces_also_after_a_reload() {
    let shards = ["--shard=0/2", "--shard=1/2"]
        .map(|shard| Exporter::start(&[shard, "--web.enable-lifecycle"]));
    for (index, shard) in shards.iter().enumerate() {
        let info = format!("shard_info{{shard=\"{index}\",shards=\"2\"}} 1\n");
        assert!(shard.page().contains(&info), "{info}");
    }
    let having = |name| {
        let pages = shards.iter().map(Exporter::page);
        pages.filter(|page| has(page, name)).count()
    };
    assert_eq!((having("always"), having("prod")), (1, 1));
    for shard in &shards {
        configure(shard.folder.path(), "dev");
        assert_eq!(shard.send("POST", "/-/reload").0, 200);
    }
    assert_eq!((having("always"), having("dev"), having("prod")), (1, 1, 0));
}
