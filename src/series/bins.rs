//! From a table to bins: what a counter's query answers.

use std::collections::HashMap;

use jiff::Timestamp;

use super::mapping::{Combine, Mapping};
use super::project::{Columns, RowIssue, RowIssues, ShapeError, combine, measure, write_label};
use crate::table::{Cell, ColumnType, ResultTable};

/// What one bin holds of one label set.
#[derive(Clone, Debug, PartialEq)]
pub struct BinRow {
    /// When the bin begins.
    pub bin: Timestamp,
    /// In the mapping's order, without `workspace`.
    pub labels: Vec<Box<str>>,
    /// One for each metric; `None` where the row says nothing.
    pub values: Vec<Option<f64>>,
}

/// Reads `table` as `mapping` says; `column` holds the start of each row's bin. Rows of one bin and
/// label set are combined as the definition says, else only the first is read.
///
/// # Errors
/// If the table lacks a column, or has it with an unusable type.
pub fn bins(
    mapping: &Mapping,
    column: &str,
    table: &ResultTable,
) -> Result<(Vec<BinRow>, RowIssues), ShapeError> {
    let columns = Columns::resolve(mapping, table)?;
    let bin_at = Columns::find(table, "the bin", column)?;
    let kind = table.columns()[bin_at].kind;
    if kind != ColumnType::DateTime {
        return Err(ShapeError::NoMoment {
            column: column.into(),
            kind,
        });
    }
    let mut issues = RowIssues::default();
    let mut places: HashMap<(Timestamp, Vec<Box<str>>), usize> = HashMap::new();
    let mut rows: Vec<BinRow> = Vec::new();
    for row in table.rows() {
        let Cell::DateTime(bin) = row[bin_at] else {
            issues.add(RowIssue::Unreadable, 1);
            continue;
        };
        let mut truncated = false;
        let mut label = |at: &usize| {
            let mut text = Vec::new();
            truncated |= write_label(&row[*at], &mut text);
            // It was written as UTF-8, so nothing is replaced.
            String::from_utf8_lossy(&text).into()
        };
        let labels: Vec<Box<str>> = columns.labels.iter().map(&mut label).collect();
        issues.add(RowIssue::Truncated, u64::from(truncated));
        let values: Vec<Option<f64>> = columns
            .values
            .iter()
            .map(|&at| {
                let value = measure(&row[at]);
                let finite = value.filter(|value| value.is_finite());
                issues.add(RowIssue::NotFinite, u64::from(value != finite));
                finite
            })
            .collect();
        let place = *places.entry((bin, labels.clone())).or_insert(rows.len());
        match rows.get_mut(place) {
            None => rows.push(BinRow {
                bin,
                labels,
                values,
            }),
            Some(before) => {
                let hows = mapping.metrics.iter().map(|metric| metric.combine);
                for ((had, has), how) in before.values.iter_mut().zip(values).zip(hows) {
                    *had = both(*had, has, how, &mut issues);
                }
            }
        }
    }
    Ok((rows, issues))
}

fn both(
    had: Option<f64>,
    has: Option<f64>,
    how: Option<Combine>,
    issues: &mut RowIssues,
) -> Option<f64> {
    match (had, has, how) {
        (Some(had), Some(has), Some(how)) => Some(combine(how, had, has)),
        (Some(had), Some(_), None) => {
            issues.add(RowIssue::Duplicate, 1);
            Some(had)
        }
        (had, has, _) => had.or(has),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::{LabelMapping, MetricMapping, MetricType};
    use crate::table::Column;

    fn mapping(combine: Option<Combine>) -> Mapping {
        Mapping {
            labels: vec![LabelMapping {
                label: "vm".parse().unwrap(),
                column: "Computer".into(),
            }],
            metrics: vec![MetricMapping {
                name: "rows_total".parse().unwrap(),
                kind: MetricType::Counter,
                help: "Rows.".into(),
                value: "Rows".into(),
                combine,
                max_series: 10,
            }],
        }
    }

    fn table(rows: &[(&str, Option<i64>)]) -> ResultTable {
        let columns = [
            ("Bin", ColumnType::DateTime),
            ("Computer", ColumnType::String),
            ("Rows", ColumnType::Long),
        ];
        let columns = columns.map(|(name, kind)| Column {
            name: name.into(),
            kind,
        });
        let mut table = ResultTable::new(columns.into());
        for (vm, count) in rows {
            let row = [
                Cell::DateTime(Timestamp::UNIX_EPOCH),
                Cell::String((*vm).into()),
                count.map_or(Cell::Null, Cell::Long),
            ];
            table.push_row(row).unwrap();
        }
        table
    }

    #[test]
    fn rows_of_one_bin_and_label_set_are_one() {
        let table = table(&[("a", Some(3)), ("b", None), ("a", Some(5))]);
        let row = |vm: &str, value| BinRow {
            bin: Timestamp::UNIX_EPOCH,
            labels: vec![vm.into()],
            values: vec![value],
        };
        let (rows, issues) = bins(&mapping(Some(Combine::Sum)), "Bin", &table).unwrap();
        assert_eq!(rows, [row("a", Some(8.0)), row("b", None)]);
        assert_eq!(issues, RowIssues::default());
        let (rows, issues) = bins(&mapping(None), "Bin", &table).unwrap();
        assert_eq!(rows, [row("a", Some(3.0)), row("b", None)]);
        assert_eq!(issues.get(RowIssue::Duplicate), 1);
    }

    #[test]
    fn a_bin_is_a_moment() {
        let error = bins(&mapping(None), "Computer", &table(&[])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "column \"Computer\", the bin, is a string; a bin is a datetime"
        );
        let error = bins(&mapping(None), "When", &table(&[])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the answer has no column \"When\", which the bin needs; it has: Bin, Computer, Rows"
        );
    }
}
