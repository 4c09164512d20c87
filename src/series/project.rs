//! From a table to families.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::family::{Family, FamilyHeader, SeriesList};
use super::mapping::{Combine, Mapping, MetricMapping};
use super::names::LabelName;
use crate::table::{Cell, ColumnType, ResultTable};

/// The value of every label but `workspace` of the series that gathers what did not fit.
pub const OVERFLOW: &str = "overflow";

/// Parts one label value from the next in a label set's key; no UTF-8 text holds this byte.
const SEPARATOR: u8 = 0xff;

/// The most bytes of a label's value that are published. Prometheus rejects a whole scrape for one
/// value beyond its `label_value_length_limit`; a command line or path can be of any length.
const MAX_LABEL_BYTES: usize = 1024;

/// Why a row, or one sample of it, is not on the page as such: the `issue` label's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RowIssue {
    /// A cell was not what its column's type says; the row was left out.
    Unreadable,
    /// The value is NaN or infinite.
    NotFinite,
    /// Another row has the same label set, and the definition does not say how to combine them.
    Duplicate,
    /// Beyond `max_series`: counted in the `overflow` series.
    OverflowGathered,
    /// Beyond `max_series`: left out.
    OverflowDropped,
    /// A label's value was too long and was cut; the row is on the page.
    Truncated,
}

impl RowIssue {
    pub const ALL: [Self; 6] = [
        Self::Unreadable,
        Self::NotFinite,
        Self::Duplicate,
        Self::OverflowGathered,
        Self::OverflowDropped,
        Self::Truncated,
    ];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::NotFinite => "not_finite",
            Self::Duplicate => "duplicate",
            Self::OverflowGathered => "overflow_gathered",
            Self::OverflowDropped => "overflow_dropped",
            Self::Truncated => "truncated",
        }
    }
}

/// How many rows or samples had which issue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowIssues([u64; RowIssue::ALL.len()]);

impl RowIssues {
    pub fn add(&mut self, issue: RowIssue, count: u64) {
        self.0[issue as usize] += count;
    }

    pub fn add_all(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    pub fn get(&self, issue: RowIssue) -> u64 {
        self.0[issue as usize]
    }

    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl fmt::Display for RowIssues {
    /// Such as `3 duplicate, 1 unreadable`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = RowIssue::ALL
            .into_iter()
            .filter(|issue| self.get(*issue) > 0);
        for (index, issue) in found.enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{} {}", self.get(issue), issue.as_str())?;
        }
        Ok(())
    }
}

/// The table has no such column, or one of a type that cannot play the part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    #[error("the answer has no column {column:?}, which {part} needs; it has: {columns}")]
    Missing {
        part: String,
        column: String,
        columns: String,
    },
    #[error(
        "column {column:?}, the value of {part}, is a {kind}; a sample's value is a number, a bool, a datetime or a timespan"
    )]
    NotMeasurable {
        part: String,
        column: String,
        kind: ColumnType,
    },
    #[error("column {column:?}, the bin, is a {kind}; a bin is a datetime")]
    NoMoment { column: String, kind: ColumnType },
}

/// What [`project`] made of a table: a family for each metric of the mapping, in its order (an
/// empty one too), and the issues of the rows that are not in them.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    pub families: Vec<Family>,
    pub issues: RowIssues,
}

/// Reads `table` as `mapping` says. Every series bears `workspace` and then the mapping's labels;
/// series are sorted by label values, so that a page's order is stable.
///
/// `previous` are the families that the same definition published last, in the mapping's order:
/// series that were there stay, newcomers take the room that is left under `max_series`.
///
/// # Errors
/// If the table lacks a column that the mapping names, or has it with an unusable type.
pub fn project(
    mapping: &Mapping,
    table: &ResultTable,
    workspace: &str,
    previous: &[&SeriesList],
) -> Result<Projection, ShapeError> {
    let columns = Columns::resolve(mapping, table)?;
    let names = label_names(mapping);
    let mut issues = RowIssues::default();
    let mut sets = LabelSets::default();
    let mut samples: Vec<Vec<Option<f64>>> = vec![Vec::new(); mapping.metrics.len()];

    for row in table.rows() {
        let (set, truncated) = sets.intern(columns.labels.iter().map(|&at| &row[at]));
        issues.add(RowIssue::Truncated, u64::from(truncated));
        for ((metric, &at), samples) in mapping
            .metrics
            .iter()
            .zip(&columns.values)
            .zip(&mut samples)
        {
            samples.resize(sets.len(), None);
            match measure(&row[at]) {
                None => {}
                Some(value) if !value.is_finite() => issues.add(RowIssue::NotFinite, 1),
                Some(value) => match (samples[set], metric.combine) {
                    (None, _) => samples[set] = Some(value),
                    (Some(_), None) => issues.add(RowIssue::Duplicate, 1),
                    (Some(before), Some(how)) => samples[set] = Some(combine(how, before, value)),
                },
            }
        }
    }

    let order = sets.sorted();
    let families = mapping
        .metrics
        .iter()
        .zip(samples)
        .enumerate()
        .map(|(index, (metric, samples))| Family {
            header: FamilyHeader {
                name: metric.name.clone(),
                kind: metric.kind,
                help: metric.help.as_str().into(),
            },
            series: bounded(
                metric,
                SeriesList::new(names.clone()),
                workspace,
                &sets,
                order
                    .iter()
                    .filter_map(|&set| Some((set, samples.get(set).copied().flatten()?))),
                previous.get(index).copied(),
                &mut issues,
            ),
        })
        .collect();
    Ok(Projection { families, issues })
}

