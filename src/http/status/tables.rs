//! The two tables that people come for: threat connections and full disks.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Arc;

use jiff::Timestamp;

use super::About;
use super::doubt;
use super::escape::Escaped;
use super::human::{Away, Bytes, Count, Counted};
use super::values::{Order, Top, blocks, top, values_of};
use crate::snapshot::Snapshot;

const THREATS: &str = "vminsights_threat_connections";
const SEVERITY: &str = "vminsights_threat_severity";
const CONFIDENCE: &str = "vminsights_threat_confidence_percent";
const LAST_SEEN: &str = "vminsights_threat_last_seen_timestamp_seconds";
const FREE_PERCENT: &str = "vminsights_disk_free_percent";
const FREE_BYTES: &str = "vminsights_disk_free_bytes";
const SIZE_BYTES: &str = "vminsights_disk_size_bytes";

/// Workspaces with a doubt that are named.
const NAMED: usize = 5;

type Doubts = BTreeMap<Arc<str>, String>;

/// What is known of one family.
pub struct Known<'a, const N: usize> {
    snapshot: &'a Snapshot,
    /// Whether any query asks for it.
    asked: bool,
    workspaces: usize,
    doubts: Doubts,
    top: Top<'a, N>,
    /// The family's HELP, which says what window the numbers cover.
    help: Option<&'a str>,
}

impl<'a, const N: usize> Known<'a, N> {
    fn of(
        snapshot: &'a Snapshot,
        about: &About,
        family: &str,
        order: Order,
        labels: [&str; N],
        now: Timestamp,
    ) -> Self {
        let queries = about.queries.iter();
        let queries: Vec<Arc<str>> = queries
            .filter(|query| query.families.iter().any(|name| name == family))
            .map(|query| query.name.clone())
            .collect();
        let blocks = blocks(snapshot, family);
        Self {
            snapshot,
            asked: !queries.is_empty(),
            workspaces: about.workspaces.len(),
            doubts: doubt::of_polls(snapshot, &queries, &about.workspaces, now),
            top: top(&blocks, order, labels),
            help: blocks.first().map(|(_, block)| &*block.header().help),
        }
    }

    /// Whether something that is asked for is not known.
    pub fn is_doubtful(&self) -> bool {
        self.asked && !self.doubts.is_empty()
    }

    /// The sentences before a table. `none` is said where all is known and nothing is there.
    fn introduce(&self, html: &mut String, family: &str, none: &str) -> fmt::Result {
        if !self.asked {
            return writeln!(html, "<p>Not known: no query asks for {family}.</p>");
        }
        if let Some(help) = self.help {
            writeln!(html, "<p><small>{}</small></p>", Escaped(help))?;
        }
        if !self.doubts.is_empty() {
            let which = if self.doubts.len() < self.workspaces {
                format!(
                    "Not known in {} of {} workspaces",
                    self.doubts.len(),
                    self.workspaces
                )
            } else if self.top.series > 0 {
                "Not all is known".into()
            } else {
                "Not known".into()
            };
            writeln!(html, "<p class=\"stale\">⚠ {which}:</p>\n<ul>")?;
            for (workspace, doubt) in self.doubts.iter().take(NAMED) {
                writeln!(
                    html,
                    "<li>Workspace {}: {}.</li>",
                    Escaped(workspace),
                    Escaped(doubt)
                )?;
            }
            if let Some(more) = self.doubts.len().checked_sub(NAMED).filter(|n| *n > 0) {
                writeln!(html, "<li>and {more} more workspaces.</li>")?;
            }
            html.write_str("</ul>\n")?;
        }
        if self.top.series == 0 && self.top.gathered == 0.0 && self.doubts.len() < self.workspaces {
            let place = if self.doubts.is_empty() {
                ""
            } else {
                " in the other workspaces"
            };
            writeln!(html, "<p>{none}{place}.</p>")?;
        }
        Ok(())
    }
}

/// A threat is a workspace, VM, resource, address, kind and direction.
pub type Threats<'a> = Known<'a, 6>;

pub fn threats<'a>(snapshot: &'a Snapshot, about: &About, now: Timestamp) -> Threats<'a> {
    let labels = [
        "workspace",
        "vm",
        "resource_id",
        "remote_ip",
        "threat_type",
        "direction",
    ];
    let mut known = Known::of(snapshot, about, THREATS, Order::Largest, labels, now);
    doubt::of_feed(snapshot, &about.workspaces, &mut known.doubts, now);
    known
}

