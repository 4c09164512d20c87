//! IPv4 addresses and prefixes, as texts.

use super::Accepts::{Integer, Text, TextOrDynamic};
use super::{Context, Returns, ScalarFunction, json};
use crate::kql::order::as_long;
use crate::kql::text::format_value;
use crate::kql::value::{Type, Value};

const BOOL: Returns = Returns::Is(Type::Bool);
const LONG: Returns = Returns::Is(Type::Long);

pub const ROWS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "parse_ipv4",
        &[Text],
        LONG,
        parse_ipv4,
        "The address as a number; the prefix, if there is one, is applied.",
    ),
    ScalarFunction::new(
        "ipv4_is_private",
        &[Text],
        BOOL,
        ipv4_is_private,
        "Whether the address lies in a private network (RFC 1918).",
    ),
    ScalarFunction::new(
        "ipv4_is_in_range",
        &[Text, Text],
        BOOL,
        ipv4_is_in_range,
        "Whether the address lies in the prefix.",
    ),
    ScalarFunction::new(
        "ipv4_is_match",
        &[Text, Text, Integer],
        BOOL,
        ipv4_is_match,
        "Whether the addresses agree in the bits of the shorter prefix.",
    )
    .optional_from(2),
    ScalarFunction::new(
        "ipv4_compare",
        &[Text, Text, Integer],
        LONG,
        ipv4_compare,
        "-1, 0 or 1, as the first address comes before, with or after the second.",
    )
    .optional_from(2),
    ScalarFunction::new(
        "ipv4_netmask_suffix",
        &[Text],
        LONG,
        ipv4_netmask_suffix,
        "The prefix's length, 32 for a bare address.",
    ),
    ScalarFunction::new(
        "has_any_ipv4_prefix",
        &[TextOrDynamic, TextOrDynamic],
        BOOL,
        has_any_ipv4_prefix,
        "Whether an address within the text begins with one of the prefixes.",
    )
    .repeating(1),
    ScalarFunction::new(
        "has_ipv4_prefix",
        &[TextOrDynamic, Text],
        BOOL,
        has_any_ipv4_prefix,
        "Whether an address within the text begins with the prefix.",
    ),
    ScalarFunction::new(
        "has_ipv4",
        &[TextOrDynamic, Text],
        BOOL,
        has_ipv4,
        "Whether the address stands in the text.",
    ),
];

/// An address with the length of its prefix.
pub fn parse(text: &str) -> Option<(u32, u32)> {
    let (address, length) = match text.trim().split_once('/') {
        Some((address, length)) => (address, length.parse().ok().filter(|&length| length <= 32)?),
        None => (text.trim(), 32),
    };
    let address: std::net::Ipv4Addr = address.parse().ok()?;
    Some((address.into(), length))
}

pub fn mask(length: u32) -> u32 {
    u32::MAX.checked_shl(32 - length.min(32)).unwrap_or(0)
}

fn text(value: &Value) -> &str {
    match value {
        Value::String(text) => text,
        _ => "",
    }
}

fn parse_ipv4(_: &Context, values: &[&Value]) -> Value {
    parse(text(values[0])).map_or(Value::Null, |(address, length)| {
        Value::Long(i64::from(address & mask(length)))
    })
}

fn ipv4_netmask_suffix(_: &Context, values: &[&Value]) -> Value {
    parse(text(values[0])).map_or(Value::Null, |(_, length)| Value::Long(i64::from(length)))
}

fn ipv4_is_private(_: &Context, values: &[&Value]) -> Value {
    parse(text(values[0])).map_or(Value::Null, |(address, length)| {
        Value::Bool(std::net::Ipv4Addr::from(address & mask(length)).is_private())
    })
}

fn ipv4_is_in_range(_: &Context, values: &[&Value]) -> Value {
    match (parse(text(values[0])), parse(text(values[1]))) {
        (Some((address, own)), Some((range, length))) => {
            let bits = mask(length);
            Value::Bool(own >= length && address & bits == range & bits)
        }
        _ => Value::Null,
    }
}

/// How the two compare in the bits of the shortest prefix.
fn compare(values: &[&Value]) -> Option<i64> {
    let (left, left_length) = parse(text(values[0]))?;
    let (right, right_length) = parse(text(values[1]))?;
    let given = match values.get(2) {
        Some(length) => u32::try_from(as_long(length)?).ok()?,
        None => 32,
    };
    let bits = mask(left_length.min(right_length).min(given));
    Some((left & bits).cmp(&(right & bits)) as i64)
}

fn ipv4_compare(_: &Context, values: &[&Value]) -> Value {
    compare(values).map_or(Value::Null, Value::Long)
}

fn ipv4_is_match(_: &Context, values: &[&Value]) -> Value {
    compare(values).map_or(Value::Null, |order| Value::Bool(order == 0))
}

/// The addresses that stand in a text on their own.
fn addresses(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.')
        .filter(|word| word.parse::<std::net::Ipv4Addr>().is_ok())
}

fn has_ipv4(_: &Context, values: &[&Value]) -> Value {
    has_any(values, |address, wanted| address == wanted)
}

fn has_any_ipv4_prefix(_: &Context, values: &[&Value]) -> Value {
    has_any(values, |address, prefix| address.starts_with(prefix))
}

/// Whether an address in the first value passes the test with one of the others, which may be
/// arrays.
pub fn has_any(values: &[&Value], test: fn(&str, &str) -> bool) -> Value {
    let source = format_value(values[0]);
    let wanted: Vec<_> = values[1..]
        .iter()
        .flat_map(|value| match json::array(value) {
            Some(elements) => elements
                .iter()
                .map(|one| format_value(&json::wrap(one.clone())))
                .collect(),
            None => vec![format_value(value)],
        })
        .collect();
    Value::Bool(addresses(&source).any(|address| wanted.iter().any(|one| test(address, one))))
}
