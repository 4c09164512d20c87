//! A new configuration meets running polls: what stays is not disturbed, what changed begins anew
//! without a gap, what is not wanted any more is gone.

#[path = "azure_client/catalogue.rs"]
mod catalogue;
#[path = "azure_client/rig.rs"]
#[expect(
    dead_code,
    reason = "shared with azure_client.rs, which uses all of it"
)]
mod rig;
#[path = "azure_client/server.rs"]
#[expect(
    dead_code,
    reason = "shared with azure_client.rs, which uses all of it"
)]
mod server;

use std::sync::Arc;
use std::time::Duration;

use vminsights_exporter::azure::LogsClient;
use vminsights_exporter::catalogue::{Catalogue, QueryDefinition};
use vminsights_exporter::config::Workspace;
use vminsights_exporter::exposition::Media;
use vminsights_exporter::ledger::Ledger;
use vminsights_exporter::poll::{Changes, Poller};
use vminsights_exporter::snapshot::{PollState, PollStatus, SnapshotStore};

use rig::{Rig, workspace};
use server::{Reply, Seen};

const SOON: Duration = Duration::from_secs(20);
/// No run but the first falls into a test.
const SELDOM: Duration = Duration::from_secs(3_600);

/// One row to every query; none at all to one that says `silent`.
fn answers(seen: &Seen) -> Reply {
    if seen.body.contains("silent") {
        return Reply::Silence;
    }
    Reply::json(
        200,
        r#"{"tables": [{"name": "PrimaryResult", "columns": [{"name": "Computer", "type": "string"}, {"name": "Rows", "type": "long"}], "rows": [["web-1", 7]]}]}"#,
    )
}

/// A query of its own family, asked once.
fn query(name: &str) -> QueryDefinition {
    let mut query = (*catalogue::catalogue("").queries[0]).clone();
    query.name = name.parse().unwrap();
    query.file = "rows.yaml".into();
    query.interval = SELDOM;
    query.timeout = SELDOM;
    query.stale_after = SELDOM * 3;
    query.mapping.metrics[0].name = format!("x_{name}").parse().unwrap();
    query
}

fn of(queries: &[QueryDefinition]) -> Catalogue {
    Catalogue {
        queries: queries.iter().cloned().map(Arc::new).collect(),
        ..catalogue::catalogue("")
    }
}

fn other_workspace() -> Workspace {
    Workspace {
        id: "0a1f6b9a-caa1-4e5a-ac9a-54aa9b2fb132".parse().unwrap(),
        name: "dev".into(),
    }
}

struct Polled {
    rig: Rig,
    client: LogsClient,
    store: Arc<SnapshotStore>,
    poller: Poller,
}

impl Polled {
    async fn new(queries: &[QueryDefinition], workspaces: &[Workspace]) -> Self {
        let rig = Rig::asking(answers).await;
        let (store, client) = (Arc::default(), rig.client());
        let poller = Poller::start(
            &of(queries),
            workspaces,
            &client,
            &store,
            &Ledger::in_memory(),
        );
        let polled = Self {
            rig,
            client,
            store,
            poller,
        };
        for query in queries {
            let name = query.name.as_str();
            polled
                .until(name, |status| status.last_success.is_some())
                .await;
        }
        polled
    }

    async fn reconcile(
        &mut self,
        queries: &[QueryDefinition],
        workspaces: &[Workspace],
    ) -> Changes {
        let client = self.client.clone();
        self.poller
            .reconcile(&of(queries), workspaces, &client)
            .await
    }

    /// How the query stands in each workspace.
    fn statuses(&self, query: &str) -> Vec<PollStatus> {
        let snapshot = self.store.current();
        let polls = snapshot.polls().filter(|(key, _)| &*key.query == query);
        polls.map(|(_, status)| status.clone()).collect()
    }

