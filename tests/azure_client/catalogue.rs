//! A catalogue of one query, asked every second.

use std::path::Path;

use vminsights_exporter::catalogue::Catalogue;
use vminsights_exporter::config::{Located, Settings};

/// `settings` are further lines of the definition.
pub fn catalogue(settings: &str) -> Catalogue {
    let yaml = format!(
        "interval: 1s\n{settings}labels: {{vm: Computer}}\nmetrics:\n  - {{name: x_rows, type: gauge, help: Rows., value: Rows}}\n"
    );
    of(&yaml, "Heartbeat | summarize Rows = count() by Computer")
}

/// The query `rows` of these two files.
pub fn of(yaml: &str, kql: &str) -> Catalogue {
    under("", yaml, kql)
}

/// As [`of`], with further lines of the configuration.
pub fn under(configuration: &str, yaml: &str, kql: &str) -> Catalogue {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rows.yaml"), yaml).unwrap();
    std::fs::write(folder.path().join("rows.kql"), kql).unwrap();
    let file = Path::new("exporter.yaml");
    let text = format!(
        "workspaces: [{{id: 5f6d2b1c-0000-4000-8000-000000000001}}]\npacks: []\n{configuration}"
    );
    let mut settings = Settings::from_yaml(file, &text).unwrap();
    settings.queries_dir = Some(Located::new(folder.path().into(), None));
    Catalogue::load(&settings, file).unwrap()
}
