//! Meaning: what a table's rows say as metric families.
//!
//! [`Mapping`] says which column plays which part, [`project()`] follows it from a
//! [`ResultTable`](crate::table::ResultTable) to [`Family`]s and counts the rows that it could not
//! use. Names are types ([`MetricName`], [`LabelName`]). No I/O and no clock.

mod bins;
mod family;
mod mapping;
mod names;
mod project;

pub use bins::{BinRow, bins};
pub use family::{Family, FamilyHeader, Series, SeriesList};
pub use mapping::{Combine, LabelMapping, Mapping, MetricMapping, MetricType};
pub use names::{LabelName, MetricName, NameError};
pub use project::{OVERFLOW, Projection, RowIssue, RowIssues, ShapeError, project, unix_seconds};
