//! Each operator and function that published VM insights queries use is known to the binder.

use vminsights_exporter::kql::{Analysis, Schema, analyze};

use crate::corpus::{FOLDER, read};

#[test]
fn what_published_queries_use_is_known() {
    let text = read(&format!("{FOLDER}/usage.tsv"));
    let rows: Vec<(&str, &str)> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once('\t').expect("name, tab, query"))
        .collect();
    assert_eq!(rows.len(), 167);
    let schema = Schema::vm_insights();
    for (name, query) in rows {
        let verdict = analyze(&schema, query);
        assert!(
            matches!(verdict, Analysis::Right { .. }),
            "{name}: {query}: {verdict:?}"
        );
    }
}
