use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::series::{MetricType, RowIssues};
use crate::telemetry::FailureReason;

fn key(query: &str, workspace: &str) -> PollKey {
    PollKey {
        query: query.into(),
        workspace: workspace.into(),
    }
}

fn block(name: &str, workspace: &str, vms: &[&str]) -> Arc<Block> {
    let names = ["workspace", "vm"].map(|name| name.parse().unwrap());
    let mut series = SeriesList::new(names.into());
    for vm in vms {
        series.push([workspace, vm], 1.0);
    }
    let family = Family {
        header: FamilyHeader {
            name: name.parse().unwrap(),
            kind: MetricType::Gauge,
            help: "Help.".into(),
        },
        series,
    };
    Arc::new(Block::new(family, second(1000)))
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn pending() -> PollStatus {
    PollStatus::new(second(900), Duration::from_secs(60), second(1000))
}

fn text(snapshot: &Snapshot) -> String {
    let page = snapshot.page(Media::default());
    let text = page.pieces().concat();
    assert_eq!(text.len() as u64, page.len());
    String::from_utf8(text).unwrap()
}

#[test]
fn a_family_fed_by_two_polls_is_on_the_page_once() {
    let store = SnapshotStore::default();
    for (query, workspace, vm) in [
        ("b", "prod", "two"),
        ("a", "prod", "one"),
        ("a", "dev", "three"),
    ] {
        store.publish(&key(query, workspace), |_| Contribution {
            blocks: vec![block("x_up", workspace, &[vm])],
            status: pending(),
            at: second(1000),
        });
    }
    let page = text(&store.current());
    let (_, tail) = page.split_once("# HELP x_up").unwrap();
    assert_eq!(
        tail,
        " Help.\n# TYPE x_up gauge\n\
         x_up{workspace=\"dev\",vm=\"three\"} 1\n\
         x_up{workspace=\"prod\",vm=\"one\"} 1\n\
         x_up{workspace=\"prod\",vm=\"two\"} 1\n"
    );
}

#[test]
fn a_publication_replaces_its_own_blocks_and_shares_the_others() {
    let vms: Vec<String> = (0..200).map(|at| format!("vm-{at}")).collect();
    let vms: Vec<&str> = vms.iter().map(String::as_str).collect();
    for format in Format::ALL {
        for coding in Coding::ALL {
            let store = SnapshotStore::default();
            let media = Media { format, coding };
            for query in ["a", "b"] {
                store.publish(&key(query, "prod"), |_| Contribution {
                    blocks: vec![block(&format!("{query}_up"), "prod", &vms)],
                    status: pending(),
                    at: second(1000),
                });
            }
            let before = store.current();
            let kept = |snapshot: &Snapshot, name: &str| {
                let mut blocks = snapshot.families().flatten();
                blocks
                    .find(|(_, block)| block.header().name.as_str() == name)
                    .map(|(_, block)| block.bytes_kept())
            };
            assert_eq!(kept(&before, "b_up"), Some(0), "nobody has asked yet");
            before.page(media);
            let bytes = kept(&before, "b_up");
            assert!(bytes > Some(0));
            store.publish(&key("a", "prod"), |_| Contribution {
                blocks: vec![],
                status: pending(),
                at: second(1000),
            });
            let after = store.current();
            assert_eq!(kept(&after, "a_up"), None, "what vanished is gone");
            assert_eq!(kept(&after, "b_up"), bytes, "it came with what was encoded");
            assert!(!text(&after).contains("a_up"), "and its header with it");
            assert!(text(&before).contains("a_up{"), "a snapshot never changes");
        }
    }
}

/// A large block is sent from where it was encoded, whatever page it is on.
#[test]
fn pages_share_the_bytes_of_their_blocks() {
    let vms: Vec<String> = (0..2000).map(|at| format!("vm-{at}")).collect();
    let vms: Vec<&str> = vms.iter().map(String::as_str).collect();
    let store = SnapshotStore::default();
    let mut seen = Vec::new();
    for _ in 0..2 {
        store.publish(&key("a", "prod"), |_| Contribution {
            blocks: vec![],
            status: pending(),
            at: second(1000),
        });
        if seen.is_empty() {
            store.publish(&key("b", "prod"), |_| Contribution {
                blocks: vec![block("b_up", "prod", &vms)],
                status: pending(),
                at: second(1000),
            });
        }
        let snapshot = store.current();
        let pieces = snapshot.page(Media::default()).pieces().iter();
        let mut large = pieces.filter(|piece| piece.starts_with(b"b_up{"));
        seen.push(large.next().unwrap().as_ptr());
    }
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn rivals_are_other_queries_of_the_same_workspace() {
    let store = SnapshotStore::default();
    for (query, workspace) in [("a", "prod"), ("b", "prod"), ("b", "dev")] {
        store.publish(&key(query, workspace), |_| Contribution {
            blocks: vec![block("x_up", workspace, &[query])],
            status: pending(),
            at: second(1000),
        });
    }
    let snapshot = store.current();
    let name = "x_up".parse().unwrap();
    let rivals = snapshot.rivals(&key("a", "prod"), &name);
    assert_eq!(rivals.len(), 1);
    let labels: Vec<&str> = rivals[0].iter().next().unwrap().label_values().collect();
    assert_eq!(labels, ["prod", "b"]);
}

fn failure(at: i64, reason: FailureReason) -> Failure {
    Failure {
        at: second(at),
        duration: Duration::from_millis(1500),
        reason,
        message: "no".into(),
        hint: None,
    }
}

fn success(at: i64, rows: u64) -> Success {
    Success {
        at: second(at),
        duration: Duration::from_millis(250),
        rows,
        series: rows * 2,
        issues: RowIssues::default(),
        cpu: Some(Duration::from_millis(1250)),
        scanned_bytes: Some(4_096),
    }
}

#[test]
fn states_follow_the_outcomes() {
    let mut status = pending();
    assert!(!status.was_tried());
    status.fail(failure(1, FailureReason::Tls));
    assert_eq!(
        (status.state, status.was_tried()),
        (PollState::Failed, true)
    );
    status.succeed(success(2, 3));
    assert_eq!(status.state, PollState::Ok);
    status.fail(failure(3, FailureReason::Tls));
    assert_eq!(
        (status.state, status.series),
        (PollState::Failed, 6),
        "the values are still up"
    );
    status.overlap();
    assert_eq!(status.state, PollState::Failed);
    status.expire();
    assert_eq!((status.state, status.series), (PollState::Stale, 0));
    status.fail(failure(4, FailureReason::Connect));
    assert_eq!(status.state, PollState::Stale, "until a poll succeeds");
    status.succeed(success(5, 0));
    assert_eq!(status.state, PollState::Empty);
    assert_eq!(status.polls, 6);
    assert_eq!(status.failures.values().sum::<u64>(), 4);

    status.fail(failure(6, FailureReason::NotCollected));
    assert_eq!(status.state, PollState::NotCollected);
    status.expire();
    assert_eq!((status.state, status.series), (PollState::NotCollected, 0));
    status.fail(failure(7, FailureReason::Connect));
    assert_eq!(status.state, PollState::Failed, "now it is not known");
}

#[test]
fn the_families_of_a_poll_that_has_seen_it_all() {
    let mut status = pending();
    status.succeed(success(900, 3));
    status.fail(failure(960, FailureReason::Throttled));
    status.ledger = Some(LedgerStatus {
        covered_until: Some(840.0),
        lost_seconds: 60.0,
        clock_went_back: 1,
        shrunk: 2,
        too_late: 3,
        write_failures: 4,
    });
    let families = status.families(&key("disks", "prod"));
    for family in &families {
        let began = family
            .series
            .iter()
            .all(|one| one.began() == Some(second(900)));
        assert_eq!(
            began,
            family.header.kind == MetricType::Counter,
            "{}",
            family.header.name
        );
    }
    let store = SnapshotStore::default();
    store.publish(&key("disks", "prod"), |_| Contribution {
        blocks: vec![],
        status,
        at: second(1000),
    });
    insta::assert_snapshot!(text(&store.current()));
}

#[test]
fn a_poll_that_has_not_run_says_nothing_that_it_does_not_know() {
    let store = SnapshotStore::default();
    store.publish(&key("disks", "prod"), |_| Contribution {
        blocks: vec![],
        status: pending(),
        at: second(1000),
    });
    let page = text(&store.current());
    for absent in [
        "last_success",
        "poll_rows",
        "poll_duration",
        "poll_failures",
        "poll_cpu",
        "poll_scanned",
    ] {
        assert!(!page.contains(absent), "{absent} in {page}");
    }
    assert!(page.contains("poll_state{query=\"disks\",workspace=\"prod\",state=\"pending\"} 1\n"));
    assert_eq!(
        POLL_FAMILIES.len(),
        pending().families(&key("a", "b")).len(),
        "every name is valid"
    );
}
