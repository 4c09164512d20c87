//! A snapshot with all that makes formats differ, and the whole page of it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use vminsights_exporter::exposition::Media;
use vminsights_exporter::series::{Family, FamilyHeader, MetricType, SeriesList};
use vminsights_exporter::snapshot::{Block, Contribution, PollKey, PollStatus, SnapshotStore};

pub fn moment() -> Timestamp {
    "2026-03-01T06:30:00.25Z".parse().unwrap()
}

pub fn family(
    name: &str,
    kind: MetricType,
    help: &str,
    labels: &[&str],
    series: &[(&[&str], f64)],
) -> Family {
    let mut list = SeriesList::new(labels.iter().map(|label| label.parse().unwrap()).collect());
    for (labels, value) in series {
        match kind {
            MetricType::Gauge => list.push(labels.iter().copied(), *value),
            MetricType::Counter => list.push_counter(labels.iter().copied(), *value, moment()),
        }
    }
    Family {
        header: FamilyHeader {
            name: name.parse().unwrap(),
            kind,
            help: help.into(),
        },
        series: list,
    }
}

/// What two workspaces' polls publish: escapes, odd numbers, empty labels, a family that both feed,
/// one that has no series, one without labels, and counters.
pub fn store() -> SnapshotStore {
    use MetricType::{Counter, Gauge};
    let free = "Free space,\\ in \"percent\"\nof the disk.";
    let disk = ["workspace", "vm", "disk"];
    let threat = ["workspace", "remote_ip", "threat_type"];
    let store = SnapshotStore::default();
    for (workspace, families) in [
        (
            "prod",
            vec![
                family(
                    "vminsights_disk_free_percent",
                    Gauge,
                    free,
                    &disk,
                    &[
                        (&["prod", "web-1", "C:\\"], 41.25),
                        (&["prod", "say \"hi\"\n", ""], 1e21),
                        (&["prod", "größe", "/"], -0.5),
                    ],
                ),
                family(
                    "vminsights_threat_sent_bytes_total",
                    Counter,
                    "Bytes sent to them.",
                    &threat,
                    &[
                        (&["prod", "192.0.2.1", "Botnet"], 0.0),
                        (&["prod", "2001:db8::1", "C2"], 9_007_199_254_740_993.0),
                    ],
                ),
                family(
                    "vminsights_threat_connections",
                    Gauge,
                    "Records.",
                    &threat,
                    &[],
                ),
            ],
        ),
        (
            "dev",
            vec![
                family(
                    "vminsights_disk_free_percent",
                    Gauge,
                    free,
                    &disk,
                    &[(&["dev", "db", "/"], f64::NAN)],
                ),
                family(
                    "vminsights_disk_read_latency_seconds",
                    Gauge,
                    "How long a read takes.",
                    &disk,
                    &[
                        (&["dev", "db", "/"], f64::INFINITY),
                        (&["dev", "db", "/srv"], f64::NEG_INFINITY),
                        (&["dev", "db", "/tmp"], 1e-9),
                    ],
                ),
                family("my_lonely_gauge", Gauge, "", &[], &[(&[], 42.0)]),
            ],
        ),
    ] {
        let key = PollKey {
            query: "all".into(),
            workspace: workspace.into(),
        };
        let status = PollStatus::new(moment(), Duration::from_secs(60), moment());
        store.publish(&key, |_| Contribution {
            blocks: families
                .into_iter()
                .map(|family| Arc::new(Block::new(family, moment())))
                .collect(),
            status,
            at: moment(),
        });
    }
    store
}

/// What changes with every scrape.
pub fn own() -> Vec<Family> {
    let own = |name, kind, help, value| family(name, kind, help, &[], &[(&[], value)]);
    vec![
        own(
            "process_cpu_seconds_total",
            MetricType::Counter,
            "CPU time.",
            1.5,
        ),
        own(
            "process_resident_memory_bytes",
            MetricType::Gauge,
            "Memory.",
            4096.0,
        ),
        own("process_threads", MetricType::Gauge, "", 0.0),
    ]
}

/// The whole page as a client gets it.
pub fn page(media: Media) -> Vec<u8> {
    let snapshot = store().current();
    let page = snapshot.page(media);
    let tail = page.tail(&own());
    [page.pieces().concat(), tail.to_vec()].concat()
}
