//! The state table: what is asked of which workspace, when, how long it took, what came of it. What
//! fails comes first, and what does not fit is counted.

use std::collections::{BTreeMap, HashSet};
use std::fmt::{self, Write};

use jiff::Timestamp;

use super::escape::{Escaped, cut};
use super::human::{Away, Count, Span, Utc};
use super::verdict::{cause, is_trouble};
use crate::series::RowIssues;
use crate::snapshot::{PollKey, PollState, PollStatus, Snapshot};

/// Rows of all tables together, shared evenly by the workspaces.
const ROWS: usize = 500;
/// No workspace's table is shorter than this.
const FEWEST: usize = 10;
/// Of an error's text, here.
const MESSAGE: usize = 200;

type Poll<'a> = (&'a PollKey, &'a PollStatus);

/// A table a workspace; with several workspaces each folds away, and those with failures are open.
///
/// `told`: error texts that stand on top of the page already.
pub fn write(
    html: &mut String,
    snapshot: &Snapshot,
    told: &HashSet<&str>,
    now: Timestamp,
) -> fmt::Result {
    let mut workspaces: BTreeMap<&str, Vec<Poll>> = BTreeMap::new();
    for (key, status) in snapshot.polls() {
        let polls = workspaces.entry(&key.workspace).or_default();
        polls.push((key, status));
    }
    let most = (ROWS / workspaces.len().max(1)).max(FEWEST);
    let single = workspaces.len() == 1;
    let mut workspaces: Vec<(&str, Vec<Poll>)> = workspaces.into_iter().collect();
    for (_, polls) in &mut workspaces {
        polls.sort_by_key(|(_, status)| urgency(status.state));
    }
    // Stable, as above: by name among equals.
    workspaces.sort_by_key(|(_, polls)| polls.first().map(|(_, s)| urgency(s.state)));
    for (name, polls) in workspaces {
        if single {
            writeln!(html, "<h3>Workspace {}</h3>", Escaped(name))?;
            table(html, name, &polls, most, told, now)?;
        } else {
            let ill = polls.iter().any(|(_, status)| is_trouble(status.state));
            writeln!(
                html,
                "<details{}><summary>Workspace <b>{}</b>: {}</summary>",
                if ill { " open" } else { "" },
                Escaped(name),
                States(&polls)
            )?;
            table(html, name, &polls, most, told, now)?;
            html.write_str("</details>\n")?;
        }
    }
    Ok(())
}

/// Less comes first.
fn urgency(state: PollState) -> u8 {
    match state {
        PollState::Stale => 0,
        PollState::Failed => 1,
        PollState::NotCollected => 2,
        PollState::Pending => 3,
        PollState::Empty => 4,
        PollState::Ok => 5,
    }
}

/// How many polls are in which state, the urgent first: `2 failed, 8 ok`.
struct States<'a>(&'a [Poll<'a>]);

impl fmt::Display for States<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut states = PollState::ALL;
        states.sort_by_key(|state| urgency(*state));
        let mut comma = "";
        for state in states {
            let count = self.0.iter().filter(|(_, s)| s.state == state).count();
            if count > 0 {
                write!(f, "{comma}{} {}", Count(count as u64), state.as_str())?;
                comma = ", ";
            }
        }
        Ok(())
    }
}

fn table(
    html: &mut String,
    workspace: &str,
    polls: &[Poll],
    most: usize,
    told: &HashSet<&str>,
    now: Timestamp,
) -> fmt::Result {
    writeln!(
        html,
        "<div class=\"wide\" role=\"region\" aria-label=\"Queries of {}\" tabindex=\"0\"><table>\n\
         <thead><tr><th scope=\"col\">State</th><th scope=\"col\">Query</th>\
         <th scope=\"col\">Last answer, UTC</th><th scope=\"col\" class=\"n\">Took</th>\
         <th scope=\"col\" class=\"n\">Rows</th><th scope=\"col\" class=\"n\">Series</th>\
         <th scope=\"col\" class=\"n\">Dropped</th><th scope=\"col\" class=\"n\">Asked</th>\
         <th scope=\"col\">Next run, UTC</th></tr></thead>\n<tbody>",
        Escaped(workspace)
    )?;
    for (key, status) in polls.iter().take(most) {
        row(html, key, status, told, now)?;
    }
    html.write_str("</tbody></table></div>\n")?;
    match polls.get(most..) {
        Some(rest) if !rest.is_empty() => writeln!(
            html,
            "<p>And {} more: {}.</p>",
            Count(rest.len() as u64),
            States(rest)
        ),
        _ => Ok(()),
    }
}

