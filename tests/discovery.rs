//! The program finds its workspaces by itself: real sign-in, Resource Graph and queries over TLS. Once
//! from the simulated workspace; where the list of workspaces has to change, from a stand-in.

#[allow(dead_code)]
#[path = "azure_client/server.rs"]
mod server;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use vminsights_exporter::simulator::{Simulator, SimulatorOptions};

use server::{Authority, Behaviour, Reply, Seen, Server};

/// Long enough for a busy machine; nothing waits for it unless a test has failed.
const PATIENT: Duration = Duration::from_secs(30);
const SUBSCRIPTION: &str = "5f6d2b1c-0000-4000-8000-00000000005b";
const LISTED: &str = "5f6d2b1c-0000-4000-8000-000000000001";

/// What Resource Graph says: workspaces by number and name, or that it may not.
type List = Arc<Mutex<Result<Vec<(u64, &'static str)>, u16>>>;

/// Signs in everybody, answers each query with no row, and lists one workspace a page.
struct Azure(List);

impl Behaviour for Azure {
    fn reply(&self, seen: &Seen) -> Reply {
        if seen.path.ends_with("/oauth2/v2.0/token") {
            let token = json!({"token_type": "Bearer", "expires_in": 3600, "access_token": seen.form("scope")});
            return Reply::json(200, token.to_string());
        }
        if !seen.path.starts_with("/providers/Microsoft.ResourceGraph/") {
            return Reply::json(
                200,
                r#"{"tables": [{"name": "PrimaryResult", "columns": [], "rows": []}]}"#,
            );
        }
        let list = match &*self.0.lock().unwrap() {
            Ok(list) => list.clone(),
            Err(status) => {
                let body = json!({"error": {"code": "Forbidden", "message": "not yours"}});
                return Reply::json(*status, body.to_string());
            }
        };
        let asked: Value = serde_json::from_str(&seen.body).unwrap();
        assert_eq!(asked["subscriptions"], json!([SUBSCRIPTION]));
        let page = asked["options"]["$skipToken"]
            .as_str()
            .map_or(0, |page| page.parse().unwrap());
        let rows: Vec<Value> = list
            .iter()
            .skip(page)
            .take(1)
            .map(|&(n, name)| row(n, name))
            .collect();
        let mut body = json!({"data": rows});
        if page + 1 < list.len() {
            body["$skipToken"] = (page + 1).to_string().into();
        }
        Reply::json(200, body.to_string())
    }
}

fn id(number: u64) -> String {
    format!("5f6d2b1c-0000-4000-8000-{number:012}")
}

fn row(number: u64, name: &str) -> Value {
    json!({
        "id": format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.OperationalInsights/workspaces/{name}"),
        "name": name, "resourceGroup": "rg", "tags": null, "customerId": id(number),
    })
}

struct Rig {
    list: List,
    azure: Server,
    folder: TempDir,
}

impl Rig {
    async fn new(list: Result<Vec<(u64, &'static str)>, u16>) -> Self {
        let list = Arc::new(Mutex::new(list));
        let ca = Authority::new();
        let azure = Server::tls(ca.acceptor("127.0.0.1"), Azure(list.clone())).await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), ca.pem()).unwrap();
        std::fs::write(folder.path().join("secret"), "hunter2").unwrap();
        let rig = Self {
            list,
            azure,
            folder,
        };
        rig.configure(&format!(
            "discover: {{subscriptions: [{SUBSCRIPTION}], interval: 1s}}"
        ));
        rig
    }

    fn configure(&self, more: &str) {
        let azure = &self.azure.address;
        let text = format!(
            "azure:
  cloud: {{logs: '{azure}', audience: 'https://logs.example', authority: '{azure}', resource_manager: '{azure}'}}
  credential: {{client_secret: {{tenant_id: t, client_id: c, secret_file: secret}}}}
  ca_file: ca.pem
packs: [feed]
{more}
"
        );
        std::fs::write(self.folder.path().join("exporter.yaml"), text).unwrap();
    }

    fn find(&self, list: Result<Vec<(u64, &'static str)>, u16>) {
        *self.list.lock().unwrap() = list;
    }

    /// How often Resource Graph was asked.
    fn searches(&self) -> usize {
        let seen = self.azure.seen().into_iter();
        seen.filter(|seen| seen.path.contains("ResourceGraph"))
            .count()
    }

    async fn start(&self, name: &str, options: &[&str]) -> Exporter {
        Exporter::start(self.folder.path(), name, options).await
    }
}
struct Exporter {
    socket: String,
    log: String,
    _child: Child,
}

impl Exporter {
    /// Starts `serve` on `exporter.yaml` in this folder, and waits until it listens.
    async fn start(folder: &Path, name: &str, options: &[&str]) -> Self {
        let log = folder.join(format!("{name}.log"));
        let socket = folder.join(name);
        let child = Command::new(env!("CARGO_BIN_EXE_vminsights-exporter"))
            .current_dir(folder)
            .args([
                "serve",
                "--config.file=exporter.yaml",
                "--web.enable-lifecycle",
            ])
            .arg(format!("--web.listen-address=unix:{}", socket.display()))
            .args(options)
            .stderr(Stdio::from(std::fs::File::create(&log).unwrap()))
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let exporter = Exporter {
            socket: socket.to_str().unwrap().into(),
            log: log.to_str().unwrap().into(),
            _child: child,
        };
        exporter
            .until("it listens", async || exporter.healthy().await)
            .await;
        exporter
    }

    async fn send(&self, request: &str) -> std::io::Result<(u16, String)> {
        let mut stream = UnixStream::connect(&self.socket).await?;
        let text = format!(
            "{request} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(text.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Ok((head[9..12].parse().unwrap(), body.to_owned()))
    }

    async fn healthy(&self) -> bool {
        self.send("GET /-/healthy").await.is_ok()
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.send(&format!("GET {path}")).await.unwrap()
    }

    /// The workspaces that the page has.
    async fn workspaces(&self) -> Vec<String> {
        let page = self.get("/metrics").await.1;
        let values = page.split("workspace=\"").skip(1);
        let names = values.map(|rest| rest.split('"').next().unwrap().to_owned());
        let names: std::collections::BTreeSet<_> = names.collect();
        names.into_iter().collect()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(Path::new(&self.log)).unwrap()
    }

    async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let waited = tokio::time::timeout(PATIENT, async {
            while !condition().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(waited.await.is_ok(), "{what}: {}", self.log());
    }

    async fn until_it_has(&self, names: &[&str]) {
        self.until(&format!("{names:?}"), async || {
            self.workspaces().await == names
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_simulated_workspace_is_found_and_polled() {
    let simulator = Simulator::start(SimulatorOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        vms: 2,
        ..SimulatorOptions::default()
    })
    .await
    .unwrap();
    let access = simulator.access();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), &access.ca_pem).unwrap();
    std::fs::write(folder.path().join("secret"), access.client_secret.expose()).unwrap();
    let text = format!(
        "azure:
  cloud: {{logs: '{}', audience: '{}', authority: '{}', resource_manager: '{}'}}
  credential: {{client_secret: {{tenant_id: {}, client_id: {}, secret_file: secret}}}}
  ca_file: ca.pem
packs: [feed]
discover: {{subscriptions: [{}], tag_labels: [team]}}
",
        access.endpoint,
        access.audience,
        access.authority,
        access.resource_manager,
        access.tenant_id,
        access.client_id,
        access.subscription_id
    );
    std::fs::write(folder.path().join("exporter.yaml"), text).unwrap();
    let exporter = Exporter::start(folder.path(), "one", &[]).await;
    exporter.until_it_has(&["simulated-workspace"]).await;
    exporter
        .until("it has rows", async || {
            let page = exporter.get("/metrics").await.1;
            page.contains("vminsights_table_newest_row_timestamp_seconds{")
        })
        .await;
    let came = format!(
        "msg=\"workspace came\" workspace=simulated-workspace id={}\n",
        access.workspace_id
    );
    assert!(exporter.log().contains(&came), "{}", exporter.log());
    let page = exporter.get("/metrics").await.1;
    let info = page
        .lines()
        .find(|line| line.starts_with("vminsights_workspace_info{"))
        .unwrap();
    for label in [
        format!("workspace_id=\"{}\"", access.workspace_id),
        format!("subscription_id=\"{}\"", access.subscription_id),
        "resource_group=\"simulated\"".to_owned(),
        "location=\"local\"".to_owned(),
    ] {
        assert!(info.contains(&label), "{label} in {info}");
    }
    simulator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_found_is_polled_and_what_vanishes_goes() {
    let rig = Rig::new(Ok(vec![(2, "prod"), (3, "test")])).await;
    let exporter = rig.start("one", &[]).await;
    exporter.until_it_has(&["prod", "test"]).await;
    exporter
        .until("it is ready", async || {
            exporter.get("/-/ready").await.0 == 200
        })
        .await;
    let asked = |number| {
        let path = format!("/v1/workspaces/{}/query", id(number));
        rig.azure.seen().iter().any(|seen| {
            seen.path == path
                && seen.header("authorization") == "Bearer https://logs.example/.default"
        })
    };
    assert!(asked(2) && asked(3));

    rig.find(Ok(vec![(3, "test"), (4, "new")]));
    exporter.until_it_has(&["new", "test"]).await;
    let log = exporter.log();
    for line in [
        format!("msg=\"workspace came\" workspace=prod id={}\n", id(2)),
        format!("msg=\"workspace went\" workspace=prod id={}\n", id(2)),
        format!("msg=\"workspace came\" workspace=new id={}\n", id(4)),
    ] {
        assert_eq!(log.matches(&line).count(), 1, "{line} in {log}");
    }
    let unmoved = |event| {
        log.matches(&format!("msg=\"workspace {event}\" workspace=test"))
            .count()
    };
    assert_eq!((unmoved("came"), unmoved("went")), (1, 0), "{log}");
    assert!(exporter.get("/").await.1.contains("new"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_keeps_the_last_list() {
    let rig = Rig::new(Ok(vec![(2, "prod")])).await;
    let exporter = rig.start("one", &[]).await;
    exporter.until_it_has(&["prod"]).await;
    for (list, error) in [
        (Err(403), "refuses to list workspaces: HTTP 403: not yours"),
        (Ok(Vec::new()), "no workspace was found in 1 subscriptions"),
    ] {
        rig.find(list);
        exporter
            .until(error, async || exporter.log().contains(error))
            .await;
        assert_eq!(exporter.workspaces().await, ["prod"]);
    }
    assert!(exporter.log().contains("Log Analytics Reader"), "no hint");
    let page = exporter.get("/metrics").await.1;
    assert!(
        page.contains("\nvminsights_exporter_discovery_workspaces 1\n"),
        "{page}"
    );
    rig.find(Ok(vec![(3, "test")]));
    exporter.until_it_has(&["test"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_serves_and_is_not_ready_while_the_first_list_fails() {
    let rig = Rig::new(Err(403)).await;
    let exporter = rig.start("one", &[]).await;
    exporter
        .until("two tries", async || rig.searches() >= 2)
        .await;
    assert_eq!(
        exporter.get("/-/ready").await,
        (
            503,
            "Not ready: the list of workspaces has not been had yet.\n".into()
        )
    );
    assert!(exporter.workspaces().await.is_empty());
    rig.find(Ok(vec![(2, "prod")]));
    exporter
        .until("it is ready", async || {
            exporter.get("/-/ready").await.0 == 200
        })
        .await;
    assert_eq!(exporter.workspaces().await, ["prod"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_takes_new_choices_and_listed_ones_keep_their_names() {
    let rig = Rig::new(Ok(vec![(1, "law-1"), (2, "prod"), (3, "test")])).await;
    let exporter = rig.start("one", &[]).await;
    exporter.until_it_has(&["law-1", "prod", "test"]).await;
    let listed = format!("workspaces: [{{id: {LISTED}, name: always}}]");
    rig.configure(&format!(
        "{listed}\ndiscover: {{subscriptions: [{SUBSCRIPTION}], interval: 1s, exclude: [{{name: PROD}}]}}"
    ));
    assert_eq!(exporter.send("POST /-/reload").await.unwrap().0, 200);
    exporter.until_it_has(&["always", "test"]).await;

    rig.configure(&listed);
    assert_eq!(exporter.send("POST /-/reload").await.unwrap().0, 200);
    // A page may be a moment behind.
    exporter.until_it_has(&["always"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_share_what_is_found() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let rig = Rig::new(Ok((1..).zip(names).collect())).await;
    let zero = rig.start("zero", &["--shard=0/2"]).await;
    let one = rig.start("one", &["--shard=1/2"]).await;
    for exporter in [&zero, &one] {
        exporter
            .until("it is ready", async || {
                exporter.get("/-/ready").await.0 == 200
            })
            .await;
    }
    let (zero, one) = (zero.workspaces().await, one.workspaces().await);
    assert!(!zero.is_empty() && !one.is_empty(), "{zero:?} {one:?}");
    let mut all = [zero, one].concat();
    all.sort();
    assert_eq!(all, names);
}

#[tokio::test]
async fn check_counts_no_discovered_workspace() {
    let rig = Rig::new(Ok(Vec::new())).await;
    let output = Command::new(env!("CARGO_BIN_EXE_vminsights-exporter"))
        .current_dir(rig.folder.path())
        .args(["check", "--config.file=exporter.yaml"])
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with("exporter.yaml: good: 0 workspaces, "),
        "{text}"
    );
    assert!(
        text.contains("; needs 0.0 requests per 30 s and 0.0 at once; without discovered workspaces, each of which needs "),
        "{text}"
    );
    assert_eq!(rig.searches(), 0, "check asks nobody");
}
