//! The landing page: what runs, how it stands, when next.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::snapshot::{PollKey, PollStatus, Snapshot};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;color:#222;background:#fff}\
table{border-collapse:collapse}th,td{padding:.3rem .8rem;text-align:left;border-bottom:1px solid #ddd;vertical-align:top}\
td.n{text-align:right;font-variant-numeric:tabular-nums}.failed,.stale{color:#a40000;font-weight:600}\
.pending,.empty{color:#666}small{color:#666;display:block;max-width:44rem}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}th,td{border-color:#444}.failed,.stale{color:#ff8080}small,.pending,.empty{color:#999}}";

/// The page as HTML. Every text from outside is escaped.
pub fn render(
    snapshot: &Snapshot,
    telemetry_path: &str,
    workspaces: &[Arc<str>],
    now: Timestamp,
) -> String {
    let mut html = String::with_capacity(4096);
    // Writing to a String cannot fail.
    let _ = page(&mut html, snapshot, telemetry_path, workspaces, now);
    html
}

fn page(
    html: &mut String,
    snapshot: &Snapshot,
    telemetry_path: &str,
    workspaces: &[Arc<str>],
    now: Timestamp,
) -> fmt::Result {
    write!(
        html,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>vminsights-exporter</title>\
         <style>{STYLE}</style></head><body><h1>vminsights-exporter {}</h1>\n\
         <p>Publishes what Azure VM insights knows as Prometheus metrics: <a href=\"{path}\">{path}</a>. \
         Workspaces: {}.</p>\n<table><tr><th>query<th>workspace<th>state<th>last success<th>took<th>rows\
         <th>series<th>polls<th>failures<th>next run</tr>\n",
        env!("CARGO_PKG_VERSION"),
        Escaped(&workspaces.join(", ")),
        path = Escaped(telemetry_path),
    )?;
    for (key, status) in snapshot.polls() {
        row(html, key, status, now)?;
    }
    html.write_str("</table>\n<p>Times are UTC. Values are polled, not read at scrape time.</p></body></html>\n")
}

fn row(html: &mut String, key: &PollKey, status: &PollStatus, now: Timestamp) -> fmt::Result {
    let state = status.state.as_str();
    write!(
        html,
        "<tr><td>{}<td>{}<td class=\"{state}\">{state}",
        Escaped(&key.query),
        Escaped(&key.workspace),
    )?;
    match status.last_success {
        Some(at) => write!(
            html,
            "<td>{}<small>{}</small>",
            at.strftime("%F %T"),
            Ago(at, now)
        )?,
        None => html.write_str("<td>never")?,
    }
    match status.last_duration {
        Some(duration) => write!(html, "<td class=\"n\">{:.2} s", duration.as_secs_f64())?,
        None => html.write_str("<td>")?,
    }
    match status.rows {
        Some(rows) => write!(html, "<td class=\"n\">{rows}")?,
        None => html.write_str("<td>")?,
    }
    write!(
        html,
        "<td class=\"n\">{}<td class=\"n\">{}<td>",
        status.series, status.polls
    )?;
    let failures: Vec<String> = status
        .failures
        .iter()
        .map(|(reason, count)| format!("{reason} {count}"))
        .collect();
    html.write_str(&failures.join(", "))?;
    if let Some(failure) = &status.last_failure {
        write!(
            html,
            "<small>{}: {}</small>",
            failure.at.strftime("%F %T"),
            Escaped(&failure.message)
        )?;
        if let Some(hint) = &failure.hint {
            write!(html, "<small>{}</small>", Escaped(hint))?;
        }
    }
    writeln!(html, "<td>{}</tr>", status.next_run.strftime("%F %T"))
}

/// Text in which HTML finds no markup, in an element or a quoted attribute.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

struct Ago(Timestamp, Timestamp);

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let age = Duration::try_from(self.1.duration_since(self.0)).unwrap_or_default();
        let whole = Duration::from_secs(age.as_secs());
        write!(f, "{} ago", humantime::format_duration(whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Contribution, Failure, SnapshotStore, Success};
    use crate::telemetry::FailureReason;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_poll_is_a_row_and_hostile_text_stays_text() {
        let store = SnapshotStore::default();
        let key = PollKey {
            query: "disks".into(),
            workspace: "<script>alert('x')</script>".into(),
        };
        let mut status =
            PollStatus::new(second(999_000), Duration::from_secs(60), second(1_000_060));
        status.succeed(Success {
            at: second(1_000_000),
            duration: Duration::from_millis(1234),
            rows: 7,
            series: 21,
            issues: Default::default(),
        });
        status.fail(Failure {
            at: second(1_000_030),
            duration: Duration::from_secs(1),
            reason: FailureReason::Throttled,
            message: "\"429\" & more".into(),
            hint: Some("wait".into()),
        });
        store.publish(&key, |_| Contribution {
            blocks: vec![],
            status,
            at: second(1_000_030),
        });
        let names = ["<script>alert('x')</script>".into()];
        let html = render(&store.current(), "/metrics", &names, second(1_000_090));
        assert!(!html.contains("<script>"), "{html}");
        let row = html
            .lines()
            .find(|line| line.starts_with("<tr><td>"))
            .unwrap();
        assert_eq!(
            row,
            "<tr><td>disks<td>&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;<td class=\"failed\">failed\
             <td>1970-01-12 13:46:40<small>1m 30s ago</small><td class=\"n\">1.00 s<td class=\"n\">7\
             <td class=\"n\">21<td class=\"n\">2<td>throttled 1\
             <small>1970-01-12 13:47:10: &quot;429&quot; &amp; more</small><small>wait</small>\
             <td>1970-01-12 13:47:40</tr>"
        );
    }
}
