//! Moments and lengths of time as a format says.

use super::Accepts::Is;
use super::{Context, Returns, ScalarFunction};
use crate::kql::calendar::{self, DAY, HOUR, MINUTE, SECOND};
use crate::kql::value::{Type, Value};

const STRING: Returns = Returns::Is(Type::String);
const MOMENT: super::Accepts = Is(Type::DateTime);
const SPAN: super::Accepts = Is(Type::TimeSpan);
const FORMAT: super::Accepts = Is(Type::String);

pub const ROWS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "format_datetime",
        &[MOMENT, FORMAT],
        STRING,
        format_datetime,
        "The moment as the format says, e.g. 'yyyy-MM-dd HH:mm'.",
    )
    .constant_at(&[1])
    .named_as_argument(),
    ScalarFunction::new(
        "format_timespan",
        &[SPAN, FORMAT],
        STRING,
        format_timespan,
        "The length of time as the format says, e.g. 'd.hh:mm'.",
    )
    .constant_at(&[1])
    .named_as_argument(),
];

/// The runs of one character that formats are made of: `yyyy`, `-`, `MM`, …
fn runs(format: &str) -> Vec<&str> {
    let mut runs = Vec::new();
    let mut start = 0;
    let mut before = None;
    for (at, c) in format.char_indices() {
        if before.is_some_and(|before| before != c) {
            runs.push(&format[start..at]);
            start = at;
        }
        before = Some(c);
    }
    if start < format.len() {
        runs.push(&format[start..]);
    }
    runs
}

/// The first `digits` digits of a fraction of a second; `trimmed` without zeros at the end.
fn fraction(ticks: i64, digits: usize, trimmed: bool) -> String {
    let text = format!("{ticks:07}");
    let text = &text[..digits.min(text.len())];
    if trimmed {
        text.trim_end_matches('0').to_string()
    } else {
        text.to_string()
    }
}

fn padded(number: i64, width: usize) -> String {
    format!("{number:0width$}")
}

fn format_datetime(_: &Context, values: &[&Value]) -> Value {
    let (Value::DateTime(at), Value::String(format)) = (values[0], values[1]) else {
        return Value::Null;
    };
    let civil = calendar::to_civil(*at);
    let half = if civil.hour() < 12 { "AM" } else { "PM" };
    let mut text = String::new();
    for run in runs(format) {
        let width = run.len().min(2);
        text += &match run.as_bytes().first() {
            Some(b'y') if run.len() <= 2 => padded(civil.year % 100, width),
            Some(b'y') => padded(civil.year, run.len().min(7)),
            Some(b'M') => padded(civil.month, width),
            Some(b'd') => padded(civil.day, width),
            Some(b'H') => padded(civil.hour(), width),
            Some(b'h') => padded((civil.hour() + 11) % 12 + 1, width),
            Some(b'm') => padded(civil.minute(), width),
            Some(b's') => padded(civil.second(), width),
            Some(b'f') => fraction(civil.fraction(), run.len(), false),
            Some(b'F') => fraction(civil.fraction(), run.len(), true),
            Some(b't') => half[..width].to_string(),
            _ => run.to_string(),
        };
    }
    Value::string(text)
}

fn format_timespan(_: &Context, values: &[&Value]) -> Value {
    let (Value::TimeSpan(span), Value::String(format)) = (values[0], values[1]) else {
        return Value::Null;
    };
    let ticks = span.0.saturating_abs();
    let mut text = String::from(if span.0 < 0 { "-" } else { "" });
    for run in runs(format) {
        let width = run.len().min(8);
        text += &match run.as_bytes().first() {
            Some(b'd') => padded(ticks / DAY, width),
            Some(b'H' | b'h') => padded(ticks / HOUR % 24, width),
            Some(b'm') => padded(ticks / MINUTE % 60, width),
            Some(b's') => padded(ticks / SECOND % 60, width),
            Some(b'f') => fraction(ticks % SECOND, run.len(), false),
            Some(b'F') => fraction(ticks % SECOND, run.len(), true),
            _ => run.to_string(),
        };
    }
    Value::string(text)
}
