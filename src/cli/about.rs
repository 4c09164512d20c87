//! What the status page says of this exporter: text, so that the page knows no setting.

use crate::catalogue::{Catalogue, QueryDefinition};
use crate::config::{Settings, Workspace};
use crate::http::{About, AboutQuery};

pub fn about(
    settings: &Settings,
    catalogue: &Catalogue,
    workspaces: &[Workspace],
    is_searching: bool,
) -> About {
    About {
        workspaces: workspaces.iter().map(|w| w.name.clone()).collect(),
        is_searching,
        queries: catalogue.queries.iter().map(|q| query(q)).collect(),
        configuration: settings.masked(),
    }
}

fn query(query: &QueryDefinition) -> AboutQuery {
    let time = humantime::format_duration;
    let window = query
        .window
        .map(|window| format!(", window {}", time(window)));
    AboutQuery {
        name: query.name.as_str().into(),
        terms: format!(
            "every {}{}, given up after {}, values dropped {} after the last answer",
            time(query.interval),
            window.unwrap_or_default(),
            time(query.timeout),
            time(query.stale_after),
        ),
        families: query
            .mapping
            .metrics
            .iter()
            .map(|metric| metric.name.to_string())
            .collect(),
    }
}
