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
    /// As it is sent: the `.kql` file, after a `let window = …;` line where the definition has one.
    pub kql: String,
    pub interval: Duration,
    pub timeout: Duration,
    pub window: Option<Duration>,
    /// How long the last good values outlive a failure.
    pub stale_after: Duration,
    pub mapping: Mapping,
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
