//! The analyser itself, in node.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use vminsights_exporter::kql::Schema;

use crate::corpus::{FOLDER, queries, read};
use crate::verdict::Verdict;

type Found = Option<(String, usize, String)>;

#[derive(serde::Deserialize)]
struct Judged {
    syntax: Found,
    any: Found,
    columns: Vec<(String, String)>,
}

fn judge(queries: &BTreeMap<String, String>) -> BTreeMap<String, Judged> {
    let schema: serde_json::Map<String, Value> = Schema::vm_insights()
        .tables()
        .map(|table| {
            let columns = table.columns.iter();
            let columns = columns.map(|column| json!([&*column.name, column.kind.as_str()]));
            (table.name.to_string(), columns.collect())
        })
        .collect();
    let mut node = Command::new("node")
        .arg(format!("{FOLDER}/judge.cjs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node must be installed");
    let input = json!({"schema": schema, "queries": queries}).to_string();
    node.stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "the analyser did not run; `make test` installs it"
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The verdicts as `expected.tsv` holds them.
fn written(verdicts: BTreeMap<String, Judged>) -> String {
    let mut text = String::new();
    for (name, judged) in verdicts {
        text += &match (judged.syntax, judged.any) {
            (Some((code, start, message)), _) => {
                format!("{name}\tsyntax\t{code}@{start}\t{message}\n")
            }
            (None, Some((code, start, message))) => {
                format!("{name}\tsemantic\t{code}@{start}\t{message}\n")
            }
            (None, None) => match Verdict::right(judged.columns.into_iter()) {
                Verdict::Right(columns) => format!("{name}\tright\t{}\n", columns.join(", ")),
                _ => unreachable!("a right query"),
            },
        };
    }
    text
}

#[test]
fn the_recorded_verdicts_are_the_analysers() {
    let found = written(judge(&queries()));
    let path = format!("{FOLDER}/expected.tsv");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let recorded = read(&path);
    for (found, recorded) in found.lines().zip(recorded.lines()) {
        assert_eq!(found, recorded);
    }
    assert_eq!(found.lines().count(), recorded.lines().count());
}
