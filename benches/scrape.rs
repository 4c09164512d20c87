//! Scrapes of a page of about 20 MB: beside a bare hyper server that sends the same bytes, while polls go
//! on, and what a poll makes the next scrape compress; and what a publication costs among 4,000 polls. Needs `wrk`; prints a table.
//!
//! `cargo bench --bench scrape -- [seconds] [coding]`: 5 seconds a row and both codings unless told.

#[path = "support/mod.rs"]
mod support;

use std::convert::Infallible;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::CONTENT_ENCODING;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::net::TcpListener;
use vminsights_exporter::exposition::{Coding, Format, Media};
use vminsights_exporter::http::{Limits, Lock, Server, Site};
use vminsights_exporter::snapshot::{Block, Contribution, PollKey, PollStatus, SnapshotStore};
use vminsights_exporter::telemetry::SelfMetrics;

/// Queries that poll, each with its own family.
const QUERIES: usize = 200;
const MIB: f64 = 1024.0 * 1024.0;

fn poll(store: &SnapshotStore, query: usize, salt: usize) {
    let key = PollKey {
        query: format!("query_{query}").into(),
        workspace: "production-westeurope".into(),
    };
    let name = format!("vminsights_bench_{query}_free_percent");
    let family = support::named_family(&name, support::SERIES / QUERIES, salt);
    let now = Timestamp::now();
    store.publish(&key, |_| Contribution {
        blocks: vec![Arc::new(Block::new(family, now))],
        status: PollStatus::new(now, Duration::from_secs(60), now),
        at: now,
    });
}

/// What one publication costs among `workspaces` × 20 polls, and the scrape after it.
fn publications(workspaces: usize) {
    let store = SnapshotStore::default();
    let publish = |at: usize| {
        let key = PollKey {
            query: format!("query_{}", at % 20).into(),
            workspace: format!("workspace-{}", at / 20).into(),
        };
        let name = format!("vminsights_bench_{}_free_percent", at % 20);
        let block = Block::new(support::named_family(&name, 25, at), Timestamp::UNIX_EPOCH);
        let now = Timestamp::now();
        let started = Instant::now();
        store.publish(&key, |_| Contribution {
            blocks: vec![Arc::new(block)],
            status: PollStatus::new(now, Duration::from_secs(60), now),
            at: now,
        });
        started.elapsed()
    };
    let polls = 20 * workspaces;
    let first: Duration = (0..polls).map(publish).sum();
    let mut again: Vec<Duration> = (0..polls).map(publish).collect();
    again.sort();
    let pages = Coding::ALL.map(|coding| {
        let media = Media {
            coding,
            ..Media::default()
        };
        store.current().page(media);
        publish(polls / 2);
        let started = Instant::now();
        store.current().page(media);
        started.elapsed()
    });
    println!(
        "{polls} polls: all published once in {first:.1?}, then one in {:.1?} (median), {:.1?} (worst); \
         the page after one in {pages:.1?} (plain, gzip)",
        again[polls / 2],
        again[polls - 1],
    );
}

/// A figure from `/proc/self/status`, in MiB.
fn memory(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|rest| {
        rest.trim_matches(|c: char| !c.is_ascii_digit())
            .parse::<f64>()
            .ok()
    });
    kib.unwrap_or_default() / 1024.0
}

/// CPU seconds of this process, by `/proc/self/stat` in hundredths.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.split_whitespace().collect();
    let ticks: f64 = fields[13..15]
        .iter()
        .map(|f| f.parse::<f64>().unwrap())
        .sum();
    ticks / 100.0
}

