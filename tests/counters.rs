//! The real program counts rows that arrive while it is killed again and again: each once, and no
//! total ever goes back. KILL_LOOP_SECONDS says for how long rows arrive; nine unless set, 600 by hand.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use vminsights_exporter::simulator::{Simulator, SimulatorOptions};

const QUERY: &str = "VMConnection
| where TimeGenerated > ago(2d + lookback)
| where ingestion_time() >= bin(ago(lookback), 1m) and ingestion_time() < until
| where isnotempty(IndicatorThreatType)
| summarize Records = count(), Sent = sum(BytesSent) by Arrived = bin(ingestion_time(), 1m), RemoteIp
";
const DEFINITION: &str = "interval: 1s
labels: {remote_ip: RemoteIp}
metrics:
  - {name: x_records_total, type: counter, help: Records., value: Records, bin: Arrived, combine: sum}
  - {name: x_sent_bytes_total, type: counter, help: Bytes., value: Sent, bin: Arrived, combine: sum}
";

/// When rows begin to arrive, after the first answer, which is the baseline.
const BEFORE: Duration = Duration::from_secs(4);
const SECONDS: u64 = 9;
/// Between two rows.
const STEP: Duration = Duration::from_millis(75);
/// How long the program lives, life after life, again and again while rows arrive.
const LIVES: [u64; 5] = [1_900, 1_150, 2_300, 1_400, 1_700];

struct Exporter(Child);

impl Exporter {
    fn start(folder: &Path) -> Self {
        let log = std::fs::File::options()
            .append(true)
            .create(true)
            .open(folder.join("log"))
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_vminsights-exporter"))
            .current_dir(folder)
            .args(["serve", "--config.file=exporter.yaml"])
            .arg(format!(
                "--web.listen-address=unix:{}",
                folder.join("socket").display()
            ))
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Exporter {
    /// As `kill -9` does.
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The counters on the page, if there is one.
fn counters(folder: &Path) -> BTreeMap<String, u64> {
    let page = || -> std::io::Result<String> {
        let mut stream = UnixStream::connect(folder.join("socket"))?;
        write!(
            stream,
            "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let page = page().unwrap_or_default();
    let lines = page.lines().filter(|line| line.starts_with("x_"));
    lines
        .filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        })
        .collect()
}

fn add(totals: &mut BTreeMap<String, u64>, page: BTreeMap<String, u64>) {
    for (series, value) in page {
        let before = totals.entry(series.clone()).or_insert(value);
        assert!(value >= *before, "{series} fell from {before} to {value}");
        *before = value;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_row_is_counted_once_whenever_the_program_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let seconds = std::env::var("KILL_LOOP_SECONDS").map_or(SECONDS, |text| text.parse().unwrap());
    let arriving = Duration::from_secs(seconds);
    let count = u32::try_from(arriving.as_millis() / STEP.as_millis()).unwrap();
    let first = Timestamp::now() + SignedDuration::try_from(BEFORE).unwrap();
    let mut rows = String::new();
    let mut truth: BTreeMap<String, u64> = BTreeMap::new();
    for row in 0..count {
        let arrives = first + SignedDuration::try_from(STEP * row).unwrap();
        let address = format!("203.0.113.{}", row % 7);
        // Most are of some minutes ago; that they come late costs nothing.
        let generated = arrives - SignedDuration::from_mins(i64::from(row % 40));
        rows += &format!(
            "{{\"TimeGenerated\":\"{generated}\",\"_IngestionTime\":\"{arrives}\",\"Computer\":\"web-1\",\"RemoteIp\":\"{address}\",\"IndicatorThreatType\":\"Botnet\",\"BytesSent\":{row}}}\n"
        );
        for (name, value) in [
            ("x_records_total", 1),
            ("x_sent_bytes_total", u64::from(row)),
        ] {
            let series = format!("{name}{{workspace=\"sim\",remote_ip=\"{address}\"}}");
            *truth.entry(series).or_default() += value;
        }
    }
    let data = folder.join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("VMConnection.ndjson"), rows).unwrap();
    let simulator = Simulator::start(SimulatorOptions {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        scenario: None,
        data: Some(data),
        ..SimulatorOptions::default()
    })
    .await
    .unwrap();
    let access = simulator.access();
    let queries = folder.join("queries");
    std::fs::create_dir(&queries).unwrap();
    for (name, text) in [
        ("queries/records.kql", QUERY),
        ("queries/records.yaml", DEFINITION),
        ("ca.pem", access.ca_pem.as_str()),
        ("secret", access.client_secret.expose()),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let configuration = format!(
        "azure:
  cloud: {{logs: {logs}, audience: {audience}, authority: {authority}, resource_manager: 'https://127.0.0.1:1'}}
  credential: {{client_secret: {{tenant_id: {tenant}, client_id: {client}, secret_file: secret}}}}
  ca_file: ca.pem
workspaces: [{{id: {id}, name: sim}}]
packs: []
queries_dir: queries
state: {{path: state}}
",
        logs = access.endpoint,
        audience = access.audience,
        authority = access.authority,
        tenant = access.tenant_id,
        client = access.client_id,
        id = access.workspace_id,
    );
    std::fs::write(folder.join("exporter.yaml"), configuration).unwrap();

    let mut totals = BTreeMap::new();
    let lives = LIVES.iter().map(|life| Duration::from_millis(*life));
    let mut lives = lives.cycle();
    let arrived = Instant::now() + BEFORE + arriving;
    let mut kills = 0;
    // The first lives until the baseline is there for sure.
    let mut life = BEFORE;
    let deadline = arrived + Duration::from_secs(30);
    while totals != truth {
        let exporter = Exporter::start(folder);
        let killed = Instant::now() + life;
        while Instant::now() < killed && totals != truth {
            tokio::time::sleep(Duration::from_millis(50)).await;
            add(&mut totals, counters(folder));
        }
        drop(exporter);
        kills += 1;
        // The last is not killed.
        life = lives
            .next()
            .filter(|_| Instant::now() < arrived)
            .unwrap_or(Duration::from_secs(20));
        let log = || std::fs::read_to_string(folder.join("log")).unwrap();
        assert!(
            Instant::now() < deadline,
            "{totals:#?} is not {truth:#?}\n{}",
            log()
        );
    }
    println!(
        "{count} rows, each counted once; killed {} times",
        kills - 1
    );
    simulator.stop().await;
}
