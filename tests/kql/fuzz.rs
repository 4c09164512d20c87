//! Any text ends in an answer or an error: never in a panic, an overflow, or without end.
//!
//! `KQL_FUZZ_CASES=200000 cargo test --release --test kql fuzz` looks longer.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::RngSeed;
use vminsights_exporter::kql::{
    Analysis, Batch, BatchBuilder, Budget, Database, DateTime, QueryError, QueryOptions, Schema,
    TimeSpan, Type, Value, analyze, run,
};

use crate::corpus::queries;

/// A few rows of every table.
struct Rows {
    schema: Schema,
    batches: HashMap<String, Vec<Arc<Batch>>>,
}

impl Database for Rows {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn scan(&self, table: &str) -> Vec<Arc<Batch>> {
        self.batches.get(table).cloned().unwrap_or_default()
    }
}

fn now() -> DateTime {
    DateTime::from_unix_seconds(1_795_514_400)
}

/// The `row`th value of a type, null every third time.
fn cell(kind: Type, row: usize) -> Value {
    if row % 3 == 2 {
        return Value::Null;
    }
    match kind {
        Type::Bool => Value::Bool(row == 0),
        Type::Int => Value::Int(row as i32 - 1),
        Type::Long => Value::Long(i64::MAX - row as i64),
        Type::Real => Value::Real(0.5 - row as f64),
        Type::Decimal => Value::Decimal(row.into()),
        Type::String => Value::string(["{\"a\":[1,\"é\"]}", "10.0.0.1, a-b"][row % 2]),
        Type::DateTime => Value::DateTime(DateTime(now().0 - row as i64 * 600_000_000)),
        Type::TimeSpan => Value::TimeSpan(TimeSpan(row as i64)),
        Type::Guid => Value::Guid(uuid::Uuid::from_u128(row as u128)),
        Type::Dynamic => Value::Dynamic(Arc::new(serde_json::json!([row, {"b": "x"}, null]))),
    }
}

fn rows() -> &'static Rows {
    static ROWS: OnceLock<Rows> = OnceLock::new();
    ROWS.get_or_init(|| {
        let schema = Schema::vm_insights();
        let batches = schema
            .tables()
            .map(|table| {
                let mut builder = BatchBuilder::new(table.clone());
                for row in 0..5 {
                    let cells = table.columns.iter().map(|column| cell(column.kind, row));
                    builder.push(now(), cells.collect()).unwrap();
                }
                (table.name.to_string(), vec![Arc::new(builder.finish())])
            })
            .collect();
        Rows { schema, batches }
    })
}

/// Words of the corpus and pieces that hurt.
fn words() -> &'static Vec<String> {
    static WORDS: OnceLock<Vec<String>> = OnceLock::new();
    WORDS.get_or_init(|| {
        let mut words: Vec<String> = queries()
            .values()
            .flat_map(|text| pieces(text))
            .filter(|word| word.len() < 40)
            .collect();
        words.extend(
            [
                "9223372036854775807",
                "-9223372036854775808",
                "1e308",
                "real(nan)",
                "long(null)",
                "datetime(9999-12-31T23:59:59.9999999)",
                "datetime(0001-01-01)",
                "1000000d",
                "dynamic(null)",
                "dynamic([1,[2,{\"a\":null}]])",
                "\"\"",
                "'é\u{1F600}'",
                "((",
                "))",
                "[",
                "]",
                "{",
                "}",
                "\u{0}",
                "\u{feff}",
                "```",
                "@'",
                "//",
                "\n",
            ]
            .map(str::to_owned),
        );
        words.sort();
        words.dedup();
        words
    })
}

/// The text cut where letters and others meet.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut before = None;
    for c in text.chars() {
        let class = match c {
            c if c.is_alphanumeric() || c == '_' || c == '-' => 0,
            c if c.is_whitespace() => 1,
            _ => 2,
        };
        match pieces.last_mut() {
            Some(piece) if before == Some(class) && class < 2 => piece.push(c),
            _ => pieces.push(c.to_string()),
        }
        before = Some(class);
    }
    pieces
}

/// A query of the corpus with some pieces gone, doubled, swapped or replaced.
fn mutated() -> impl Strategy<Value = String> {
    let all: Vec<String> = queries().into_values().collect();
    let change = (
        any::<Index>(),
        any::<Index>(),
        0..5_u8,
        select(words().clone()),
    );
    (select(all), proptest::collection::vec(change, 1..5)).prop_map(|(text, changes)| {
        let mut pieces = pieces(&text);
        for (at, other, kind, word) in changes {
            if pieces.is_empty() {
                pieces.push(word);
                continue;
            }
            let (at, other) = (at.index(pieces.len()), other.index(pieces.len()));
            match kind {
                0 => drop(pieces.remove(at)),
                1 => pieces.insert(at, pieces[other].clone()),
                2 => pieces.swap(at, other),
                3 => pieces[at] = word,
                _ => {
                    let tail = pieces.split_off(at);
                    let doubled = pieces.clone();
                    pieces.extend(doubled);
                    pieces.extend(tail);
                }
            }
        }
        pieces.concat()
    })
}

fn soup() -> impl Strategy<Value = String> {
    proptest::collection::vec(select(words().clone()), 0..40).prop_map(|words| words.join(" "))
}

fn check(text: &str) {
    let begun = Instant::now();
    // Queries that would go on for long are stopped, as the server stops them.
    let cancelled = || begun.elapsed() > Duration::from_secs(2);
    let options = QueryOptions {
        now: now(),
        timespan: None,
        max_rows: 100,
        budget: Budget::default(),
        elapsed: &|| begun.elapsed(),
        cancelled: &cancelled,
    };
    match run(rows(), text, &options) {
        Ok(result) => {
            assert_eq!(result.columns.len(), result.data.len());
            for (column, data) in result.columns.iter().zip(&result.data) {
                assert_eq!(data.len(), result.row_count);
                for value in data.iter() {
                    let kind = value.kind().unwrap_or(column.kind);
                    assert_eq!(kind, column.kind, "{} in {text}", column.name);
                }
            }
        }
        Err(QueryError::Syntax(found) | QueryError::Semantic(found)) => {
            assert_eq!(
                text.get(found.span.clone()),
                Some(found.token.as_str()),
                "{text}"
            );
            assert!(!found.message.is_empty());
        }
        Err(_) => {}
    }
    if let Analysis::Wrong { diagnostics } = analyze(&rows().schema, text) {
        assert!(diagnostics[0].span.end <= text.len());
    }
}

/// So many and others each time if KQL_FUZZ_CASES says how many; else the same few for everybody, so
/// that nobody's build fails by chance.
fn cases() -> (u32, RngSeed) {
    let cases = std::env::var("KQL_FUZZ_CASES").ok();
    match cases.and_then(|cases| cases.parse().ok()) {
        Some(cases) => (cases, RngSeed::Random),
        None => (400, RngSeed::Fixed(20_261_124)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases().0,
        rng_seed: cases().1,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn fuzz_queries_with_changes(text in mutated()) {
        check(&text);
    }

    #[test]
    fn fuzz_words_in_any_order(text in soup()) {
        check(&text);
    }

    #[test]
    fn fuzz_any_characters(text in "\\PC{0,80}|[ -~\\n]{0,80}") {
        check(&text);
    }
}

#[test]
fn the_corpus_runs_over_rows() {
    for text in queries().values() {
        check(text);
    }
}