async fn bare(body: Bytes, coding: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let body = body.clone();
            tokio::spawn(async move {
                let answer = service_fn(move |_: Request<Incoming>| {
                    let answer = Response::builder().header(CONTENT_ENCODING, coding);
                    let answer = answer.body(Full::new(body.clone())).unwrap();
                    async move { Ok::<_, Infallible>(answer) }
                });
                let http = hyper::server::conn::http1::Builder::new();
                let _ = http.serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    url
}

struct Row {
    per_second: f64,
    p50: f64,
    p99: f64,
    cpu: f64,
}

/// What wrk says, in scrapes per second and milliseconds.
async fn wrk(url: &str, connections: usize, seconds: u64, coding: &str) -> Row {
    let mut command = Command::new("wrk");
    command
        .args(["-t1", "--latency", "--timeout=30s"])
        .args([format!("-c{connections}"), format!("-d{seconds}s")])
        .args(["-H", &format!("Accept-Encoding: {coding}")])
        .arg(url);
    let before = cpu();
    let output = tokio::task::spawn_blocking(move || command.output().expect("wrk is installed"))
        .await
        .unwrap();
    let used = cpu() - before;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("Non-2xx"), "{text}");
    let value = |name: &str| {
        let line = text.lines().find(|line| line.trim().starts_with(name));
        let word = line
            .unwrap_or_else(|| panic!("{text}"))
            .split_whitespace()
            .nth(1)
            .unwrap();
        let digits = word.trim_end_matches(char::is_alphabetic);
        let number: f64 = digits.parse().unwrap();
        number
            * match &word[digits.len()..] {
                "us" => 0.001,
                "s" => 1000.0,
                _ => 1.0,
            }
    };
    let per_second = value("Requests/sec:");
    Row {
        per_second,
        p50: value("50%"),
        p99: value("99%"),
        cpu: 1000.0 * used / (per_second * seconds as f64),
    }
}

fn print(name: &str, row: &Row) {
    println!(
        "| {name} | {:.0} | {:.2} | {:.2} | {:.1} | {:.2} |",
        row.per_second,
        row.p50,
        row.p99,
        row.p99 / row.p50,
        row.cpu
    );
}

#[tokio::main]
async fn main() {
    let seconds = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(5);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let before = memory("VmRSS:");
    let store = Arc::new(SnapshotStore::default());
    for query in 0..QUERIES {
        poll(&store, query, query);
    }
    let series = memory("VmRSS:") - before;
    let [identity, gzip] = Coding::ALL.map(|coding| Media {
        format: Format::Text,
        coding,
    });

    println!("## Cold and after one poll\n");
    for media in [gzip, identity] {
        let started = Instant::now();
        let snapshot = store.current();
        let len = snapshot.page(media).len();
        let cold = started.elapsed();
        let fresh = || {
            let blocks = store.current();
            let kept: usize = blocks
                .families()
                .flatten()
                .map(|(_, block)| block.bytes_kept())
                .sum();
            kept
        };
        let kept = memory("VmHWM:") - before;
        poll(&store, 7, 1007);
        let left = fresh();
        let started = Instant::now();
        store.current().page(media);
        let warm = started.elapsed();
        let all = fresh();
        println!(
            "{:?}: page {:.1} MiB, first made in {cold:?}; process holds {kept:.1} MiB more than before \
             (series alone {series:.1}). After one of {QUERIES} polls: made in {warm:?}, {} of {all} bytes \
             encoded anew: {:.2} %",
            media.coding,
            len as f64 / MIB,
            all - left,
            100.0 * (all - left) as f64 / all as f64,
        );
    }

    let snapshot = store.current();
    let whole = |media| {
        let page = snapshot.page(media);
        Bytes::from([&page.pieces().concat()[..], &page.tail(&[])].concat())
    };
    let metrics = SelfMetrics::new().unwrap();
    let site = Site {
        store: store.clone(),
        metrics: metrics.clone(),
        telemetry_path: "/metrics".into(),
        about: Arc::default(),
        lifecycle: None,
    };
    let anywhere = ["127.0.0.1:0".parse().unwrap()];
    let server = Server::bind(&anywhere, Limits::default()).await.unwrap();
    let ours = format!("http://{}/metrics", server.endpoints().next().unwrap());
    let lock = Arc::new(Lock::open(metrics.clone()));
    tokio::spawn(server.serve(site.router(), lock, metrics, std::future::pending()));
    let bares = [
        bare(whole(identity), "identity").await,
        bare(whole(gzip), "gzip").await,
    ];

    println!(
        "\n## Scrapes\n\n| | scrapes/s | p50 ms | p99 ms | p99/p50 | CPU ms/scrape |\n|---|---|---|---|---|---|"
    );
    let codings = ["identity", "gzip"];
    let only = std::env::args().find(|argument| codings.contains(&argument.as_str()));
    let rows = codings.into_iter().zip(&bares);
    let rows = rows.filter(|(coding, _)| only.as_ref().is_none_or(|only| only == coding));
    let rows: Vec<_> = rows.collect();
    for (coding, bare) in &rows {
        for connections in [1, 50] {
            for (server, url) in [("bare hyper", *bare), ("exporter", &ours)] {
                let row = wrk(url, connections, seconds, coding).await;
                print(&format!("{server}, {coding}, {connections} at once"), &row);
            }
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    let polling = {
        let (store, stop) = (store.clone(), stop.clone());
        // 200 queries at 10 s each: one publication every 50 ms.
        std::thread::spawn(move || {
            for turn in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                poll(&store, turn % QUERIES, turn);
                std::thread::sleep(Duration::from_millis(50));
            }
        })
    };
    for (coding, bare) in &rows {
        for (server, url) in [("bare hyper", *bare), ("exporter", &ours)] {
            let row = wrk(url, 50, seconds, coding).await;
            let name = format!("{server}, {coding}, 50 at once, 20 polls a second");
            print(&name, &row);
        }
    }
    stop.store(true, Ordering::Relaxed);
    let _ = polling.join();
    println!("\nVmHWM {:.1} MiB", memory("VmHWM:"));
    println!("\n## Publications\n");
    for workspaces in [10, 200] {
        publications(workspaces);
    }
}
