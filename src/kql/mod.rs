//! Kusto Query Language over tables in memory: what a Log Analytics workspace does with a query.
//!
//! A leaf: no I/O, no clock (`now` is an argument). [`run`] answers a query over a [`Database`];
//! [`analyze`] judges one against a [`Schema`] without running it.

mod batch;
mod binder;
mod budget;
mod calendar;
mod chart;
mod eval;
mod functions;
mod lexer;
mod names;
mod operators;
mod order;
mod parser;
mod plan;
mod prune;
mod schema;
mod stack;
mod syntax;
pub mod text;
mod value;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use binder::{Setting, UnknownTable};
use budget::Meter;

pub use batch::{Batch, BatchBuilder, Column, ColumnBuilder, RowError};
pub use budget::Budget;
pub use chart::Chart;
pub use functions::documentation as function_list;
pub use schema::{ColumnSchema, Schema, SchemaError, TableSchema};
pub use text::{parse_datetime, parse_timespan};
pub use value::{DateTime, TimeSpan, Type, Value};

/// Answers the query `text` over `database`.
///
/// # Errors
/// Says where the text is wrong, or what this engine lacks; see [`QueryError`].
pub fn run(
    database: &dyn Database,
    text: &str,
    options: &QueryOptions<'_>,
) -> Result<QueryResult, QueryError> {
    stack::with_room(|| {
        let script = parser::parse(text)?;
        let meter = Rc::new(Meter::new(options.budget));
        let rows = |plan: plan::Plan| eval::rows(database, &plan.pruned(), options, &meter);
        let setting = Setting {
            now: options.now,
            meter: &meter,
            unknown_table: UnknownTable::Wrong,
            rows: Some(&rows),
        };
        let plan = binder::bind(database.schema(), text, &script, setting)?;
        eval::run(database, &plan.pruned(), options, &meter)
    })
}

/// What a query's constants may take while it is judged.
const MAX_JUDGED_BYTES: u64 = 1 << 28;

/// Judges the query `text` without running it.
pub fn analyze(schema: &Schema, text: &str) -> Analysis {
    // The moment matters to no verdict; this one leaves room on both sides.
    let now = DateTime::from_unix_seconds(1_700_000_000);
    let columns = stack::with_room(|| {
        let script = parser::parse(text)?;
        let meter = Rc::new(Meter::new(Budget {
            bytes: MAX_JUDGED_BYTES,
            ..Budget::default()
        }));
        let setting = Setting {
            now,
            meter: &meter,
            unknown_table: UnknownTable::NotKnown,
            rows: None,
        };
        let plan = binder::bind(schema, text, &script, setting)?;
        Ok(plan.result_columns())
    });
    match columns {
        Ok(columns) => Analysis::Right { columns },
        Err(QueryError::Syntax(diagnostic) | QueryError::Semantic(diagnostic)) => Analysis::Wrong {
            diagnostics: vec![diagnostic],
        },
        Err(error) => Analysis::NotKnown {
            reason: error.to_string(),
        },
    }
}

/// Where a query's tables come from.
pub trait Database: Sync {
    fn schema(&self) -> &Schema;

    /// The batches of the table with this name; none for a table without rows. Rows that have not
    /// arrived at [`QueryOptions::now`] may be among them: the engine leaves them out.
    fn scan(&self, table: &str) -> Vec<Arc<Batch>>;
}

/// What a query's answer depends on beside its text and the tables.
pub struct QueryOptions<'a> {
    /// `now()`, and the moment after which rows have not arrived yet.
    pub now: DateTime,
    /// Bounds on TimeGenerated, from (inclusive) and to (inclusive), beside the query's own.
    pub timespan: Option<(DateTime, DateTime)>,
    /// Beyond so many rows the result is cut, and says so.
    pub max_rows: usize,
    /// What the query may use up.
    pub budget: Budget,
    /// How long the query has been running; asked now and then.
    pub elapsed: &'a (dyn Fn() -> Duration + Sync),
    /// Asked now and then; once it says true, the query ends with [`QueryError::Cancelled`].
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
}

/// A query's answer.
#[derive(Clone, Debug)]
pub struct QueryResult {
    pub columns: Vec<ResultColumn>,
    /// One [`Column`] for each of `columns`, all equally long.
    pub data: Vec<Column>,
    pub row_count: usize,
    /// Why the rows are not all there are.
    pub partial: Option<Partial>,
}

/// A result's column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultColumn {
    pub name: Arc<str>,
    pub kind: Type,
}

/// What the engine says of a result that was cut short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// The engine's error number, e.g. `-2133196797`.
    pub code: String,
    pub message: String,
}

/// A finding about a query's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// `SYN0002`, `SEM0100`, …
    pub code: &'static str,
    pub message: String,
    /// Byte offsets into the text, from and to.
    pub span: std::ops::Range<usize>,
    /// From 1.
    pub line: usize,
    /// In characters, from 0 (as the live service counts in a SyntaxError's `pos`).
    pub pos: usize,
    /// The text at the span.
    pub token: String,
}

impl Diagnostic {
    /// A finding at `span` of `text`.
    fn new(code: &'static str, text: &str, span: std::ops::Range<usize>, message: String) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            code,
            message,
            line: before.matches('\n').count() + 1,
            pos: before[line_start..].chars().count(),
            token: text.get(span.clone()).unwrap_or_default().to_string(),
            span,
        }
    }
}

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("{}", .0.message)]
    Syntax(Diagnostic),
    #[error("{}", .0.message)]
    Semantic(Diagnostic),
    /// Right or not, this engine cannot say: it does not know the construct.
    #[error("{what} is not known to this engine")]
    Unsupported {
        what: String,
        span: std::ops::Range<usize>,
    },
    /// The query needs more than the engine gives (nesting, or its [`Budget`]).
    #[error("{0}")]
    Limit(String),
    #[error("the query was cancelled")]
    Cancelled,
}

/// The verdict on a query's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Analysis {
    /// It is valid and returns these columns.
    Right {
        columns: Vec<ResultColumn>,
    },
    Wrong {
        diagnostics: Vec<Diagnostic>,
    },
    /// It names a table or construct that is not known here; Azure may well take it.
    NotKnown {
        reason: String,
    },
}
