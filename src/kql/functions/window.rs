//! Functions of a row's place among the rows.

use super::Accepts::{Any, Integer, Is, NotDynamic, Number};
use super::{Context, Returns, ScalarFunction};
use crate::kql::batch::Column;
use crate::kql::operators;
use crate::kql::order::{self, as_long, compare};
use crate::kql::value::{Type, Value};

const LONG: Returns = Returns::Is(Type::Long);
const RESTART: super::Accepts = Is(Type::Bool);
const SPAN: super::Accepts = Is(Type::TimeSpan);

pub const ROWS: &[ScalarFunction] = &[
    ScalarFunction::new("row_number", &[Integer, RESTART], LONG, null, "The row's number, from 1 or the number given; begins anew where the second value holds.").optional_from(0).window(row_number),
    ScalarFunction::new("row_rank_dense", &[NotDynamic, RESTART], LONG, null, "The number of the value among the different ones so far.").optional_from(1).window(row_rank_dense),
    ScalarFunction::new("row_rank_min", &[NotDynamic, RESTART], LONG, null, "The number of the first row with this value.").optional_from(1).window(row_rank_min),
    ScalarFunction::new("row_window_session", &[Is(Type::DateTime), SPAN, SPAN, RESTART], Returns::Argument(0), null, "The first moment of the session: one ends so long after its start, or after so long a gap.").optional_from(3).window(row_window_session),
    ScalarFunction::new("prev", &[Any, Integer, Any], Returns::Argument(0), null, "The value some rows before, 1 unless said otherwise.").optional_from(1).window(prev),
    ScalarFunction::new("next", &[Any, Integer, Any], Returns::Argument(0), null, "The value some rows further, 1 unless said otherwise.").optional_from(1).window(next),
    ScalarFunction::new("row_cumsum", &[Number, RESTART], Returns::Argument(0), null, "The sum of the values so far; begins anew where the second value holds.").optional_from(1).window(row_cumsum),
];

fn null(_: &Context, _: &[&Value]) -> Value {
    Value::Null
}

fn same(column: &Column, row: usize) -> bool {
    row > 0 && order::same(column.value(row - 1), column.value(row))
}

fn row_rank_dense(columns: &[Column], rows: usize) -> Vec<Value> {
    let mut rank = 0;
    (0..rows)
        .map(|row| {
            if row == 0 || holds(columns.get(1), row) {
                rank = 1;
            } else if !same(&columns[0], row) {
                rank += 1;
            }
            Value::Long(rank)
        })
        .collect()
}

fn row_rank_min(columns: &[Column], rows: usize) -> Vec<Value> {
    let (mut rank, mut number) = (0, 0);
    (0..rows)
        .map(|row| {
            let anew = row == 0 || holds(columns.get(1), row);
            number = if anew { 1 } else { number + 1 };
            if anew || !same(&columns[0], row) {
                rank = number;
            }
            Value::Long(rank)
        })
        .collect()
}

fn row_window_session(columns: &[Column], rows: usize) -> Vec<Value> {
    let context = Context::new(crate::kql::DateTime::MIN);
    let mut start = Value::Null;
    let mut before = Value::Null;
    (0..rows)
        .map(|row| {
            let at = columns[0].value(row);
            let beyond = |from: &Value, length: &Value| {
                let end = operators::add(&context, &[from, length]);
                compare(at, &end).is_none_or(std::cmp::Ordering::is_gt)
            };
            if row == 0
                || holds(columns.get(3), row)
                || beyond(&start, columns[1].value(row))
                || beyond(&before, columns[2].value(row))
            {
                start = at.clone();
            }
            before = at.clone();
            start.clone()
        })
        .collect()
}

fn holds(column: Option<&Column>, row: usize) -> bool {
    column.is_some_and(|column| column.value(row) == &Value::Bool(true))
}

fn row_number(columns: &[Column], rows: usize) -> Vec<Value> {
    let mut number: i64 = 0;
    (0..rows)
        .map(|row| {
            let start = columns
                .first()
                .and_then(|column| as_long(column.value(row)))
                .unwrap_or(1);
            if row == 0 || holds(columns.get(1), row) {
                number = start;
            } else {
                number = number.wrapping_add(1);
            }
            Value::Long(number)
        })
        .collect()
}

fn row_cumsum(columns: &[Column], rows: usize) -> Vec<Value> {
    let context = Context::new(crate::kql::DateTime::MIN);
    let mut sum = Value::Null;
    (0..rows)
        .map(|row| {
            let value = columns[0].value(row);
            if sum.is_null() || holds(columns.get(1), row) {
                sum = value.clone();
            } else if !value.is_null() {
                sum = match (&sum, value) {
                    (Value::Int(sum), Value::Int(value)) => Value::Int(sum.wrapping_add(*value)),
                    _ => crate::kql::operators::add(&context, &[&sum, value]),
                };
            }
            sum.clone()
        })
        .collect()
}

fn prev(columns: &[Column], rows: usize) -> Vec<Value> {
    shifted(columns, rows, -1)
}

fn next(columns: &[Column], rows: usize) -> Vec<Value> {
    shifted(columns, rows, 1)
}

/// Each row's value is that of the row so many further in `direction`, else the default.
fn shifted(columns: &[Column], rows: usize, direction: i64) -> Vec<Value> {
    (0..rows)
        .map(|row| {
            let by = match columns.get(1) {
                Some(column) => as_long(column.value(row)).unwrap_or(0),
                None => 1,
            };
            let at = by
                .checked_mul(direction)
                .and_then(|by| i64::try_from(row).ok()?.checked_add(by))
                .and_then(|at| usize::try_from(at).ok())
                .filter(|&at| at < rows);
            match (at, columns.get(2)) {
                (Some(at), _) => columns[0].value(at).clone(),
                (None, Some(default)) => default.value(row).clone(),
                (None, None) => Value::Null,
            }
        })
        .collect()
}