pub fn write_threats(html: &mut String, threats: &Threats, now: Timestamp) -> fmt::Result {
    html.write_str("<section>\n<h2>Threat connections</h2>\n")?;
    threats.introduce(
        html,
        THREATS,
        "None: no address that is known to be malicious",
    )?;
    let top = &threats.top;
    if top.gathered > 0.0 {
        writeln!(
            html,
            "<p>{} more connections did not fit under max_series and are counted together.</p>",
            Count(top.gathered as u64)
        )?;
    }
    if top.first.is_empty() {
        return html.write_str("</section>\n");
    }
    let keys: Vec<[&str; 5]> = top
        .first
        .iter()
        .map(|found| {
            let [workspace, vm, resource, ip, kind, _] = found.labels;
            [ip, vm, kind, resource, workspace]
        })
        .collect();
    let labels = ["remote_ip", "vm", "threat_type", "resource_id", "workspace"];
    let of = |family| values_of(threats.snapshot, family, labels, &keys);
    let most = if top.series as usize > top.first.len() {
        format!(
            "; the {} of {} with the most",
            top.first.len(),
            Count(top.series)
        )
    } else {
        String::new()
    };
    let (severities, confidences, last_seen) = (of(SEVERITY), of(CONFIDENCE), of(LAST_SEEN));
    writeln!(
        html,
        "<p>{} in all{}:</p>\n\
         <div class=\"wide\" role=\"region\" aria-label=\"Threat connections\" tabindex=\"0\"><table>\n\
         <thead><tr><th scope=\"col\">VM</th><th scope=\"col\">Remote address</th>\
         <th scope=\"col\">Threat</th><th scope=\"col\">Direction</th>\
         <th scope=\"col\" class=\"n\">Connections</th><th scope=\"col\" class=\"n\">Severity, 0–5</th>\
         <th scope=\"col\" class=\"n\">Confidence</th><th scope=\"col\">Last seen</th>\
         <th scope=\"col\">Workspace</th></tr></thead>\n<tbody>",
        Counted(top.sum as u64, "connection", "connections"),
        most,
    )?;
    for (index, found) in top.first.iter().enumerate() {
        let [workspace, vm, resource, ip, kind, direction] = found.labels.map(Escaped);
        write!(
            html,
            "<tr><th scope=\"row\" title=\"{resource}\">{vm}</th><td data-l=\"Remote address\">{ip}</td>\
             <td data-l=\"Threat\">{kind}</td><td data-l=\"Direction\">{direction}</td>\
             <td class=\"n\" data-l=\"Connections\">{}</td>",
            Count(found.value as u64)
        )?;
        let value = |values: &[Option<f64>]| values.get(index).copied().flatten();
        cell(html, "Severity", value(&severities).map(|v| format!("{v}")))?;
        cell(
            html,
            "Confidence",
            value(&confidences).map(|v| format!("{v:.0} %")),
        )?;
        let seen = value(&last_seen).and_then(|v| Timestamp::from_second(v as i64).ok());
        match seen {
            Some(at) => write!(html, "<td data-l=\"Last seen\">{}</td>", Away(at, now))?,
            None => html.write_str("<td data-l=\"Last seen\">–</td>")?,
        }
        writeln!(html, "<td data-l=\"Workspace\">{workspace}</td></tr>")?;
    }
    html.write_str("</tbody></table></div>\n</section>\n")
}

/// A disk is a workspace, VM, resource and mount point or drive.
pub type Disks<'a> = Known<'a, 4>;

pub fn disks<'a>(snapshot: &'a Snapshot, about: &About, now: Timestamp) -> Disks<'a> {
    let labels = ["workspace", "vm", "resource_id", "disk"];
    Known::of(snapshot, about, FREE_PERCENT, Order::Smallest, labels, now)
}

pub fn write_disks(html: &mut String, disks: &Disks) -> fmt::Result {
    html.write_str("<section>\n<h2>Fullest disks</h2>\n")?;
    disks.introduce(
        html,
        FREE_PERCENT,
        "No disk is known: the answers have none",
    )?;
    let top = &disks.top;
    if top.first.is_empty() {
        return html.write_str("</section>\n");
    }
    let keys: Vec<[&str; 4]> = top
        .first
        .iter()
        .map(|found| {
            let [workspace, vm, resource, disk] = found.labels;
            [vm, disk, resource, workspace]
        })
        .collect();
    let labels = ["vm", "disk", "resource_id", "workspace"];
    let of = |family| values_of(disks.snapshot, family, labels, &keys);
    let (free, sizes) = (of(FREE_BYTES), of(SIZE_BYTES));
    writeln!(
        html,
        "<p>The {} fullest of {}:</p>\n\
         <div class=\"wide\" role=\"region\" aria-label=\"Fullest disks\" tabindex=\"0\"><table>\n\
         <thead><tr><th scope=\"col\">VM</th><th scope=\"col\">Disk</th>\
         <th scope=\"col\" class=\"n\">Free</th><th scope=\"col\" class=\"n\">Free bytes</th>\
         <th scope=\"col\" class=\"n\">Size</th><th scope=\"col\">Workspace</th></tr></thead>\n<tbody>",
        top.first.len(),
        Counted(top.series, "disk", "disks"),
    )?;
    for (index, found) in top.first.iter().enumerate() {
        let [workspace, vm, resource, disk] = found.labels.map(Escaped);
        write!(
            html,
            "<tr><th scope=\"row\" title=\"{resource}\">{vm}</th><td data-l=\"Disk\">{disk}</td>\
             <td class=\"n\" data-l=\"Free\">{:.1} %</td>",
            found.value
        )?;
        let value = |values: &[Option<f64>]| values.get(index).copied().flatten();
        cell(
            html,
            "Free bytes",
            value(&free).map(|v| Bytes(v).to_string()),
        )?;
        cell(html, "Size", value(&sizes).map(|v| Bytes(v).to_string()))?;
        writeln!(html, "<td data-l=\"Workspace\">{workspace}</td></tr>")?;
    }
    html.write_str("</tbody></table></div>\n</section>\n")
}

/// A cell with a number; a dash for one that is not known.
fn cell(html: &mut String, label: &str, value: Option<String>) -> fmt::Result {
    let value = value.as_deref().unwrap_or("–");
    write!(html, "<td class=\"n\" data-l=\"{label}\">{value}</td>")
}
