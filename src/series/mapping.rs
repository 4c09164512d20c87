//! What each column of a query's answer means. The catalogue makes a [`Mapping`] from a definition;
//! [`super::project()`] follows it.

use std::fmt;

use serde::Deserialize;

use super::names::{LabelName, MetricName};

/// A family's type on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricType {
    Gauge,
    Counter,
}

impl MetricType {
    /// As the exposition formats and definitions write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
        }
    }
}

impl fmt::Display for MetricType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How rows that share one label set become one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Combine {
    Sum,
    Max,
    Min,
    /// The row that comes last in the answer.
    Last,
}

/// A label and the column it is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelMapping {
    pub label: LabelName,
    pub column: String,
}

/// A family and the column its values are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricMapping {
    pub name: MetricName,
    pub kind: MetricType,
    pub help: String,
    pub value: String,
    /// Without it, a second row for one label set is a counted row issue and is left out.
    pub combine: Option<Combine>,
    /// At most so many series of this family from one workspace.
    pub max_series: usize,
}

impl MetricMapping {
    /// Whether what does not fit under `max_series` may be gathered into one `overflow` series:
    /// only where the definition combines rows, and only for quantities of which a sum, maximum or
    /// minimum over strangers still says something. Shares, moments and `_info` do not.
    pub fn gathers_overflow(&self) -> bool {
        let name = self.name.as_str();
        matches!(
            self.combine,
            Some(Combine::Sum | Combine::Max | Combine::Min)
        ) && !["_percent", "_ratio", "_info", "_timestamp_seconds"]
            .iter()
            .any(|suffix| name.ends_with(suffix))
    }
}

/// Which column plays which part: every metric of one query bears the same labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub labels: Vec<LabelMapping>,
    pub metrics: Vec<MetricMapping>,
}
