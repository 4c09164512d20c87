//! The answer in one line: is it well, what is wrong, and what to do about each thing that is.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::{self, Write};

use jiff::Timestamp;

use super::escape::{Escaped, cut};
use super::human::{Away, Count, Counted, Utc};
use crate::snapshot::{Failure, PollKey, PollState, PollStatus, Snapshot};
use crate::telemetry::FailureReason;

/// How many kinds of failure are told apart, and how many workspaces, and queries of each, are named.
const KINDS: usize = 5;
const NAMED: usize = 12;
/// Of an error's text.
const MESSAGE: usize = 1_500;

/// How it stands as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Well,
    /// Everything answers, and something is to be looked at.
    Attention,
    Failing,
    /// Nothing fails, but not everything was asked yet.
    Waiting,
}

impl Level {
    /// The class, and the sign that stands beside the colour.
    pub fn class_and_mark(self) -> (&'static str, &'static str) {
        match self {
            Self::Well => ("ok", "✓"),
            Self::Attention => ("stale", "⚠"),
            Self::Failing => ("failed", "✗"),
            Self::Waiting => ("pending", "…"),
        }
    }
}

/// What is said on top.
pub struct Verdict<'a> {
    pub level: Level,
    /// Plain text, without an outside word in it.
    pub headline: String,
    /// The polls by state, in the order of [`PollState::ALL`].
    counts: [u64; PollState::ALL.len()],
    troubles: Vec<Trouble<'a>>,
}

/// Polls that fail for one reason and with one piece of advice.
struct Trouble<'a> {
    reason: Option<FailureReason>,
    hint: Option<&'a str>,
    polls: Vec<(&'a PollKey, &'a PollStatus)>,
}

impl<'a> Verdict<'a> {
    /// `doubt`: what is not known although the queries answer, such as `threats are not known`.
    pub fn of(snapshot: &'a Snapshot, doubt: Option<&str>) -> Self {
        let mut counts = [0; PollState::ALL.len()];
        let mut queries = BTreeSet::new();
        let mut workspaces = BTreeSet::new();
        let mut ill = BTreeSet::new();
        let mut leaving_out = 0;
        let mut troubles: BTreeMap<_, Trouble> = BTreeMap::new();
        for (key, status) in snapshot.polls() {
            counts[status.state as usize] += 1;
            queries.insert(&key.query);
            workspaces.insert(&key.workspace);
            leaving_out += u64::from(status.last_issues.total() > 0);
            if is_trouble(status.state) {
                ill.insert(&key.workspace);
                let failure = cause(status);
                let reason = failure.map(|failure| failure.reason);
                let hint = failure.and_then(|failure| failure.hint.as_deref());
                let trouble = troubles.entry((reason, hint)).or_insert_with(|| Trouble {
                    reason,
                    hint,
                    polls: Vec::new(),
                });
                trouble.polls.push((key, status));
            }
        }
        let mut troubles: Vec<Trouble> = troubles.into_values().collect();
        troubles.sort_by_key(|trouble| std::cmp::Reverse(trouble.polls.len()));

        let all: u64 = counts.iter().sum();
        let bad = counts[PollState::Failed as usize] + counts[PollState::Stale as usize];
        let pending = counts[PollState::Pending as usize];
        let not_collected = counts[PollState::NotCollected as usize];
        let (query_count, workspace_count) = (queries.len() as u64, workspaces.len() as u64);
        // With one workspace a poll is a query; with more it is a query of a workspace.
        let noun = if workspace_count == 1 {
            "queries"
        } else {
            "polls"
        };
        let (level, headline) = if all == 0 {
            (
                Level::Waiting,
                "Nothing is asked: no query is configured".into(),
            )
        } else if bad > 0 {
            let mut reasons: Vec<&str> = troubles.iter().map(Trouble::reason).collect();
            reasons.dedup();
            let place = if workspace_count > 1 {
                format!(" in {} of {workspace_count} workspaces", ill.len())
            } else {
                String::new()
            };
            let verb = if bad == 1 { "fails" } else { "fail" };
            let who = if bad == all {
                format!("All {} {noun}", Count(all))
            } else {
                format!("{} of {} {noun}", Count(bad), Count(all))
            };
            reasons.truncate(3);
            (
                Level::Failing,
                format!("{who} {verb}{place}: {}", reasons.join(", ")),
            )
        } else if pending > 0 {
            (
                Level::Waiting,
                format!(
                    "{} of {} {noun} have not answered yet",
                    Count(pending),
                    Count(all)
                ),
            )
        } else {
            let answered = format!(
                "All {} of {} answered",
                Counted(query_count, "query", "queries"),
                Counted(workspace_count, "workspace", "workspaces")
            );
            if let Some(doubt) = doubt {
                (Level::Attention, format!("{answered}, but {doubt}"))
            } else if not_collected > 0 {
                let polls = Counted(not_collected, "asks a table that is", "ask tables that are");
                (
                    Level::Attention,
                    format!("{answered}, but {polls} not collected"),
                )
            } else if leaving_out > 0 {
                let rows = Counted(leaving_out, "answer has", "answers have");
                (
                    Level::Attention,
                    format!("{answered}, but {rows} rows that are not published as such"),
                )
            } else {
                (Level::Well, answered)
            }
        };
        Self {
            level,
            headline,
            counts,
            troubles,
        }
    }

