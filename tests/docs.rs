//! `docs/metrics.md` is generated: from the catalogue's packs and the exporter's own families.
//! UPDATE_DOCS=1 writes it.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use vminsights_exporter::catalogue::{Catalogue, packs};
use vminsights_exporter::config::{Located, Settings};
use vminsights_exporter::snapshot::POLL_FAMILIES;
use vminsights_exporter::telemetry::push::{PushEnded, PushOutcome};
use vminsights_exporter::telemetry::{PushMetrics, SelfMetrics};

fn pack(name: &str) -> Catalogue {
    let text = "workspaces: [{id: 5f6d2b1c-0000-4000-8000-000000000001}]";
    let file = Path::new("exporter.yaml");
    let mut settings = Settings::from_yaml(file, text).unwrap();
    settings.packs = vec![Located::new(name.into(), None)];
    Catalogue::load(&settings, file).unwrap()
}

fn row(out: &mut String, name: &str, kind: &str, labels: &[&str], help: &str) {
    let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
    let help = help.replace('|', "\\|");
    writeln!(
        out,
        "| `{name}` | {kind} | {} | {help} |",
        labels.join(", ")
    )
    .unwrap();
}

const HEAD: &str = "| family | type | labels | what it is |\n|---|---|---|---|\n";

fn metrics_md() -> String {
    let mut out = String::from(
        "# Metrics\n\n\
         Generated from the packs and the source; `UPDATE_DOCS=1 cargo test --test docs` writes it.\n\n\
         Data families bear the label `workspace`, the workspace's configured name, beside those that are\n\
         listed. Their values are polled, not read at scrape time, and carry no timestamps:\n\
         `vminsights_exporter_poll_last_success_timestamp_seconds` says how old they are.\n",
    );
    for name in packs::names() {
        writeln!(out, "\n## Pack `{name}`\n").unwrap();
        out.push_str(HEAD);
        for query in &pack(name).queries {
            let labels: Vec<&str> = query
                .mapping
                .labels
                .iter()
                .map(|l| l.label.as_str())
                .collect();
            for metric in &query.mapping.metrics {
                row(
                    &mut out,
                    metric.name.as_str(),
                    metric.kind.as_str(),
                    &labels,
                    &metric.help,
                );
            }
        }
    }
    writeln!(out, "\n## The exporter itself: each query and workspace\n").unwrap();
    out.push_str(HEAD);
    for family in &POLL_FAMILIES {
        let labels: Vec<&str> = ["query", "workspace"]
            .into_iter()
            .chain(family.label)
            .collect();
        row(
            &mut out,
            family.name,
            family.kind.as_str(),
            &labels,
            family.help,
        );
    }
    writeln!(out, "\n## The exporter itself: the process\n").unwrap();
    out.push_str(HEAD);
    let metrics = SelfMetrics::new().unwrap();
    metrics.count_http_request("metrics", 200);
    metrics.count_scrape("text", "gzip");
    let push = PushMetrics::new(&metrics).unwrap();
    PushEnded {
        outcome: PushOutcome::Success,
        sent: 0,
        rejected: 0,
        duration: Duration::ZERO,
        at: 0.0,
        message: None,
        again: false,
    }
    .emit(&push);
    let (push, process): (Vec<_>, Vec<_>) = metrics
        .gather()
        .into_iter()
        .partition(|family| family.name().starts_with("vminsights_exporter_otlp_"));
    registered(&mut out, process);
    writeln!(
        out,
        "\n## The exporter itself: the push over OTLP, where it is configured\n"
    )
    .unwrap();
    out.push_str(HEAD);
    registered(&mut out, push);
    out
}

fn registered(out: &mut String, families: Vec<prometheus::proto::MetricFamily>) {
    for family in families {
        let labels: Vec<&str> = family.get_metric()[0]
            .get_label()
            .iter()
            .map(|l| l.name())
            .collect();
        let kind = format!("{:?}", family.get_field_type()).to_lowercase();
        row(out, family.name(), &kind, &labels, family.help());
    }
}

#[test]
fn metrics_md_is_what_the_code_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let generated = metrics_md();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &generated).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == generated,
        "docs/metrics.md is not what the code says: run UPDATE_DOCS=1 cargo test --test docs"
    );
}

#[test]
fn a_metric_that_readme_names_exists() {
    let readme =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let known = metrics_md();
    let mut found = 0;
    for word in readme.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
        if word.starts_with("vminsights_") && word != "vminsights_" {
            found += 1;
            assert!(
                known.contains(&format!("`{word}`")),
                "README names {word}, which does not exist"
            );
        }
    }
    assert!(found > 10, "only {found} metric names found in README");
}
