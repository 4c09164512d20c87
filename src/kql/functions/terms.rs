//! Texts: more ways to look into them and to change them.

use std::sync::Arc;

use super::Accepts::{Any, AnyText, Integer, Is, Text, TextOrDynamic};
use super::json::{array, wrap};
use super::strings::Lookup;
use super::{Context, Returns, ScalarFunction};
use crate::kql::order::as_long;
use crate::kql::text::format_value;
use crate::kql::value::{Type, Value};

const STRING: Returns = Returns::Is(Type::String);
const LONG: Returns = Returns::Is(Type::Long);
const BOOL: Returns = Returns::Is(Type::Bool);
const ARRAY: super::Accepts = Is(Type::Dynamic);

pub const ROWS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "translate",
        &[Text, Text, Text],
        STRING,
        translate,
        "The third text with each character of the first replaced by that of the second.",
    ),
    ScalarFunction::new(
        "indexof_regex",
        &[AnyText, AnyText, Integer, Integer, Integer],
        LONG,
        indexof_regex,
        "Where the pattern first matches, or -1.",
    )
    .optional_from(2)
    .constant_at(&[1]),
    ScalarFunction::new(
        "replace_strings",
        &[Text, ARRAY, ARRAY],
        STRING,
        replace_strings,
        "The text with each of the second's texts replaced by the third's.",
    ),
    ScalarFunction::new(
        "has_any_index",
        &[TextOrDynamic, ARRAY],
        LONG,
        has_any_index,
        "The position of the first of the terms that the text has, or -1.",
    ),
    ScalarFunction::new(
        "isascii",
        &[Any],
        BOOL,
        |_, v| Value::Bool(format_value(v[0]).is_ascii()),
        "Whether all characters are ASCII.",
    ),
    ScalarFunction::new(
        "isutf8",
        &[Any],
        BOOL,
        |_, _| Value::Bool(true),
        "Whether the text is UTF-8: always.",
    ),
    ScalarFunction::new(
        "unicode_codepoints_from_string",
        &[Any],
        Returns::Is(Type::Dynamic),
        codepoints,
        "The numbers of the characters.",
    ),
    ScalarFunction::new(
        "unicode_codepoints_to_string",
        &[Any],
        STRING,
        from_codepoints,
        "The text of characters with these numbers.",
    )
    .repeating(1),
    ScalarFunction::new(
        "parse_version",
        &[Text],
        Returns::Is(Type::Decimal),
        parse_version,
        "A version as a number that compares as versions do.",
    ),
    ScalarFunction::new(
        "estimate_data_size",
        &[Any],
        LONG,
        |_, v| Value::Long(v.iter().map(|value| format_value(value).len() as i64).sum()),
        "About how many bytes the values take.",
    )
    .repeating(1),
];

fn text(value: &Value) -> Arc<str> {
    format_value(value)
}

fn translate(_: &Context, values: &[&Value]) -> Value {
    let from: Vec<char> = text(values[0]).chars().collect();
    let to: Vec<char> = text(values[1]).chars().collect();
    let translated = text(values[2])
        .chars()
        .filter_map(|c| match from.iter().position(|one| *one == c) {
            // Beyond the second text's end its last character stands for the rest.
            Some(at) => to.get(at).or(to.last()).copied(),
            None => Some(c),
        })
        .collect::<String>();
    Value::string(translated)
}

fn indexof_regex(context: &Context, values: &[&Value]) -> Value {
    let text = text(values[0]);
    let pattern = format_value(values[1]);
    let Lookup {
        start,
        end,
        occurrence,
    } = Lookup::of(values, text.chars().count());
    context.with_regex(&pattern, |regex| {
        // Matches follow each other, so each character is counted once.
        let (mut bytes, mut characters) = (0, 0);
        let mut at = |byte: usize| {
            characters += text[bytes..byte].chars().count() as i64;
            bytes = byte;
            characters
        };
        let found = regex
            .find_iter(&text)
            .map(|found| (at(found.start()), at(found.end())))
            .filter(|(from, to)| *from >= start && *to <= end)
            .nth(usize::try_from(occurrence - 1).unwrap_or(usize::MAX));
        Value::Long(found.map_or(-1, |(from, _)| from))
    })
}

/// The most that replacements may add to a text, in bytes.
const MAX_LONGER: usize = 1 << 26;

fn replace_strings(_: &Context, values: &[&Value]) -> Value {
    let (Some(lookups), Some(rewrites)) = (array(values[1]), array(values[2])) else {
        return Value::Null;
    };
    let mut changed = text(values[0]).to_string();
    for (lookup, rewrite) in lookups.iter().zip(rewrites) {
        let (Some(lookup), Some(rewrite)) = (lookup.as_str(), rewrite.as_str()) else {
            return Value::Null;
        };
        let places = changed.matches(lookup).count();
        if lookup.is_empty() || places.saturating_mul(rewrite.len()) > MAX_LONGER {
            continue;
        }
        changed = changed.replace(lookup, rewrite);
    }
    Value::string(changed)
}

fn has_any_index(_: &Context, values: &[&Value]) -> Value {
    let Some(terms) = array(values[1]) else {
        return Value::Null;
    };
    let text = text(values[0]).to_lowercase();
    let found = terms.iter().position(|term| {
        let term = format_value(&wrap(term.clone())).to_lowercase();
        !term.is_empty() && crate::kql::operators::has(&text, &term, true, true)
    });
    Value::Long(found.map_or(-1, |at| at as i64))
}

fn codepoints(_: &Context, values: &[&Value]) -> Value {
    wrap(text(values[0]).chars().map(u32::from).collect())
}

fn from_codepoints(_: &Context, values: &[&Value]) -> Value {
    let mut made = String::new();
    for value in values {
        match array(value) {
            Some(elements) => {
                made.extend(elements.iter().filter_map(|one| character(one.as_i64()?)))
            }
            None => made.extend(as_long(value).and_then(character)),
        }
    }
    Value::string(made)
}

fn character(number: i64) -> Option<char> {
    char::from_u32(u32::try_from(number).ok()?)
}

/// Up to four parts, eight digits each.
fn parse_version(_: &Context, values: &[&Value]) -> Value {
    let text = text(values[0]);
    let mut parts = text.trim().split('.');
    let mut number = rust_decimal::Decimal::ZERO;
    let scale = rust_decimal::Decimal::from(100_000_000_i64);
    for _ in 0..4 {
        let part = match parts.next() {
            Some(part) => match part.parse::<u32>() {
                Ok(part) if part < 100_000_000 => part,
                _ => return Value::Null,
            },
            None => 0,
        };
        let scaled = number
            .checked_mul(scale)
            .and_then(|number| number.checked_add(part.into()));
        match scaled {
            Some(scaled) => number = scaled,
            // More than this engine's decimals hold.
            None => return Value::Null,
        }
    }
    if parts.next().is_some() {
        return Value::Null;
    }
    Value::Decimal(number)
}
