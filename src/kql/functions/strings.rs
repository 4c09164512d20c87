//! Texts. Positions and lengths are in characters.

use std::sync::Arc;

use super::Accepts::{Any, AnyText, Integer, Is, Number, Text};
use super::{Context, Returns, ScalarFunction};
use crate::kql::order::{as_long, as_real};
use crate::kql::text::{format_real, format_value};
use crate::kql::value::{Type, Value};

const STRING: Returns = Returns::Is(Type::String);
const LONG: Returns = Returns::Is(Type::Long);
const DYNAMIC: Returns = Returns::Is(Type::Dynamic);

pub const ROWS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "tolower",
        &[AnyText],
        STRING,
        |_, v| Value::string(str_of(v[0]).to_lowercase()),
        "The text in lower case.",
    ),
    ScalarFunction::new(
        "toupper",
        &[AnyText],
        STRING,
        |_, v| Value::string(str_of(v[0]).to_uppercase()),
        "The text in upper case.",
    ),
    ScalarFunction::new(
        "strlen",
        &[Text],
        LONG,
        |_, v| Value::Long(str_of(v[0]).chars().count() as i64),
        "How many characters.",
    )
    .prefixed("strlen"),
    ScalarFunction::new(
        "string_size",
        &[Text],
        LONG,
        |_, v| Value::Long(str_of(v[0]).len() as i64),
        "How many bytes.",
    )
    .prefixed("string_size"),
    ScalarFunction::new(
        "strcat",
        &[Any],
        STRING,
        strcat,
        "The values' texts in one.",
    )
    .repeating(1),
    ScalarFunction::new(
        "strcat_delim",
        &[AnyText, Any, Any],
        STRING,
        strcat_delim,
        "The values' texts in one, the first between them.",
    )
    .repeating(1),
    ScalarFunction::new(
        "strrep",
        &[AnyText, Integer, AnyText],
        STRING,
        strrep,
        "The text so many times over.",
    )
    .optional_from(2),
    ScalarFunction::new(
        "strcmp",
        &[AnyText, AnyText],
        LONG,
        |_, v| Value::Long(str_of(v[0]).cmp(str_of(v[1])) as i64),
        "-1, 0 or 1, as the first comes before, with or after the second.",
    ),
    ScalarFunction::new(
        "substring",
        &[AnyText, Integer, Integer],
        STRING,
        substring,
        "The characters from a position on, so many or all.",
    )
    .optional_from(2),
    ScalarFunction::new(
        "split",
        &[AnyText, Text, Integer],
        DYNAMIC,
        split,
        "The pieces between the delimiters, all or the one at a position.",
    )
    .optional_from(2)
    .named_as_argument(),
    ScalarFunction::new(
        "indexof",
        &[AnyText, AnyText, Integer, Integer, Integer],
        LONG,
        indexof,
        "Where the second text first stands in the first, or -1.",
    )
    .optional_from(2),
    ScalarFunction::new(
        "countof",
        &[Text, Text, Is(Type::String)],
        LONG,
        countof,
        "How often the second text (or pattern, for 'regex') stands in the first.",
    )
    .optional_from(2),
    ScalarFunction::new(
        "reverse",
        &[AnyText],
        STRING,
        |_, v| Value::string(str_of(v[0]).chars().rev().collect::<String>()),
        "The characters from the last to the first.",
    ),
    ScalarFunction::new(
        "replace_string",
        &[Text, Text, Text],
        STRING,
        replace_string,
        "The first text with the second replaced by the third.",
    ),
    ScalarFunction::new(
        "url_encode",
        &[Text],
        STRING,
        url_encode,
        "The text with what URLs do not allow written as %XX.",
    ),
    ScalarFunction::new(
        "url_encode_component",
        &[Text],
        STRING,
        url_encode,
        "The text with what URL components do not allow written as %XX.",
    ),
    ScalarFunction::new(
        "url_decode",
        &[Text],
        STRING,
        url_decode,
        "The text with %XX written out.",
    ),
    ScalarFunction::new(
        "format_bytes",
        &[Number, Integer, Is(Type::String)],
        STRING,
        format_bytes,
        "The number as a size in bytes, KB, MB, …",
    )
    .constant_at(&[1, 2])
    .optional_from(1)
    .named_as_argument(),
];

pub fn str_of(value: &Value) -> &str {
    match value {
        Value::String(text) => text,
        _ => "",
    }
}

pub fn arc_of(value: &Value) -> Arc<str> {
    match value {
        Value::String(text) => text.clone(),
        _ => "".into(),
    }
}

fn strcat(_: &Context, values: &[&Value]) -> Value {
    let mut text = String::new();
    for value in values {
        text.push_str(&format_value(value));
    }
    Value::string(text)
}

fn strcat_delim(_: &Context, values: &[&Value]) -> Value {
    let texts: Vec<_> = values[1..]
        .iter()
        .map(|value| format_value(value))
        .collect();
    Value::string(texts.join(str_of(values[0])))
}

/// The longest text that a function makes from nothing, in bytes.
const MAX_REPEATED: usize = 1 << 20;
/// The most that a replacement may add to a text, in bytes; beyond that there is no result.
pub const MAX_LONGER: usize = 1 << 26;

fn strrep(_: &Context, values: &[&Value]) -> Value {
    let text = str_of(values[0]);
    let delimiter = values.get(2).map_or("", |value| str_of(value));
    let most = MAX_REPEATED / (text.len() + delimiter.len()).max(1);
    let count = usize::try_from(as_long(values[1]).unwrap_or(0))
        .unwrap_or(0)
        .min(most);
    Value::string(vec![text; count].join(delimiter))
}

