//! What a query may use up. One meter counts for the whole query; operators charge what they hand on
//! and what they keep, functions what they make.

use std::cell::Cell;
use std::time::Duration;

use super::QueryError;
use super::batch::Column;
use super::value::Value;

/// A query's share of the machine. The query ends with [`QueryError::Limit`] once it wants more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Rows handed from operator to operator, each time anew: work, told so that it is the same on
    /// every machine.
    pub rows: u64,
    /// Bytes in memory beside the tables', about.
    pub bytes: u64,
    /// By [`QueryOptions::elapsed`](super::QueryOptions::elapsed).
    pub time: Duration,
}

impl Default for Budget {
    /// Far beyond a million rows through a query of many operators; the time is the longest that a
    /// client of the Logs Query API may wait.
    fn default() -> Self {
        Self {
            rows: 1_000_000_000,
            bytes: 2 << 30,
            time: Duration::from_secs(600),
        }
    }
}

/// What a value takes where it stands, in bytes.
const CELL: u64 = size_of::<Value>() as u64;

/// How much of a budget is used up.
pub struct Meter {
    budget: Budget,
    rows: Cell<u64>,
    /// Bytes that stay until the query ends.
    kept: Cell<u64>,
    /// Bytes of values on their way, see [`Self::passing`].
    made: Cell<u64>,
    /// All of those so far.
    ever: Cell<u64>,
}

impl Meter {
    pub fn new(budget: Budget) -> Self {
        Self {
            budget,
            rows: Cell::new(0),
            kept: Cell::new(0),
            made: Cell::new(0),
            ever: Cell::new(0),
        }
    }

    /// Charges rows that are handed on or looked at.
    pub fn pass(&self, rows: usize) {
        add(&self.rows, rows as u64);
    }

    /// Charges so many cells that are kept.
    pub fn keep(&self, rows: usize, columns: usize) {
        let cells = (rows as u64).saturating_mul(columns.max(1) as u64);
        add(&self.kept, cells.saturating_mul(CELL));
    }

    /// Charges a copy of the column's every value, texts and all.
    pub fn keep_copies(&self, column: &Column) {
        let each = |value: &Value| beside(value) + CELL;
        let bytes = match column {
            Column::Constant(value, rows) => each(value).saturating_mul(*rows as u64),
            _ => column.iter().map(each).fold(0, u64::saturating_add),
        };
        add(&self.kept, bytes);
    }

    /// Charges what a function has made.
    pub fn make(&self, bytes: usize) {
        add(&self.made, bytes as u64);
        add(&self.ever, bytes as u64);
    }

    /// All that functions have made so far, in bytes.
    pub fn made_so_far(&self) -> u64 {
        self.ever.get()
    }

    /// Charges as kept what has been made after [`Self::made_so_far`] was `seen` and is not gone yet,
    /// and moves that on: who keeps rows keeps what was made for them.
    pub fn keep_made(&self, seen: &mut u64) {
        let new = self.ever.get().saturating_sub(*seen);
        add(&self.kept, new.min(self.made.get()));
        *seen = self.ever.get();
    }

    /// Runs `work` on rows that are gone afterwards: what is made of them meanwhile is then either
    /// kept, and charged as such, or gone too.
    ///
    /// # Errors
    /// That of `work`, or of [`Self::check`].
    pub fn passing<T>(
        &self,
        work: impl FnOnce() -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        let before = self.made.get();
        let done = work()?;
        self.check()?;
        self.made.set(before);
        Ok(done)
    }

    /// Whether rows and bytes last.
    pub fn lasts(&self) -> bool {
        self.rows.get() <= self.budget.rows
            && self.kept.get().saturating_add(self.made.get()) <= self.budget.bytes
    }

    /// # Errors
    /// [`QueryError::Limit`] if rows or bytes are used up.
    pub fn check(&self) -> Result<(), QueryError> {
        if self.lasts() {
            return Ok(());
        }
        let Budget { rows, bytes, .. } = self.budget;
        Err(QueryError::Limit(if self.rows.get() > rows {
            runaway(&format!("its operators hand on more than {rows} rows"))
        } else {
            format!(
                "Query execution lacks memory resources to complete (80DA0007): Low memory condition (E_LOW_MEMORY_CONDITION): the query needs more than {bytes} bytes"
            )
        }))
    }

    /// # Errors
    /// [`QueryError::Limit`] if the query has run for too long.
    pub fn check_time(&self, elapsed: Duration) -> Result<(), QueryError> {
        let time = self.budget.time;
        if elapsed <= time {
            return Ok(());
        }
        let seconds = time.as_secs_f64();
        let what = format!("it takes longer than {seconds} seconds");
        Err(QueryError::Limit(runaway(&what)))
    }
}

fn runaway(what: &str) -> String {
    format!(
        "Query execution has exceeded the allowed limits (80DA0001): Runaway query (E_RUNAWAY_QUERY): {what}"
    )
}

fn add(to: &Cell<u64>, amount: u64) {
    to.set(to.get().saturating_add(amount));
}

/// What a value takes beside its cell, in bytes; of a dynamic one what is seen at once.
fn beside(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.len() as u64,
        Value::Dynamic(json) => match &**json {
            serde_json::Value::String(text) => text.len() as u64,
            serde_json::Value::Array(elements) => 32 * elements.len() as u64,
            serde_json::Value::Object(bag) => 64 * bag.len() as u64,
            _ => 32,
        },
        _ => 0,
    }
}
