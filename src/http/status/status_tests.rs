use std::path::Path;
use std::time::Duration;

use base64::Engine;

use super::*;
use crate::series::{Family, FamilyHeader, MetricType, RowIssue, RowIssues, SeriesList};
use crate::snapshot::{Block, Contribution, Failure, PollKey, PollStatus, SnapshotStore, Success};
use crate::telemetry::FailureReason;

/// 2026-11-24 03:00:00 UTC.
const NOW: i64 = 1_795_489_200;

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn status() -> PollStatus {
    PollStatus::new(
        second(NOW - 3_600),
        Duration::from_secs(60),
        second(NOW + 48),
    )
}

fn answered(rows: u64, series: u64) -> PollStatus {
    let mut status = status();
    status.succeed(Success {
        at: second(NOW - 12),
        duration: Duration::from_millis(1_234),
        rows,
        series,
        issues: RowIssues::default(),
        cpu: None,
        scanned_bytes: None,
    });
    status
}

fn failed(mut status: PollStatus, reason: FailureReason, message: &str, hint: &str) -> PollStatus {
    status.fail(Failure {
        at: second(NOW - 5),
        duration: Duration::from_millis(200),
        reason,
        message: message.into(),
        hint: Some(hint.into()),
    });
    status
}

type Sample<'a> = (&'a [&'a str], f64);

fn family(name: &str, labels: &[&str], samples: &[Sample]) -> Arc<Block> {
    let names = ["workspace"].iter().chain(labels);
    let mut series = SeriesList::new(names.map(|name| name.parse().unwrap()).collect());
    for (labels, value) in samples {
        series.push(labels.iter().copied(), *value);
    }
    let header = FamilyHeader {
        name: name.parse().unwrap(),
        kind: MetricType::Gauge,
        help: "What it is, of the last 15 minutes.".into(),
    };
    Arc::new(Block::new(Family { header, series }, second(NOW - 12)))
}

const THREAT: [&str; 5] = ["vm", "resource_id", "remote_ip", "threat_type", "direction"];
const INDICATOR: [&str; 4] = ["vm", "resource_id", "remote_ip", "threat_type"];
const DISK: [&str; 3] = ["vm", "resource_id", "disk"];

/// An exporter that asks three queries of one workspace.
struct Scene {
    store: SnapshotStore,
    about: About,
}

impl Scene {
    fn new(workspace: &str) -> Self {
        let query = |name: &str, family: &str| AboutQuery {
            name: name.into(),
            terms: "every 1m".into(),
            families: vec![family.into()],
        };
        Self {
            store: SnapshotStore::default(),
            about: About {
                is_searching: false,
                workspaces: vec![workspace.into()],
                queries: vec![
                    query("disks", "vminsights_disk_free_percent"),
                    query("threats", "vminsights_threat_connections"),
                    query("feed", "vminsights_table_newest_row_timestamp_seconds"),
                ],
                configuration: vec![("azure.cloud".into(), "public".into())],
            },
        }
    }

    fn publish(&self, query: &str, status: PollStatus, blocks: Vec<Arc<Block>>) {
        let workspace = self.about.workspaces[0].clone();
        let key = PollKey {
            query: query.into(),
            workspace,
        };
        self.store.publish(&key, |_| Contribution {
            blocks,
            status,
            at: second(NOW - 12),
        });
    }

    fn feed(&self, newest: i64) {
        let workspace = &*self.about.workspaces[0];
        let sample: [Sample; 1] = [(&[workspace, "VMConnection"], newest as f64)];
        let family = family(
            "vminsights_table_newest_row_timestamp_seconds",
            &["table"],
            &sample,
        );
        self.publish("feed", answered(1, 1), vec![family]);
    }

    fn html(&self) -> String {
        let page = Page {
            snapshot: &self.store.current(),
            about: &self.about,
            telemetry_path: "/metrics",
            began: second(NOW - 3_600),
            now: second(NOW),
        };
        let html = page.html();
        // For a look in a browser.
        if let Some(folder) = std::env::var_os("STATUS_PAGES") {
            let name = std::thread::current().name().unwrap().replace("::", "-");
            std::fs::write(Path::new(&folder).join(name + ".html"), &html).unwrap();
        }
        html
    }

    /// Without the style, which changes for no reason of content.
    fn golden(&self) -> String {
        self.html()
            .replace(STYLE, "…")
            .replace(env!("CARGO_PKG_VERSION"), "VERSION")
    }
}

fn healthy() -> Scene {
    let scene = Scene::new("prod");
    let disk: [Sample; 2] = [
        (&["prod", "web-1", "/subscriptions/s/vm/web-1", "/var"], 3.2),
        (&["prod", "db-1", "/subscriptions/s/vm/db-1", "C:"], 41.0),
    ];
    let free: [Sample; 1] = [(
        &["prod", "web-1", "/subscriptions/s/vm/web-1", "/var"],
        2_147_483_648.0,
    )];
    scene.publish(
        "disks",
        answered(2, 3),
        vec![
            family("vminsights_disk_free_percent", &DISK, &disk),
            family("vminsights_disk_free_bytes", &DISK, &free),
        ],
    );
    let threats: [Sample; 3] = [
        (
            &[
                "prod",
                "web-1",
                "/s/web-1",
                "198.51.100.7",
                "C2",
                "outbound",
            ],
            2.0,
        ),
        (
            &[
                "prod",
                "web-1",
                "/s/web-1",
                "192.0.2.1",
                "Botnet",
                "inbound",
            ],
            1200.0,
        ),
        (
            &[
                "prod", "overflow", "overflow", "overflow", "overflow", "overflow",
            ],
            9.0,
        ),
    ];
    let severity: [Sample; 1] = [(&["prod", "web-1", "/s/web-1", "192.0.2.1", "Botnet"], 3.0)];
    let seen: [Sample; 1] = [(
        &["prod", "web-1", "/s/web-1", "192.0.2.1", "Botnet"],
        (NOW - 61) as f64,
    )];
    scene.publish(
        "threats",
        answered(3, 3),
        vec![
            family("vminsights_threat_connections", &THREAT, &threats),
            family("vminsights_threat_severity", &INDICATOR, &severity),
            family(
                "vminsights_threat_last_seen_timestamp_seconds",
                &INDICATOR,
                &seen,
            ),
        ],
    );
    scene.feed(NOW - 120);
    scene
}

#[test]
fn a_healthy_page() {
    insta::assert_snapshot!(healthy().golden());
}

#[test]
fn a_failing_page() {
    let scene = Scene::new("prod");
    let forbidden = |status| {
        failed(
            status,
            FailureReason::Forbidden,
            "403: no access",
            "grant the role \"Log Analytics Reader\"",
        )
    };
    scene.publish("disks", forbidden(status()), vec![]);
    let mut stale = forbidden(answered(3, 3));
    stale.expire();
    scene.publish("threats", stale, vec![]);
    let mut issues = RowIssues::default();
    issues.add(RowIssue::Duplicate, 1_500);
    let mut feed = status();
    feed.succeed(Success {
        at: second(NOW - 90_000),
        duration: Duration::from_millis(30),
        rows: 2_000,
        series: 500,
        issues,
        cpu: None,
        scanned_bytes: None,
    });
    scene.publish("feed", feed, vec![]);
    insta::assert_snapshot!(scene.golden());
}

#[test]
fn a_table_that_is_not_collected_is_no_failure_but_is_said() {
    let scene = Scene::new("prod");
    scene.feed(NOW);
    for query in ["threats", "disks"] {
        scene.publish(query, answered(0, 0), vec![]);
    }
    let missing = FailureReason::NotCollected;
    let missing = failed(status(), missing, "SEM0100", "add a rule");
    scene.publish("ports", missing, vec![]);
    let html = scene.html();
    for said in [
        "answered, but 1 asks a table that is not collected</h1>",
        "∅ not_collected</td>",
        "<small>SEM0100</small><small>add a rule</small>",
    ] {
        assert!(html.contains(said), "{said} is not in\n{html}");
    }
}

#[test]
fn a_page_at_the_start() {
    let scene = Scene::new("prod");
    for query in ["disks", "threats", "feed"] {
        scene.publish(query, status(), vec![]);
    }
    insta::assert_snapshot!(scene.golden());
}

#[test]
fn a_hostile_page() {
    let evil = "<script>alert('x')</script>\"\n&\u{202e}";
    let long = "x".repeat(300);
    let mut scene = Scene::new(evil);
    scene.about.configuration.push((evil.into(), evil.into()));
    let disk: [Sample; 2] = [
        (&[evil, evil, evil, evil], 1.0),
        (&[evil, &long, &long, &long], 2.0),
    ];
    let disk = family("vminsights_disk_free_percent", &DISK, &disk);
    scene.publish("disks", answered(1, 1), vec![disk]);
    let threat: [Sample; 1] = [(&[evil, evil, evil, evil, evil, evil], 1.0)];
    let threat = family("vminsights_threat_connections", &THREAT, &threat);
    let message = format!("{evil}{}", "y".repeat(5_000));
    let status = failed(answered(1, 1), FailureReason::BadQuery, &message, evil);
    scene.publish("threats", status, vec![threat]);
    let html = scene.golden();
    assert!(!html.contains("<script"), "{html}");
    assert!(!html.contains('\u{202e}'), "{html}");
    insta::assert_snapshot!(html);
}

#[test]
fn no_threat_is_said_only_where_the_feed_runs_and_the_query_answers() {
    let none = "None: no address that is known to be malicious";
    let case = |feed: Option<i64>, threats: PollStatus| {
        let scene = Scene::new("prod");
        if let Some(newest) = feed {
            scene.feed(newest);
        }
        scene.publish("threats", threats, vec![]);
        scene.publish("disks", answered(1, 1), vec![]);
        scene.html()
    };
    let html = case(Some(NOW - 900), answered(0, 0));
    assert!(html.contains(none) && !html.contains("⚠"), "{html}");
    let forbidden = failed(answered(0, 0), FailureReason::Forbidden, "403", "grant");
    let not_collected = failed(
        status(),
        FailureReason::NotCollected,
        "SEM0100",
        "add a rule",
    );
    for (feed, threats, doubt) in [
        (
            Some(NOW - 901),
            answered(0, 0),
            "table VMConnection is silent: its newest row arrived 15 min ago.",
        ),
        (
            None,
            answered(0, 0),
            "no row of table VMConnection is known, so whether anything is recorded is not known either.",
        ),
        (Some(NOW), status(), "threats has not answered yet."),
        (
            Some(NOW),
            forbidden,
            "threats fails (forbidden); what is shown is from 12 s ago.",
        ),
        (
            Some(NOW),
            not_collected,
            "the table that threats asks is not collected here.",
        ),
    ] {
        let html = case(feed, threats);
        assert!(!html.contains(none), "{html}");
        let doubt =
            format!("<p class=\"stale\">⚠ Not known:</p>\n<ul>\n<li>Workspace prod: {doubt}</li>");
        assert!(html.contains(&doubt), "{doubt} is not in\n{html}");
    }
}

#[test]
fn ten_of_many_are_shown_the_largest_first_and_equals_by_name() {
    let names: Vec<String> = (0..1_000).map(|n| format!("vm-{n:03}")).collect();
    let rows: Vec<[&str; 4]> = names.iter().map(|vm| ["prod", vm, "id", "/"]).collect();
    let samples: Vec<Sample> = rows
        .iter()
        .enumerate()
        .map(|(n, labels)| (labels.as_slice(), ((n * 37) % 500) as f64))
        .collect();
    let block = family("vminsights_disk_free_percent", &DISK, &samples);
    let key = PollKey {
        query: "disks".into(),
        workspace: "prod".into(),
    };
    let top = values::top(
        &[(&key, &*block)],
        values::Order::Smallest,
        ["vm", "nothing"],
    );
    assert_eq!((top.series, top.first.len()), (1_000, 10));
    let first: Vec<(&str, f64)> = top.first.iter().map(|f| (f.labels[0], f.value)).collect();
    assert_eq!(
        first[..4],
        [
            ("vm-000", 0.0),
            ("vm-500", 0.0),
            ("vm-473", 1.0),
            ("vm-973", 1.0)
        ]
    );
}

#[test]
fn many_queries_of_many_workspaces_stay_readable() {
    let scene = Scene::new("ws");
    for workspace in 0..20 {
        for query in 0..30 {
            let key = PollKey {
                query: format!("query-{query:02}").into(),
                workspace: format!("ws-{workspace:02}").into(),
            };
            let ill = workspace == 7 && query >= 29;
            let status = if ill {
                failed(status(), FailureReason::Timeout, "too slow", "narrow it")
            } else {
                answered(1, 1)
            };
            scene.store.publish(&key, |_| Contribution {
                blocks: vec![],
                status,
                at: second(NOW),
            });
        }
    }
    let html = scene.html();
    assert!(
        html.contains("<title>✗ 1 of 600 polls fails in 1 of 20 workspaces: timeout –"),
        "{html}"
    );
    let (_, tables) = html.split_once("<h2>Queries</h2>\n").unwrap();
    assert!(
        tables.starts_with(
            "<details open><summary>Workspace <b>ws-07</b>: 1 failed, 29 ok</summary>"
        ),
        "{tables}"
    );
    let first_row = tables
        .lines()
        .find(|line| line.starts_with("<tr><td"))
        .unwrap();
    assert!(
        first_row.starts_with("<tr><td class=\"failed\" data-l=\"State\">✗ failed: timeout</td><th scope=\"row\">query-29</th>"),
        "{first_row}"
    );
    assert_eq!(tables.matches("<details open>").count(), 1);
    assert_eq!(tables.matches("<p>And 5 more: 5 ok.</p>").count(), 20);
    assert!(html.len() < 400_000, "{}", html.len());
}

#[test]
fn the_policy_names_the_style_as_it_is() {
    let digest = ring::digest::digest(&ring::digest::SHA256, STYLE.as_bytes());
    let hash = base64::engine::general_purpose::STANDARD.encode(digest);
    assert_eq!(
        SECURITY_POLICY,
        format!(
            "default-src 'none'; style-src 'sha256-{hash}'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
    );
}

#[test]
fn the_families_of_the_tables_are_those_of_the_packs() {
    let pages = [include_str!("tables.rs"), include_str!("doubt.rs")].concat();
    let docs = include_str!("../../../docs/metrics.md");
    let named = pages
        .split('"')
        .filter(|text| text.starts_with("vminsights_"));
    let mut count = 0;
    for name in named {
        assert!(docs.contains(&format!("| `{name}` |")), "{name}");
        count += 1;
    }
    assert_eq!(count, 9);
}
