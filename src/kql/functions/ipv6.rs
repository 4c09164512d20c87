//! IPv6 addresses and prefixes (IPv4 ones count as mapped), and IPv4 addresses in other forms.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Accepts::{Any, Integer, Text, TextOrDynamic};
use super::json::{array, wrap};
use super::network::{mask, parse};
use super::{Context, Returns, ScalarFunction};
use crate::kql::order::as_long;
use crate::kql::text::format_value;
use crate::kql::value::{Type, Value};

const BOOL: Returns = Returns::Is(Type::Bool);
const LONG: Returns = Returns::Is(Type::Long);
const STRING: Returns = Returns::Is(Type::String);

pub const ROWS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "parse_ipv6",
        &[Text],
        STRING,
        |_, v| canonical(v, 128),
        "The address with all its digits; the prefix, if there is one, is applied.",
    ),
    ScalarFunction::new(
        "parse_ipv6_mask",
        &[Text, Integer],
        STRING,
        |_, v| canonical(v, length(v[1])),
        "The address with all its digits, of which so many bits count.",
    ),
    ScalarFunction::new(
        "ipv6_compare",
        &[Text, Text, Integer],
        LONG,
        ipv6_compare,
        "-1, 0 or 1, as the first address comes before, with or after the second.",
    )
    .optional_from(2),
    ScalarFunction::new(
        "ipv6_is_match",
        &[Text, Text, Integer],
        BOOL,
        ipv6_is_match,
        "Whether the addresses agree in the bits of the shorter prefix.",
    )
    .optional_from(2),
    ScalarFunction::new(
        "ipv6_is_in_range",
        &[Text, Text],
        BOOL,
        |_, v| in_any(v, in_range6),
        "Whether the address lies in the prefix.",
    ),
    ScalarFunction::new(
        "ipv6_is_in_any_range",
        &[TextOrDynamic, TextOrDynamic],
        BOOL,
        |_, v| in_any(v, in_range6),
        "Whether the address lies in one of the prefixes.",
    )
    .repeating(1),
    ScalarFunction::new(
        "ipv4_is_in_any_range",
        &[TextOrDynamic, TextOrDynamic],
        BOOL,
        |_, v| in_any(v, in_range4),
        "Whether the address lies in one of the prefixes.",
    )
    .repeating(1),
    ScalarFunction::new(
        "parse_ipv4_mask",
        &[Text, Integer],
        LONG,
        parse_ipv4_mask,
        "The address as a number, of which so many bits count.",
    ),
    ScalarFunction::new(
        "format_ipv4",
        &[Any, Integer],
        STRING,
        |_, v| formatted(v, false),
        "The address, a text or a number, of which so many bits count.",
    )
    .optional_from(1),
    ScalarFunction::new(
        "format_ipv4_mask",
        &[Any, Integer],
        STRING,
        |_, v| formatted(v, true),
        "As format_ipv4, with the prefix's length behind.",
    ),
    ScalarFunction::new(
        "has_any_ipv4",
        &[TextOrDynamic, TextOrDynamic],
        BOOL,
        |_, v| super::network::has_any(v, |address, wanted| address == wanted),
        "Whether one of the addresses stands in the text.",
    )
    .repeating(1),
];

/// An address with the length of its prefix; IPv4 as ::ffff:0:0/96.
fn parse6(text: &str) -> Option<(u128, u32)> {
    let (address, length) = match text.trim().split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
        None => (text.trim(), None),
    };
    match address.parse().ok()? {
        IpAddr::V6(address) => {
            let length = length.unwrap_or(128);
            (length <= 128).then_some((address.into(), length))
        }
        IpAddr::V4(address) => {
            let length = length.unwrap_or(32);
            (length <= 32).then_some((address.to_ipv6_mapped().into(), 96 + length))
        }
    }
}

fn mask6(length: u32) -> u128 {
    u128::MAX.checked_shl(128 - length.min(128)).unwrap_or(0)
}

fn length(value: &Value) -> u32 {
    as_long(value)
        .and_then(|length| u32::try_from(length).ok())
        .unwrap_or(u32::MAX)
}

fn canonical(values: &[&Value], most: u32) -> Value {
    let found = parse6(&format_value(values[0])).filter(|_| most <= 128);
    found.map_or(Value::Null, |(address, length)| {
        let address = Ipv6Addr::from(address & mask6(length.min(most)));
        let groups = address.segments().map(|group| format!("{group:04x}"));
        Value::string(groups.join(":"))
    })
}

fn compare6(values: &[&Value]) -> Option<i64> {
    let (left, left_length) = parse6(&format_value(values[0]))?;
    let (right, right_length) = parse6(&format_value(values[1]))?;
    let given = values.get(2).map_or(128, |value| length(value));
    if given > 128 {
        return None;
    }
    let bits = mask6(left_length.min(right_length).min(given));
    Some((left & bits).cmp(&(right & bits)) as i64)
}

fn ipv6_compare(_: &Context, values: &[&Value]) -> Value {
    compare6(values).map_or(Value::Null, Value::Long)
}

fn ipv6_is_match(_: &Context, values: &[&Value]) -> Value {
    compare6(values).map_or(Value::Null, |order| Value::Bool(order == 0))
}

fn in_range6(address: &str, range: &str) -> Option<bool> {
    let ((address, own), (range, length)) = (parse6(address)?, parse6(range)?);
    let bits = mask6(length);
    Some(own >= length && address & bits == range & bits)
}

fn in_range4(address: &str, range: &str) -> Option<bool> {
    let ((address, own), (range, length)) = (parse(address)?, parse(range)?);
    let bits = mask(length);
    Some(own >= length && address & bits == range & bits)
}

/// Whether the first value lies in one of the others, which may be arrays; null if none is a range.
fn in_any(values: &[&Value], within: fn(&str, &str) -> Option<bool>) -> Value {
    let address = format_value(values[0]);
    let mut known = None;
    for value in &values[1..] {
        let ranges: Vec<_> = match array(value) {
            Some(ranges) => ranges
                .iter()
                .map(|one| format_value(&wrap(one.clone())))
                .collect(),
            None => vec![format_value(value)],
        };
        for range in ranges {
            match within(&address, &range) {
                Some(true) => return Value::Bool(true),
                Some(false) => known = Some(false),
                None => {}
            }
        }
    }
    known.map_or(Value::Null, Value::Bool)
}

fn parse_ipv4_mask(_: &Context, values: &[&Value]) -> Value {
    let length = length(values[1]);
    let found = parse(&format_value(values[0])).filter(|_| length <= 32);
    found.map_or(Value::Null, |(address, own)| {
        Value::Long(i64::from(address & mask(length.min(own))))
    })
}

fn formatted(values: &[&Value], with_length: bool) -> Value {
    let given = values.get(1).map_or(32, |value| length(value));
    let found = match as_long(values[0]) {
        Some(number) => u32::try_from(number).ok().map(|address| (address, 32)),
        None => parse(&format_value(values[0])),
    };
    match found {
        Some((address, own)) if given <= 32 => {
            let length = given.min(own);
            let address = Ipv4Addr::from(address & mask(length));
            Value::string(if with_length {
                format!("{address}/{length}")
            } else {
                address.to_string()
            })
        }
        _ => Value::string(""),
    }
}