/// `workspace`, then the mapping's labels.
fn label_names(mapping: &Mapping) -> Arc<[LabelName]> {
    std::iter::once(LabelName::workspace())
        .chain(mapping.labels.iter().map(|label| label.label.clone()))
        .collect()
}

/// Puts the samples into the list while they fit: first those that were there before, then the
/// rest in their order; the remainder is gathered or dropped, as the metric allows.
fn bounded(
    metric: &MetricMapping,
    mut list: SeriesList,
    workspace: &str,
    sets: &LabelSets,
    samples: impl Iterator<Item = (usize, f64)>,
    previous: Option<&SeriesList>,
    issues: &mut RowIssues,
) -> SeriesList {
    let samples: Vec<(usize, f64)> = samples.collect();
    let fits = samples.len() <= metric.max_series;
    let mut known = vec![fits; samples.len()];
    if !fits {
        let before = previous.map(|list| sets.of(list)).unwrap_or_default();
        for (known, (set, _)) in known.iter_mut().zip(&samples) {
            *known = before.contains(set);
        }
    }
    let gathers = metric.gathers_overflow();
    let mut room = metric
        .max_series
        .saturating_sub(known.iter().filter(|known| **known).count());
    let mut overflow: Option<f64> = None;
    for ((set, value), known) in samples.into_iter().zip(known) {
        // A row that bears the gathering series' own labels goes into it: no label set comes twice.
        let is_gathered = !fits && gathers && sets.values(set).all(|value| value == OVERFLOW);
        if !is_gathered && (known || room > 0) {
            room -= usize::from(!known);
            list.push(std::iter::once(workspace).chain(sets.values(set)), value);
        } else if let (true, Some(how)) = (gathers, metric.combine) {
            overflow = Some(overflow.map_or(value, |before| combine(how, before, value)));
            issues.add(RowIssue::OverflowGathered, 1);
        } else {
            issues.add(RowIssue::OverflowDropped, 1);
        }
    }
    if let Some(value) = overflow {
        let labels = std::iter::repeat_n(OVERFLOW, list.names().len() - 1);
        list.push(std::iter::once(workspace).chain(labels), value);
    }
    list
}

pub(super) fn combine(how: Combine, before: f64, value: f64) -> f64 {
    match how {
        Combine::Sum => before + value,
        Combine::Max => before.max(value),
        Combine::Min => before.min(value),
        Combine::Last => value,
    }
}

/// A cell as a sample's value; `None` where there is none.
pub(super) fn measure(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Bool(truth) => Some(f64::from(u8::from(*truth))),
        // Beyond 2^53 a double rounds; so does every metric in Prometheus.
        Cell::Long(number) => Some(*number as f64),
        Cell::Real(number) => Some(*number),
        Cell::DateTime(moment) => Some(unix_seconds(*moment)),
        Cell::TimeSpan(length) => Some(length.as_secs_f64()),
        Cell::Null | Cell::String(_) => None,
    }
}

/// Seconds since the Unix epoch. Nanoseconds as one number would lose what a double can still hold.
pub fn unix_seconds(moment: jiff::Timestamp) -> f64 {
    moment.as_second() as f64 + f64::from(moment.subsec_nanosecond()) / 1e9
}

/// Where the mapping's columns stand in the table.
pub(super) struct Columns {
    pub labels: Vec<usize>,
    pub values: Vec<usize>,
}