    /// Waits until all of the query's polls stand so.
    async fn until(&self, query: &str, condition: impl Fn(&PollStatus) -> bool) {
        let waiting = async {
            while !self.statuses(query).iter().all(&condition) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let ended = tokio::time::timeout(SOON, waiting).await;
        assert!(ended.is_ok(), "{query}: {:?}", self.statuses(query));
    }

    /// The page's data lines.
    fn data(&self) -> Vec<String> {
        let page = self.page();
        let lines = page.lines().filter(|line| line.starts_with("x_"));
        lines.map(str::to_owned).collect()
    }

    fn page(&self) -> String {
        let snapshot = self.store.current();
        let page = snapshot.page(Media::default()).pieces().concat();
        String::from_utf8(page).unwrap()
    }
}

#[tokio::test]
async fn polls_that_stay_are_not_disturbed_and_those_that_vanish_take_their_series_along() {
    let both = [workspace(), other_workspace()];
    let mut polled = Polled::new(&[query("a"), query("b")], &both).await;
    let before = polled.statuses("a").remove(1);
    let changes = polled
        .reconcile(&[query("a"), query("c")], &[workspace()])
        .await;
    assert_eq!(
        changes,
        Changes {
            kept: 1,
            started: 1,
            restarted: 0,
            removed: 3
        }
    );
    assert_eq!(
        changes.to_string(),
        "1 kept, 1 started, 0 restarted, 3 removed"
    );
    polled
        .until("c", |status| status.last_success.is_some())
        .await;
    assert_eq!(
        polled.data(),
        [
            "x_a{workspace=\"prod\",vm=\"web-1\"} 7",
            "x_c{workspace=\"prod\",vm=\"web-1\"} 7"
        ]
    );
    let page = polled.page();
    for gone in ["x_b", "query=\"b\"", "workspace=\"dev\""] {
        assert!(!page.contains(gone), "{gone} in {page}");
    }
    let after = polled.statuses("a").remove(0);
    assert_eq!((after.polls, after.next_run), (1, before.next_run));
    assert_eq!(polled.rig.logs.seen().len(), 5, "nobody was asked twice");
}

#[tokio::test]
async fn a_changed_query_keeps_counts_and_values_until_its_first_answer() {
    let mut polled = Polled::new(&[query("a")], &[workspace()]).await;
    let mut changed = query("a");
    changed.kql = "silent".into();
    changed.interval = SELDOM * 2;
    let changes = polled.reconcile(&[changed], &[workspace()]).await;
    assert_eq!(changes.restarted, 1);
    let status = polled.statuses("a").remove(0);
    assert_eq!(
        (status.state, status.polls, status.series, status.interval),
        (PollState::Ok, 1, 1, SELDOM * 2)
    );
    assert_eq!(polled.data(), ["x_a{workspace=\"prod\",vm=\"web-1\"} 7"]);
    polled.reconcile(&[query("a")], &[workspace()]).await;
    polled.until("a", |status| status.polls == 2).await;
    assert_eq!(polled.data(), ["x_a{workspace=\"prod\",vm=\"web-1\"} 7"]);
}

/// Two HELP or TYPE lines for one family would make Prometheus refuse the page.
#[tokio::test]
async fn a_changed_query_keeps_no_family_that_means_something_else() {
    for change in [
        |query: &mut QueryDefinition| query.mapping.metrics[0].help = "Other.".into(),
        |query: &mut QueryDefinition| query.mapping.metrics[0].name = "x_other".parse().unwrap(),
        |query: &mut QueryDefinition| query.mapping.labels[0].label = "host".parse().unwrap(),
    ] {
        let mut polled = Polled::new(&[query("a")], &[workspace()]).await;
        let mut changed = query("a");
        change(&mut changed);
        changed.kql = "silent".into();
        polled.reconcile(&[changed], &[workspace()]).await;
        assert_eq!(polled.data(), [] as [String; 0]);
        let status = polled.statuses("a").remove(0);
        assert_eq!((status.polls, status.series), (1, 0));
    }
}

#[tokio::test]
async fn another_workspace_of_the_same_name_starts_with_nothing() {
    let mut polled = Polled::new(&[query("a")], &[workspace()]).await;
    let namesake = Workspace {
        id: other_workspace().id,
        ..workspace()
    };
    let mut silent = query("a");
    silent.kql = "silent".into();
    polled.reconcile(&[silent], &[namesake]).await;
    assert_eq!(polled.data(), [] as [String; 0]);
    let status = polled.statuses("a").remove(0);
    assert_eq!((status.polls, status.state), (0, PollState::Pending));
}

#[tokio::test]
async fn a_new_client_asks_again_without_a_gap() {
    let mut polled = Polled::new(&[query("a")], &[workspace()]).await;
    polled.client = polled.rig.client();
    let changes = polled.reconcile(&[query("a")], &[workspace()]).await;
    assert_eq!((changes.kept, changes.restarted), (0, 1));
    assert_eq!(polled.data().len(), 1);
    polled.until("a", |status| status.polls == 2).await;
    assert_eq!(polled.rig.logs.seen().len(), 2);
}
