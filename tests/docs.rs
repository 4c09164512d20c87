//! `docs/metrics.md` is generated from the catalogue's packs and the exporter's own families,
//! `docs/configuration.md` from the lists of keys. UPDATE_DOCS=1 writes them.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use vminsights_exporter::catalogue::{self, Catalogue, packs};
use vminsights_exporter::config::{self, Key, Located, Settings};
use vminsights_exporter::snapshot::POLL_FAMILIES;
use vminsights_exporter::telemetry::events::SignedIn;
use vminsights_exporter::telemetry::push::{PushEnded, PushOutcome};
use vminsights_exporter::telemetry::{FailureReason, PushMetrics, SelfMetrics};

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
    metrics.set_clock_skew(0.0);
    let labels = [
        "workspace",
        "workspace_id",
        "resource_id",
        "subscription_id",
        "resource_group",
        "location",
    ];
    let row = labels.map(str::to_owned).to_vec();
    metrics.set_workspaces(&labels, &[row]).unwrap();
    let expires = Some(jiff::Timestamp::UNIX_EPOCH);
    SignedIn {
        service: "logs",
        expires,
    }
    .emit(&metrics);
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

fn configuration_md() -> String {
    let mut out = String::from(
        "# Configuration reference\n\n\
         Generated from the source; `UPDATE_DOCS=1 cargo test --test docs` writes it. The README shows whole\n\
         files.\n\n\
         Unknown keys are errors, and so is a key that stands twice. Paths are relative to the file that names\n\
         them. A length of time is written `30s`, `15m`, `1h 30m` or `2d`, at most `30d`. Secrets are never\n\
         written into these files: a file or an environment variable holds them.\n\
         `vminsights-exporter check --config.file=exporter.yaml` judges all of it without asking Azure.\n",
    );
    for (title, keys) in [
        ("The configuration file", config::KEYS),
        ("A definition's `.yaml`", catalogue::KEYS),
    ] {
        writeln!(
            out,
            "\n## {title}\n\n| key | value | default | what it is |\n|---|---|---|---|"
        )
        .unwrap();
        for key in keys {
            let Key {
                path,
                value,
                default,
                help,
            } = key;
            writeln!(out, "| `{path}` | {value} | {default} | {help} |").unwrap();
        }
    }
    out
}

#[test]
fn generated_documents_are_what_the_code_says() {
    for (name, generated) in [
        ("metrics.md", metrics_md()),
        ("configuration.md", configuration_md()),
    ] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("docs")
            .join(name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&file, &generated).unwrap();
        }
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            written == generated,
            "docs/{name} is not what the code says: run UPDATE_DOCS=1 cargo test --test docs"
        );
    }
}

/// YAML with the key `nonsense` in the map at `path`.
fn nonsense_at(path: &str) -> String {
    let steps = path.split('.').filter(|step| !step.is_empty()).rev();
    steps.fold("{nonsense: 1}".into(), |inner, step| {
        match step.strip_suffix("[]") {
            Some(list) => format!("{{{list}: [{inner}]}}"),
            None => format!("{{{step}: {inner}}}"),
        }
    })
}

/// The keys that the reader itself names when it finds one that it does not know.
fn expected_by_the_reader(error: &str) -> BTreeSet<&str> {
    let (_, list) = error
        .split_once("expected one of ")
        .or_else(|| error.split_once("expected "))
        .unwrap_or_else(|| panic!("{error}"));
    list.split(" or ")
        .flat_map(|some| some.split(", "))
        .map(|key| key.trim().trim_matches('`'))
        .collect()
}

/// Holds a list of keys against the errors of the reader that takes them.
fn assert_complete(keys: &[Key], read: impl Fn(&str) -> String) {
    let parents: BTreeSet<&str> = keys
        .iter()
        .map(|key| key.path.rsplit_once('.').map_or("", |(parent, _)| parent))
        .collect();
    assert!(parents.contains(""));
    for parent in parents {
        let listed: BTreeSet<&str> = keys
            .iter()
            .filter_map(|key| match parent {
                "" => Some(key.path),
                parent => key.path.strip_prefix(parent)?.strip_prefix('.'),
            })
            .filter(|key| !key.contains('.'))
            .collect();
        let error = read(&nonsense_at(parent));
        let expected = expected_by_the_reader(&error);
        // A word may stand where a map with one key may; the key's own line lists the words.
        let words = keys.iter().find(|key| key.path == parent);
        let is_word =
            |name: &str| words.is_some_and(|key| key.value.contains(&format!("`{name}`")));
        let expected = expected.into_iter().filter(|name| !is_word(name)).collect();
        assert_eq!(listed, expected, "under {parent:?}");
    }
}

#[test]
fn the_references_list_exactly_the_keys_that_are_read() {
    let config_file = Path::new("exporter.yaml");
    assert_complete(config::KEYS, |yaml| {
        Settings::from_yaml(config_file, yaml)
            .unwrap_err()
            .to_string()
    });

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("q.kql"), "Heartbeat").unwrap();
    let mut settings = Settings::from_yaml(
        config_file,
        "workspaces: [{id: 5f6d2b1c-0000-4000-8000-000000000001}]",
    )
    .unwrap();
    settings.packs = Vec::new();
    settings.queries_dir = Some(Located::new(folder.path().into(), None));
    assert_complete(catalogue::KEYS, |yaml| {
        std::fs::write(folder.path().join("q.yaml"), yaml).unwrap();
        Catalogue::load(&settings, config_file)
            .unwrap_err()
            .to_string()
    });
}

/// `docs/failures.md` and the closed list of reasons: neither has one that the other lacks, and the alerts
/// that it names exist.
#[test]
fn every_failure_is_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/failures.md")).unwrap();
    // The second table is held by tests/faults.rs.
    let (text, _) = text.split_once("| fault | metrics: ").unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let rows: Vec<Vec<&str>> = rows.map(|row| row.split(" | ").collect()).collect();
    let documented: BTreeSet<&str> = rows
        .iter()
        .map(|row| row[0].trim_matches(|c| "|` ".contains(c)))
        .collect();
    let reasons = FailureReason::ALL.map(FailureReason::as_str);
    assert_eq!(documented, BTreeSet::from(reasons));
    for row in &rows {
        assert_eq!(row.len(), 4, "{row:?}");
        for alert in row[3].trim_end_matches(" |").split(", ") {
            let runbook = root.join("docs/runbooks").join(format!("{alert}.md"));
            assert!(runbook.exists(), "no alert {alert}: {row:?}");
        }
    }
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
