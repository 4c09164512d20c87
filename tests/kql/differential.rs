//! Our engine against duckdb-kql, which translates KQL to SQL for DuckDB: `duckdb_differential.py`
//! compares the answers to `differential.kql`.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use vminsights_exporter::kql::{
    Batch, BatchBuilder, Budget, Database, DateTime, QueryOptions, QueryResult, Schema, Value, run,
};

use crate::corpus::{FOLDER, named};

const SCHEMA: &str = r#"{
    "T": {
        "TimeGenerated": "datetime", "Id": "long", "Computer": "string", "Severity": "int",
        "Bytes": "long", "Latitude": "real", "Text": "string", "Tags": "string", "Flag": "bool"
    },
    "U": {"Computer": "string", "Owner": "string"}
}"#;

/// Two tables with nulls, empty strings, capitals and rows that are alike.
struct Small {
    schema: Schema,
    batches: BTreeMap<&'static str, Arc<Batch>>,
}

impl Database for Small {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn scan(&self, table: &str) -> Vec<Arc<Batch>> {
        self.batches.get(table).cloned().into_iter().collect()
    }
}

fn minute(minute: i64) -> DateTime {
    DateTime::from_unix_seconds(1_732_442_400 + 60 * minute)
}

fn small() -> Small {
    let schema = Schema::from_json(SCHEMA).unwrap();
    let null = || Value::Null;
    let connections = (0..12).map(|row: i64| {
        let at = row as usize;
        vec![
            Value::DateTime(minute(row * 3 / 2)),
            Value::Long(row),
            Value::string(["VM-1", "vm-2", "vm-3", "vm-2"][at % 4]),
            [
                Value::Int(3),
                null(),
                Value::Int(5),
                Value::Int(1),
                Value::Int(2),
            ][at % 5]
                .clone(),
            if row == 4 {
                null()
            } else {
                Value::Long(row * row * 10)
            },
            if row % 6 == 1 {
                null()
            } else {
                Value::Real(row as f64 / 4.0 - 1.0)
            },
            Value::string(["botnet-c2", "", "Botnet 7", "spam, c2", "robotnets"][at % 5]),
            Value::string([r#"{"a": 1, "b": "x"}"#, "", r#"{"a": 2}"#][at % 3]),
            Value::Bool(row % 3 == 0),
        ]
    });
    let owners = [
        ("VM-1", "ann"),
        ("vm-2", "bob"),
        ("vm-2", "cy"),
        ("vm-9", "dee"),
    ]
    .map(|(computer, owner)| vec![Value::string(computer), Value::string(owner)]);
    let batch = |name: &str, rows: Vec<Vec<Value>>| {
        let mut builder = BatchBuilder::new(schema.table(name).unwrap().clone());
        for row in rows {
            builder.push(minute(0), row).unwrap();
        }
        Arc::new(builder.finish())
    };
    let batches = [
        ("T", batch("T", connections.collect())),
        ("U", batch("U", owners.to_vec())),
    ];
    Small {
        batches: batches.into(),
        schema,
    }
}

/// Columns as name and type, then rows; moments and lengths of time in ticks.
fn table(result: &QueryResult) -> Json {
    let columns = result.columns.iter();
    let columns: Vec<Json> = columns
        .map(|column| json!([&*column.name, column.kind.as_str()]))
        .collect();
    let rows: Vec<Json> = (0..result.row_count)
        .map(|row| {
            result
                .data
                .iter()
                .map(|data| cell(data.value(row)))
                .collect()
        })
        .collect();
    json!({"columns": columns, "rows": rows})
}

fn cell(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) => (*number).into(),
        Value::Long(number) => (*number).into(),
        Value::Real(number) if number.is_finite() => (*number).into(),
        Value::Real(number) => number.to_string().into(),
        Value::Decimal(number) => number.to_string().into(),
        Value::String(text) => (**text).into(),
        Value::DateTime(moment) => moment.0.into(),
        Value::TimeSpan(span) => span.0.into(),
        Value::Guid(guid) => guid.to_string().into(),
        Value::Dynamic(json) => (**json).clone(),
    }
}

#[test]
fn duckdb_agrees_but_for_the_differences_that_are_listed() {
    let small = small();
    let options = QueryOptions {
        now: minute(60),
        timespan: None,
        max_rows: 1000,
        budget: Budget::default(),
        elapsed: &|| Duration::ZERO,
        cancelled: &|| false,
    };
    let answer = |text: &str| match run(&small, text, &options) {
        Ok(result) => table(&result),
        Err(error) => panic!("{text}\n{error}"),
    };
    let tables: BTreeMap<&str, Json> = ["T", "U"].map(|name| (name, answer(name))).into();
    let queries: BTreeMap<String, Json> = named(&format!("{FOLDER}/differential.kql"))
        .into_iter()
        .map(|(name, text)| {
            let answer = answer(&text);
            (name, json!({"text": text, "answer": answer}))
        })
        .collect();
    assert!(queries.len() >= 60, "{} queries", queries.len());
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/.tools/python/bin/python");
    let mut duckdb = Command::new(python)
        .arg(format!("{FOLDER}/duckdb_differential.py"))
        .stdin(Stdio::piped())
        .spawn()
        .expect("`make test` installs it");
    let input = json!({"tables": tables, "queries": queries}).to_string();
    duckdb
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    assert!(duckdb.wait().unwrap().success(), "unexplained differences");
}