impl Columns {
    /// Where the column is that plays this part.
    pub fn find(table: &ResultTable, part: &str, column: &str) -> Result<usize, ShapeError> {
        let missing = || ShapeError::Missing {
            part: part.into(),
            column: column.into(),
            columns: table
                .columns()
                .iter()
                .map(|column| column.name.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        };
        table.column_index(column).ok_or_else(missing)
    }

    pub fn resolve(mapping: &Mapping, table: &ResultTable) -> Result<Self, ShapeError> {
        let find = |part: String, column: &str| Self::find(table, &part, column);
        let labels = mapping
            .labels
            .iter()
            .map(|label| find(format!("label {}", label.label), &label.column))
            .collect::<Result<_, _>>()?;
        let values = mapping
            .metrics
            .iter()
            .map(|metric| {
                let at = find(format!("metric {}", metric.name), &metric.value)?;
                let kind = table.columns()[at].kind;
                if kind.is_measurable() {
                    Ok(at)
                } else {
                    Err(ShapeError::NotMeasurable {
                        part: metric.name.to_string(),
                        column: metric.value.clone(),
                        kind,
                    })
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { labels, values })
    }
}

/// The label sets of a table's rows, each once, numbered in the order they came.
#[derive(Default)]
struct LabelSets {
    numbers: HashMap<Box<[u8]>, usize>,
    keys: Vec<Box<[u8]>>,
    scratch: Vec<u8>,
}

impl LabelSets {
    fn len(&self) -> usize {
        self.keys.len()
    }

    /// The number of the label set that these cells make, and whether a value of it was cut.
    fn intern<'a>(&mut self, cells: impl Iterator<Item = &'a Cell>) -> (usize, bool) {
        self.scratch.clear();
        let mut truncated = false;
        for cell in cells {
            truncated |= write_label(cell, &mut self.scratch);
            self.scratch.push(SEPARATOR);
        }
        if let Some(&number) = self.numbers.get(self.scratch.as_slice()) {
            return (number, truncated);
        }
        let key: Box<[u8]> = self.scratch.as_slice().into();
        let number = self.keys.len();
        self.keys.push(key.clone());
        self.numbers.insert(key, number);
        (number, truncated)
    }

    /// The numbers of those of `list`'s label sets (leaving `workspace` out) that are here too.
    fn of(&self, list: &SeriesList) -> std::collections::HashSet<usize> {
        let mut key = Vec::new();
        list.iter()
            .filter_map(|series| {
                key.clear();
                for value in series.label_values().skip(1) {
                    key.extend_from_slice(value.as_bytes());
                    key.push(SEPARATOR);
                }
                self.numbers.get(key.as_slice()).copied()
            })
            .collect()
    }

    fn sorted(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.keys.len()).collect();
        // Value by value: the separator is greater than any text, so whole keys would put "/var" before "/".
        let values = |set: &usize| self.keys[*set].split(|byte| *byte == SEPARATOR);
        order.sort_unstable_by(|a, b| values(a).cmp(values(b)));
        order
    }

    fn values(&self, number: usize) -> impl Iterator<Item = &str> {
        let key = &self.keys[number];
        // Each value was written as UTF-8, so none is replaced by the default.
        key[..key.len().saturating_sub(1)]
            .split(|byte| *byte == SEPARATOR)
            .map(|value| std::str::from_utf8(value).unwrap_or_default())
    }
}

/// A cell as a label's value: text as it is, nothing for null, a moment in RFC 3339. Tells whether
/// the text was longer than [`MAX_LABEL_BYTES`] and was cut, between two characters.
pub(super) fn write_label(cell: &Cell, out: &mut Vec<u8>) -> bool {
    use std::io::Write;
    let mut truncated = false;
    let written = match cell {
        Cell::Null => Ok(()),
        Cell::Bool(truth) => write!(out, "{truth}"),
        Cell::Long(number) => write!(out, "{number}"),
        Cell::Real(number) => write!(out, "{number}"),
        Cell::String(text) => {
            let kept = &text[..text.floor_char_boundary(MAX_LABEL_BYTES)];
            truncated = kept.len() < text.len();
            out.write_all(kept.as_bytes())
        }
        Cell::DateTime(moment) => write!(out, "{moment}"),
        Cell::TimeSpan(length) => write!(out, "{length}"),
    };
    // Writing into a Vec<u8> cannot fail.
    debug_assert!(written.is_ok());
    truncated
}

#[cfg(test)]
#[path = "project_tests.rs"]
mod tests;
