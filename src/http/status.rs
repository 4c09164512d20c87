//! The page at `/`, for a person who was woken: is it well, what is wrong, what to do; then what is
//! asked of which workspace and how it went, the threat connections, the fullest disks, and what this
//! exporter is. Rendered here, without scripts, from a snapshot and ready text.

mod doubt;
mod escape;
mod human;
mod polls;
mod shared;
mod tables;
mod values;
mod verdict;

use std::fmt::{self, Write};
use std::sync::Arc;

use jiff::Timestamp;

use crate::snapshot::Snapshot;
use escape::Escaped;
use human::{Span, Utc, between};
pub use shared::Shared;
use verdict::Verdict;

const STYLE: &str = include_str!("status/style.css");

/// What a browser may do with our answers: nothing but apply this one style, known by its hash. So the
/// page stays one file that can be saved or mailed, and a style that slipped in would do nothing.
pub const SECURITY_POLICY: &str = concat!(
    "default-src 'none'; style-src 'sha256-Owf0wIOKNZe5LoMi95q6q110NFXQwd35EqbOBemiayM='; ",
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
);

/// What the page says beside the snapshot, as text.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The workspaces' names.
    pub workspaces: Vec<Arc<str>>,
    /// Whether more of them are looked for and no list has been had yet.
    pub is_searching: bool,
    pub queries: Vec<AboutQuery>,
    /// Keys and values of the configuration, without a secret.
    pub configuration: Vec<(String, String)>,
}

/// A query that is asked.
#[derive(Clone, Debug)]
pub struct AboutQuery {
    pub name: Arc<str>,
    /// How often and how it is asked.
    pub terms: String,
    /// The families that it gives.
    pub families: Vec<String>,
}

/// All that a page is made from. Texts need not be safe: every one is escaped.
pub struct Page<'a> {
    pub snapshot: &'a Snapshot,
    pub about: &'a About,
    pub telemetry_path: &'a str,
    /// When the exporter started.
    pub began: Timestamp,
    pub now: Timestamp,
}

impl Page<'_> {
    /// The page as HTML.
    pub fn html(&self) -> String {
        let mut html = String::with_capacity(32 * 1024);
        // Writing to a String cannot fail.
        let _ = self.write(&mut html);
        html
    }

    fn write(&self, html: &mut String) -> fmt::Result {
        let Self {
            snapshot,
            about,
            now,
            ..
        } = *self;
        let threats = tables::threats(snapshot, about, now);
        let disks = tables::disks(snapshot, about, now);
        let doubt = match (threats.is_doubtful(), disks.is_doubtful()) {
            (true, true) => Some("threats and disks are not wholly known"),
            (true, false) => Some("threats are not wholly known"),
            (false, true) => Some("disks are not wholly known"),
            (false, false) => None,
        };
        let verdict = Verdict::of(snapshot, doubt);
        let (_, mark) = verdict.level.class_and_mark();
        writeln!(
            html,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{mark} {} – vminsights-exporter</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <header><p>vminsights-exporter {} <small>as of {} UTC; reload for newer</small></p></header>\n<main>",
            verdict.headline,
            env!("CARGO_PKG_VERSION"),
            Utc(now, now),
        )?;
        verdict.write(html, now)?;
        tables::write_threats(html, &threats, now)?;
        tables::write_disks(html, &disks)?;
        html.write_str("<section>\n<h2>Queries</h2>\n")?;
        polls::write(html, snapshot, &verdict.told(), now)?;
        html.write_str("</section>\n</main>\n")?;
        self.write_about(html)
    }

    fn write_about(&self, html: &mut String) -> fmt::Result {
        let Self {
            about, began, now, ..
        } = *self;
        let path = Escaped(self.telemetry_path);
        writeln!(
            html,
            "<footer>\n<p>Version {}, up for {} since {} UTC. Values are polled, not read at scrape time.</p>\n\
             <p><a href=\"{path}\">{path}</a> the metrics · <a href=\"/-/healthy\">/-/healthy</a> · \
             <a href=\"/-/ready\">/-/ready</a> · in the source: docs/metrics.md says what each metric is, \
             docs/runbooks what to do about each alert</p>",
            env!("CARGO_PKG_VERSION"),
            Span(between(began, now)),
            Utc(began, now),
        )?;
        let queries = about.queries.iter();
        let queries = queries.map(|query| (&*query.name, &*query.terms));
        pairs(html, "What is asked, and how", queries)?;
        let settings = about.configuration.iter();
        let settings = settings.map(|(key, value)| (&**key, &**value));
        pairs(html, "Configuration, without secrets", settings)?;
        html.write_str("</footer>\n</body>\n</html>\n")
    }
}

/// A table of names and what they stand for, folded away.
fn pairs<'a>(
    html: &mut String,
    title: &str,
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) -> fmt::Result {
    writeln!(html, "<details><summary>{title}</summary>\n<table><tbody>")?;
    for (name, value) in pairs {
        writeln!(
            html,
            "<tr><th scope=\"row\">{}</th><td>{}</td></tr>",
            Escaped(name),
            Escaped(value)
        )?;
    }
    html.write_str("</tbody></table></details>\n")
}

#[cfg(test)]
#[path = "status/status_tests.rs"]
mod tests;
