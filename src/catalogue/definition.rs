//! One query: what is asked, how often, and what its answer means.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::series::Mapping;

/// A query and what its answer means; every value has passed its rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryDefinition {
    pub name: QueryName,
    /// Its `.yaml` file; for a pack's query, the path within the packs.
    pub file: PathBuf,
    /// As it is sent: the `.kql` file, after a line of `let` statements where it needs some.
    pub kql: String,
    pub interval: Duration,
    pub timeout: Duration,
    pub window: Option<Duration>,
    /// How long the last good values outlive a failure.
    pub stale_after: Duration,
    pub mapping: Mapping,
    /// There if its metrics are counters.
    pub counting: Option<Counting>,
}

/// How a query's counters count. Such a query is asked about whatever window its counts need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counting {
    /// The column with the start of each row's bin.
    pub bin: String,
    /// How late a row may come and still be counted.
    pub lookback: Duration,
    /// How long a series stays without growth.
    pub expire_after: Duration,
    /// How long an outage may last and still be caught up with.
    pub catch_up: Duration,
    /// The line in front of the query, but for `lookback` and `until`.
    pub(super) prefix: String,
    /// The query as its file has it.
    pub(super) body: String,
}

impl Counting {
    /// The query about the bins that `lookback` and `until`, two expressions of KQL, bound. They
    /// stand on the first line, so that Azure's positions differ from the file's by that line alone.
    pub fn about(&self, lookback: &str, until: &str) -> String {
        let Self { prefix, body, .. } = self;
        format!("{prefix}let lookback = {lookback}; let until = {until};\n{body}")
    }
}

/// A query's name, its files' stem: the `query` label's value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryName(Arc<str>);

/// The rule that a file's name broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("query name {0:?}, the file's name without its ending, must match [A-Za-z0-9_-]+")]
pub struct QueryNameError(String);

impl QueryName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for QueryName {
    type Err = QueryNameError;

    fn from_str(name: &str) -> Result<Self, QueryNameError> {
        let valid = !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if valid {
            Ok(Self(name.into()))
        } else {
            Err(QueryNameError(name.into()))
        }
    }
}

impl fmt::Display for QueryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
