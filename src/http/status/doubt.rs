//! How far the tables of values can be trusted: where a query failed or the feed behind it is silent,
//! no row means "not known", never "none".

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::human::{Away, Counted, Span, between};
use super::values::{Label, blocks};
use super::verdict::cause;
use crate::series::RowIssue;
use crate::snapshot::{PollKey, PollState, Snapshot};

const NEWEST: &str = "vminsights_table_newest_row_timestamp_seconds";
const DELAY: &str = "vminsights_table_ingestion_delay_seconds";
/// The threat query counts what arrived in its window of a quarter of an hour. When nothing at all
/// arrived for that long, its "none" says nothing; a rule pages about it at the same age.
const SILENT: Duration = Duration::from_secs(15 * 60);

/// What the polls themselves leave open, one doubt a workspace at most.
pub fn of_polls(
    snapshot: &Snapshot,
    queries: &[Arc<str>],
    workspaces: &[Arc<str>],
    now: Timestamp,
) -> BTreeMap<Arc<str>, String> {
    let polls: BTreeMap<&PollKey, _> = snapshot.polls().collect();
    let mut doubts = BTreeMap::new();
    for workspace in workspaces {
        for query in queries {
            let key = PollKey {
                query: query.clone(),
                workspace: workspace.clone(),
            };
            let Some(status) = polls.get(&key) else {
                let doubt = format!("{query} was not asked yet");
                doubts.entry(workspace.clone()).or_insert(doubt);
                continue;
            };
            let reason = cause(status).map(|failure| failure.reason);
            let reason = reason
                .map(|reason| format!(" ({reason})"))
                .unwrap_or_default();
            // What is gathered is in the sum, what is cut is on the page; the rest is nowhere.
            let published = [RowIssue::OverflowGathered, RowIssue::Truncated]
                .map(|issue| status.last_issues.get(issue));
            let lost = status.last_issues.total() - published.iter().sum::<u64>();
            let doubt = match (status.state, status.last_success) {
                (PollState::Pending, _) => format!("{query} has not answered yet"),
                (PollState::NotCollected, _) => {
                    format!("the table that {query} asks is not collected here")
                }
                (_, None) => format!("{query} was never answered{reason}"),
                (PollState::Stale, Some(at)) => {
                    format!(
                        "{query} fails{reason}, its last answer came {}",
                        Away(at, now)
                    )
                }
                (PollState::Failed, Some(at)) => format!(
                    "{query} fails{reason}; what is shown is from {}",
                    Away(at, now)
                ),
                _ if lost > 0 => format!(
                    "{} of {query} could not be published",
                    Counted(lost, "row", "rows")
                ),
                _ => continue,
            };
            doubts.entry(workspace.clone()).or_insert(doubt);
        }
    }
    doubts
}

/// Adds the workspaces whose feed of connections is silent, or of which nobody knows.
pub fn of_feed(
    snapshot: &Snapshot,
    workspaces: &[Arc<str>],
    doubts: &mut BTreeMap<Arc<str>, String>,
    now: Timestamp,
) {
    let newest = of_table(snapshot, NEWEST);
    let delays = of_table(snapshot, DELAY);
    for workspace in workspaces {
        let doubt = match newest.get(&**workspace) {
            None => "no row of table VMConnection is known, so whether anything is recorded is not known either".into(),
            Some(generated) => {
                let arrived = generated + delays.get(&**workspace).copied().unwrap_or_default();
                // Out of range is far from now either way.
                let arrived = Timestamp::from_second(arrived as i64).unwrap_or(Timestamp::MIN);
                let silence = between(arrived, now);
                if silence <= SILENT {
                    continue;
                }
                format!(
                    "table VMConnection is silent: its newest row arrived {} ago",
                    Span(silence)
                )
            }
        };
        doubts.entry(workspace.clone()).or_insert(doubt);
    }
}

/// By workspace, what the family says of VMConnection.
fn of_table<'a>(snapshot: &'a Snapshot, family: &str) -> BTreeMap<&'a str, f64> {
    let mut values = BTreeMap::new();
    for (key, block) in blocks(snapshot, family) {
        let table = Label::of(block.series(), "table");
        for series in block.series().iter() {
            if table.value(&series) == "VMConnection" {
                values.insert(&*key.workspace, series.value());
            }
        }
    }
    values
}
