use super::*;
use crate::kql::{Column, Value};

const NOW: DateTime = DateTime::from_unix_seconds(1_800_000_000);

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn load_files(files: &[(&str, &str)]) -> Result<Loaded, DataError> {
    load(folder(files).path(), "workspace", NOW)
}

/// The error's text, without the folder's own path.
fn complaint(files: &[(&str, &str)]) -> String {
    let folder = folder(files);
    let error = load(folder.path(), "workspace", NOW).err().unwrap();
    error
        .to_string()
        .replace(&format!("{}/", folder.path().display()), "")
}

fn values(column: &Column) -> Vec<Value> {
    column.iter().cloned().collect()
}

fn at(seconds: i64) -> Value {
    Value::DateTime(DateTime::from_unix_seconds(seconds))
}

const SCHEMA: &str = r#"{"T_CL": {"TenantId": "string", "TimeGenerated": "datetime", "A": "long", "S": "string", "Type": "string"}}"#;

#[test]
fn lines_and_csv_give_the_same_rows() {
    let lines = "{\"A\": 1, \"S\": \"x,y\", \"TimeGenerated\": \"2026-01-31T12:00:00Z\"}\n\n{\"A\": null}\n";
    let table = "S,A,TimeGenerated\n\"x,y\",1,2026-01-31T12:00:00Z\n,,\n";
    for (name, text) in [
        ("T_CL.ndjson", lines),
        ("T_CL.jsonl", lines),
        ("T_CL.csv", table),
    ] {
        let Loaded { batches, .. } = load_files(&[("schema.json", SCHEMA), (name, text)]).unwrap();
        let (table, batch) = &batches[0];
        assert_eq!((&**table, batches.len(), batch.row_count()), ("T_CL", 1, 2));
        let [tenant, generated, a, s, kind] = batch.columns() else {
            panic!("five columns");
        };
        assert_eq!(values(tenant), vec![Value::string("workspace"); 2]);
        assert_eq!(values(generated), [at(1_769_860_800), at(1_800_000_000)]);
        assert_eq!(values(a), [Value::Long(1), Value::Null]);
        assert_eq!(values(s), [Value::string("x,y"), Value::string("")]);
        assert_eq!(values(kind), vec![Value::string("T_CL"); 2]);
    }
}

#[test]
fn arrival_is_ingestion_time_or_else_time_generated_or_else_now() {
    let text = r#"{"_IngestionTime": "1970-01-01T00:00:09Z", "TimeGenerated": "1970-01-01T00:00:01Z"}
{"TimeGenerated": "1970-01-01T00:00:02Z"}
{"_IngestionTime": "1970-01-01T00:00:03Z"}
{}"#;
    let Loaded { batches, .. } = load_files(&[("Heartbeat.ndjson", text)]).unwrap();
    let batch = &batches[0].1;
    assert_eq!(
        values(batch.ingested()),
        [at(9), at(2), at(3), at(1_800_000_000)]
    );
    let schema = Schema::vm_insights();
    let index = schema
        .table("Heartbeat")
        .unwrap()
        .column_index("TimeGenerated")
        .unwrap();
    assert_eq!(
        values(&batch.columns()[index]),
        [at(1), at(2), at(3), at(1_800_000_000)]
    );
}

#[test]
fn other_files_are_ignored_and_no_files_are_no_rows() {
    let Loaded { schema, batches } = load_files(&[
        ("README.md", "x"),
        ("heartbeat.ndjson", "x"),
        ("U.csv", "x"),
    ])
    .unwrap();
    assert!(batches.is_empty());
    assert_eq!(schema, Schema::vm_insights());
}

#[test]
fn all_that_is_wrong_is_named_at_once() {
    let lines = "{\"A\": \"one\", \"B\": 2}\n[1]\n{\"A\"\n";
    let table = "A,C,A\n1,2\nx,,\n";
    assert_eq!(
        complaint(&[
            ("schema.json", SCHEMA),
            ("T_CL.ndjson", lines),
            ("T_CL.csv", table),
        ]),
        "T_CL.csv:1: column \"C\": table T_CL has no such column\n\
         T_CL.csv:1: column \"A\": stands twice in the header\n\
         T_CL.csv:2: a row of 2 fields under a header of 3\n\
         T_CL.csv:3: column \"A\": expected an integer of 64 bits, found \"x\"\n\
         T_CL.ndjson:1: column \"A\": expected an integer of 64 bits, found \"one\"\n\
         T_CL.ndjson:1: column \"B\": table T_CL has no such column\n\
         T_CL.ndjson:2: a line is one JSON object\n\
         T_CL.ndjson:3: no JSON object: EOF while parsing an object at line 1 column 4"
    );
}

#[test]
fn beyond_twenty_problems_the_rest_are_counted() {
    let lines = "{\"A\": true}\n".repeat(23);
    let complaint = complaint(&[("schema.json", SCHEMA), ("T_CL.jsonl", &lines)]);
    let complaint: Vec<_> = complaint.lines().collect();
    assert_eq!(complaint.len(), 21);
    assert_eq!(
        complaint[19],
        "T_CL.jsonl:20: column \"A\": expected an integer of 64 bits, found true"
    );
    assert_eq!(complaint[20], "and 3 more");
}

#[test]
fn a_schema_that_is_none_is_named_with_its_cause() {
    assert_eq!(
        complaint(&[("schema.json", "[]")]),
        "schema.json is no schema"
    );
    let error = load_files(&[("schema.json", r#"{"T": {"A": "text"}}"#)])
        .err()
        .unwrap();
    assert!(crate::telemetry::error_chain(&error).contains("has type \"text\""));
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let error = load(Path::new("/no/such/folder"), "workspace", NOW)
        .err()
        .unwrap();
    assert_eq!(error.to_string(), "could not read /no/such/folder");
}
