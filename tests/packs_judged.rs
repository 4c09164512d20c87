//! Every pack query judged by Microsoft's own KQL analyser, against the schema that ours uses; and
//! what the two say of the result's columns must agree.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use vminsights_exporter::catalogue::{Catalogue, packs};
use vminsights_exporter::config::{Located, Settings};
use vminsights_exporter::kql::{Analysis, Schema, analyze};

#[derive(serde::Deserialize)]
struct Verdict {
    errors: Vec<String>,
    columns: Vec<(String, String)>,
}

fn judge(schema: &Schema, queries: &BTreeMap<String, String>) -> BTreeMap<String, Verdict> {
    let schema: BTreeMap<&str, BTreeMap<&str, &str>> = schema
        .tables()
        .map(|table| {
            let columns = table.columns.iter().map(|c| (&*c.name, c.kind.as_str()));
            (&*table.name, columns.collect())
        })
        .collect();
    let input = serde_json::json!({"schema": schema, "queries": queries});
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/judge.cjs");
    let mut node = Command::new("node")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node must be installed");
    node.stdin
        .take()
        .unwrap()
        .write_all(input.to_string().as_bytes())
        .unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "the analyser did not run; `make test` installs it"
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_pack_query_is_right_and_returns_what_our_engine_says() {
    let file = Path::new("exporter.yaml");
    let text = "workspaces: [{id: 5f6d2b1c-0000-4000-8000-000000000001}]
filters: {min_severity: 2, min_confidence_percent: 50, allowed_addresses: [10.0.0.0/8, '2001:db8::/32']}";
    let mut settings = Settings::from_yaml(file, text).unwrap();
    settings.packs = packs::names()
        .into_iter()
        .map(|p| Located::new(p.into(), None))
        .collect();
    let catalogue = Catalogue::load(&settings, file).unwrap();
    let schema = Schema::vm_insights();
    let mut queries: BTreeMap<String, String> = catalogue
        .queries
        .iter()
        .map(|query| (query.name.to_string(), query.kql.clone()))
        .collect();
    assert!(queries.len() >= 10);
    // The judge must be able to say no.
    queries.insert("wrong".into(), "InsightsMetrics | project val".into());
    let verdicts = judge(&schema, &queries);
    assert_eq!(verdicts["wrong"].errors.len(), 1);
    for query in &catalogue.queries {
        let verdict = &verdicts[query.name.as_str()];
        assert_eq!(verdict.errors, [] as [String; 0], "{}", query.name);
        let Analysis::Right { columns } = analyze(&schema, &query.kql) else {
            panic!("our engine does not find {} right", query.name);
        };
        let ours: Vec<(String, String)> = columns
            .iter()
            .map(|column| (column.name.to_string(), column.kind.as_str().to_owned()))
            .collect();
        assert_eq!(ours, verdict.columns, "{}", query.name);
    }
}