fn row(
    html: &mut String,
    key: &PollKey,
    status: &PollStatus,
    told: &HashSet<&str>,
    now: Timestamp,
) -> fmt::Result {
    let state = status.state;
    let name = state.as_str();
    write!(
        html,
        "<tr><td class=\"{name}\" data-l=\"State\">{} {name}",
        mark(state)
    )?;
    let failure = cause(status);
    // One of the states is a reason of its own.
    if let Some(failure) = failure.filter(|failure| failure.reason.as_str() != name) {
        write!(html, ": {}", failure.reason)?;
    }
    write!(html, "</td><th scope=\"row\">{}", Escaped(&key.query))?;
    if let Some(failure) = failure.filter(|failure| !told.contains(&*failure.message)) {
        let message = cut(&failure.message, MESSAGE);
        write!(html, "<small>{}</small>", Escaped(&message))?;
        if let Some(hint) = &failure.hint {
            write!(html, "<small>{}</small>", Escaped(hint))?;
        }
    }
    html.write_str("</th><td data-l=\"Last answer\">")?;
    match status.last_success {
        Some(at) => write!(html, "{} <small>{}</small>", Away(at, now), Utc(at, now))?,
        None => html.write_str("never")?,
    }
    html.write_str("</td><td class=\"n\" data-l=\"Took\">")?;
    match status.last_duration {
        Some(duration) => write!(html, "{:.2} s", duration.as_secs_f64())?,
        None => html.write_str("–")?,
    }
    html.write_str("</td><td class=\"n\" data-l=\"Rows\">")?;
    match status.rows {
        Some(rows) => write!(html, "{}", Count(rows))?,
        None => html.write_str("–")?,
    }
    write!(
        html,
        "</td><td class=\"n\" data-l=\"Series\">{}</td><td class=\"n\" data-l=\"Dropped\">",
        Count(status.series)
    )?;
    issues(html, &status.last_issues, &status.row_issues)?;
    write!(
        html,
        "</td><td class=\"n\" data-l=\"Asked\">{}",
        Count(status.polls)
    )?;
    if !status.failures.is_empty() {
        let failures = status.failures.iter();
        let failures: Vec<String> = failures
            .map(|(r, n)| format!("{} {r}", Count(*n)))
            .collect();
        write!(html, "<small>failed: {}</small>", failures.join(", "))?;
    }
    writeln!(
        html,
        "</td><td data-l=\"Next run\">{} <small>{}, every {}</small></td></tr>",
        Due(status.next_run, now),
        Utc(status.next_run, now),
        Span(status.interval)
    )
}

/// Rows of the last answer that are not published as such, by kind, and of all answers so far.
fn issues(html: &mut String, last: &RowIssues, all: &RowIssues) -> fmt::Result {
    match (last.total(), all.total()) {
        (0, 0) => html.write_str("0"),
        (0, _) => write!(html, "0<small>since the start: {all}</small>"),
        (count, total) if count == total => write!(html, "{}<small>{last}</small>", Count(count)),
        (count, _) => write!(
            html,
            "{}<small>{last}</small><small>since the start: {all}</small>",
            Count(count)
        ),
    }
}

/// When a run is due; one that should have been is overdue.
struct Due(Timestamp, Timestamp);

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < self.1 {
            write!(f, "due {}", Away(self.0, self.1))
        } else {
            write!(f, "in {}", Span(super::human::between(self.1, self.0)))
        }
    }
}

/// What stands beside a state's name and colour.
fn mark(state: PollState) -> &'static str {
    match state {
        PollState::Ok => "✓",
        PollState::Empty => "○",
        PollState::Failed => "✗",
        PollState::Stale => "⚠",
        PollState::NotCollected => "∅",
        PollState::Pending => "…",
    }
}