fn substring(_: &Context, values: &[&Value]) -> Value {
    let text = str_of(values[0]);
    let len = text.chars().count() as i64;
    let start = as_long(values[1]).unwrap_or(0);
    let start = if start < 0 {
        start.saturating_add(len).max(0)
    } else {
        start
    };
    let count = match values.get(2) {
        Some(count) => as_long(count).unwrap_or(0),
        None => len,
    };
    let count = if count < 0 { len } else { count };
    Value::string(
        text.chars()
            .skip(usize::try_from(start).unwrap_or(usize::MAX))
            .take(usize::try_from(count).unwrap_or(usize::MAX))
            .collect::<String>(),
    )
}

fn split(_: &Context, values: &[&Value]) -> Value {
    let (text, delimiter) = (str_of(values[0]), str_of(values[1]));
    let pieces: Vec<&str> = if delimiter.is_empty() {
        vec![text]
    } else {
        text.split(delimiter).collect()
    };
    let chosen = match values.get(2).and_then(|at| as_long(at)) {
        None => pieces,
        Some(at) => usize::try_from(at)
            .ok()
            .and_then(|at| pieces.get(at))
            .map(|piece| vec![*piece])
            .unwrap_or_default(),
    };
    Value::Dynamic(Arc::new(chosen.into()))
}

/// Where indexof and its kin look, in characters, and for which occurrence, counted from 1.
pub(super) struct Lookup {
    pub start: i64,
    pub end: i64,
    pub occurrence: i64,
}

impl Lookup {
    /// From the arguments behind text and pattern: a start, negative from the end; a length, negative
    /// for all that is left; an occurrence.
    pub fn of(values: &[&Value], characters: usize) -> Self {
        let number = |at: usize, default: i64| {
            let given = values.get(at).and_then(|value| as_long(value));
            given.unwrap_or(default)
        };
        let all = characters as i64;
        let start = match number(2, 0) {
            from_the_end @ ..0 => from_the_end.saturating_add(all).max(0),
            // Nothing is beyond the end, and nothing can overflow there.
            start => start.min(all),
        };
        let end = match number(3, -1) {
            ..0 => all,
            length => start.saturating_add(length).min(all),
        };
        Self {
            start,
            end,
            occurrence: number(4, 1).max(1),
        }
    }
}

fn indexof(_: &Context, values: &[&Value]) -> Value {
    let (text, wanted) = (str_of(values[0]), str_of(values[1]));
    let characters: Vec<char> = text.chars().collect();
    let Lookup {
        start,
        end,
        occurrence,
    } = Lookup::of(values, characters.len());
    let wanted: Vec<char> = wanted.chars().collect();
    let mut seen = 0;
    let mut at = start;
    while at + wanted.len() as i64 <= end {
        if characters[at as usize..].starts_with(&wanted) {
            seen += 1;
            if seen == occurrence {
                return Value::Long(at);
            }
        }
        at += 1;
    }
    Value::Long(-1)
}

fn countof(context: &Context, values: &[&Value]) -> Value {
    let (text, wanted) = (str_of(values[0]), str_of(values[1]));
    if values.get(2).is_some_and(|kind| str_of(kind) == "regex") {
        return context.with_regex(&arc_of(values[1]), |regex| {
            Value::Long(regex.find_iter(text).count() as i64)
        });
    }
    if wanted.is_empty() {
        return Value::Long(0);
    }
    // Overlapping places count, as in Kusto.
    let count = text
        .char_indices()
        .filter(|(at, _)| text[*at..].starts_with(wanted))
        .count();
    Value::Long(count as i64)
}

fn replace_string(_: &Context, values: &[&Value]) -> Value {
    let (text, wanted) = (str_of(values[0]), str_of(values[1]));
    if wanted.is_empty() {
        return values[0].clone();
    }
    let places = text.matches(wanted).count();
    if places.saturating_mul(str_of(values[2]).len()) > MAX_LONGER {
        return Value::Null;
    }
    Value::string(text.replace(wanted, str_of(values[2])))
}

/// What may stand in a URL as it is.
const URL: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

fn url_encode(_: &Context, values: &[&Value]) -> Value {
    Value::string(percent_encoding::utf8_percent_encode(str_of(values[0]), URL).to_string())
}

fn url_decode(_: &Context, values: &[&Value]) -> Value {
    Value::string(
        percent_encoding::percent_decode_str(str_of(values[0]))
            .decode_utf8_lossy()
            .into_owned(),
    )
}

/// `format_bytes(value, digits, unit)`
fn format_bytes(_: &Context, values: &[&Value]) -> Value {
    const UNITS: [&str; 7] = ["Bytes", "KB", "MB", "GB", "TB", "PB", "EB"];
    let Some(bytes) = as_real(values[0]) else {
        return Value::Null;
    };
    let digits = values
        .get(1)
        .and_then(|digits| as_long(digits))
        .unwrap_or(0)
        .clamp(0, 15);
    let unit = values.get(2).map_or("", |unit| str_of(unit));
    let step = UNITS
        .iter()
        .position(|name| *name == unit)
        .unwrap_or_else(|| {
            let mut step = 0;
            let mut left = bytes.abs();
            while left >= 1024.0 && step + 1 < UNITS.len() {
                left /= 1024.0;
                step += 1;
            }
            step
        });
    let scale = 10_f64.powi(digits as i32);
    let number = (bytes / 1024_f64.powi(step as i32) * scale).round() / scale;
    Value::string(format!("{} {}", format_real(number), UNITS[step]))
}