    /// The error texts that stand on top, with their advice: the table need not repeat them.
    pub fn told(&self) -> HashSet<&str> {
        let newest = self.troubles.iter().take(KINDS).filter_map(Trouble::newest);
        newest.map(|failure| failure.message.as_str()).collect()
    }

    pub fn write(&self, html: &mut String, now: Timestamp) -> fmt::Result {
        let (class, mark) = self.level.class_and_mark();
        write!(
            html,
            "<section class=\"verdict {class}\">\n<h1><span class=\"mark\">{mark}</span> {}</h1>\n<p>",
            self.headline
        )?;
        let states = PollState::ALL.iter().zip(self.counts);
        for (index, (state, count)) in states.filter(|(_, count)| *count > 0).enumerate() {
            let dot = if index == 0 { "" } else { " · " };
            write!(html, "{dot}{} {}", Count(count), state.as_str())?;
        }
        writeln!(html, "</p>")?;
        for trouble in self.troubles.iter().take(KINDS) {
            trouble.write(html, now)?;
        }
        if let Some(more) = self.troubles.len().checked_sub(KINDS).filter(|n| *n > 0) {
            writeln!(
                html,
                "<p>And {more} more kinds of failure: see the table below.</p>"
            )?;
        }
        html.write_str("</section>\n")
    }
}

/// States that somebody should do something about.
pub fn is_trouble(state: PollState) -> bool {
    matches!(state, PollState::Failed | PollState::Stale)
}

/// Why a poll has no current answer; nothing if no run has ended since its last one.
pub fn cause(status: &PollStatus) -> Option<&Failure> {
    let failure = status.last_failure.as_ref()?;
    let newer = status
        .last_success
        .is_none_or(|answer| failure.at >= answer);
    let told = is_trouble(status.state) || status.state == PollState::NotCollected;
    (newer && told).then_some(failure)
}

impl Trouble<'_> {
    fn reason(&self) -> &'static str {
        self.reason.map_or("no answer", FailureReason::as_str)
    }

    fn newest(&self) -> Option<&Failure> {
        let failures = self.polls.iter().filter_map(|(_, status)| cause(status));
        failures.max_by_key(|failure| failure.at)
    }

    fn write(&self, html: &mut String, now: Timestamp) -> fmt::Result {
        writeln!(
            html,
            "<article>\n<h2>{}: {}</h2>\n<p><b>What to do:</b> {} <small>More: {}</small></p>",
            self.reason(),
            Counted(self.polls.len() as u64, "query", "queries"),
            Escaped(
                self.hint
                    .unwrap_or("no advice is known; read the error, and the log.")
            ),
            runbook(self.reason),
        )?;
        let failures = self
            .polls
            .iter()
            .filter_map(|(_, s)| s.last_failure.as_ref());
        if let Some(failure) = failures.max_by_key(|failure| failure.at) {
            writeln!(
                html,
                "<p class=\"error\" tabindex=\"0\">{}</p>\n<p>Last failed {} ({} UTC).</p>",
                Escaped(&cut(&failure.message, MESSAGE)),
                Away(failure.at, now),
                Utc(failure.at, now)
            )?;
        }
        let last = self.polls.iter().filter_map(|(_, s)| s.last_success).max();
        match last {
            Some(at) => writeln!(
                html,
                "<p>Last answer to one of these: {} ({} UTC).</p>",
                Away(at, now),
                Utc(at, now)
            )?,
            None => writeln!(html, "<p>None of these was ever answered.</p>")?,
        }
        self.write_polls(html)
    }

    /// Which queries of which workspaces.
    fn write_polls(&self, html: &mut String) -> fmt::Result {
        let mut workspaces: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (key, _) in &self.polls {
            let queries = workspaces.entry(&key.workspace).or_default();
            queries.push(&key.query);
        }
        html.write_str("<ul>")?;
        for (workspace, queries) in workspaces.iter().take(NAMED) {
            write!(html, "<li>Workspace <b>{}</b>: ", Escaped(workspace))?;
            let named: Vec<&str> = queries.iter().take(NAMED).copied().collect();
            write!(html, "{}", Escaped(&named.join(", ")))?;
            if let Some(more) = more(queries.len()) {
                write!(html, " and {} more", Count(more))?;
            }
            html.write_str("</li>\n")?;
        }
        if let Some(more) = more(workspaces.len()) {
            writeln!(html, "<li>and {} more workspaces</li>", Count(more))?;
        }
        html.write_str("</ul>\n</article>\n")
    }
}

/// How many are not named.
fn more(count: usize) -> Option<u64> {
    count
        .checked_sub(NAMED)
        .filter(|more| *more > 0)
        .map(|more| more as u64)
}

/// The page of the documentation that says more. It has no public address, so it is named.
fn runbook(reason: Option<FailureReason>) -> &'static str {
    match reason {
        None => "docs/runbooks/DataStale.md",
        Some(FailureReason::SignIn) => "docs/runbooks/SignInFailing.md",
        Some(FailureReason::Throttled) => "docs/runbooks/Throttled.md",
        Some(FailureReason::Partial) => "docs/runbooks/PartialResults.md",
        Some(_) => "docs/runbooks/PollFailing.md",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runbook_that_is_named_exists() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let reasons = FailureReason::ALL.map(Some);
        for reason in reasons.into_iter().chain([None]) {
            assert!(root.join(runbook(reason)).is_file(), "{reason:?}");
        }
    }
}
