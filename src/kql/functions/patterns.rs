//! Regular expressions.

use std::sync::Arc;

use super::Accepts::{AnyText, Integer, Text, TextOrDynamic, TypeName};
use super::strings::{MAX_LONGER, arc_of, str_of};
use super::{Context, Returns, ScalarFunction, convert};
use crate::kql::order::as_long;
use crate::kql::value::{Type, Value};

const STRING: Returns = Returns::Is(Type::String);
const DYNAMIC: Returns = Returns::Is(Type::Dynamic);

pub const ROWS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "replace_regex",
        &[Text, Text, Text],
        STRING,
        replace_regex,
        "The first text with what matches the pattern replaced; \\1 is the first group.",
    )
    .constant_at(&[1, 2]),
    ScalarFunction::new(
        "replace",
        &[Text, Text, Text],
        STRING,
        |c, v| replace_regex(c, &[v[2], v[0], v[1]]),
        "The old form of replace_regex: pattern, replacement, text.",
    )
    .constant_at(&[0, 1]),
    ScalarFunction::new(
        "extract",
        &[Text, Integer, Text, TypeName],
        Returns::TypeOf(3),
        extract,
        "What the group of the pattern's first match holds.",
    )
    .constant_at(&[0])
    .optional_from(3),
    ScalarFunction::new(
        "extract_all",
        &[Text, TextOrDynamic, Text],
        DYNAMIC,
        extract_all,
        "What the pattern's groups hold in all matches, all groups or those in the array.",
    )
    .optional_from(2)
    .constant_at(&[0]),
    ScalarFunction::new(
        "trim",
        &[Text, Text],
        STRING,
        |c, v| trimmed(c, v, true, true),
        "The second text without what matches the pattern at either end.",
    )
    .constant_at(&[0]),
    ScalarFunction::new(
        "trim_start",
        &[Text, Text],
        STRING,
        |c, v| trimmed(c, v, true, false),
        "The second text without what matches the pattern at its start.",
    )
    .constant_at(&[0]),
    ScalarFunction::new(
        "trim_end",
        &[Text, Text],
        STRING,
        |c, v| trimmed(c, v, false, true),
        "The second text without what matches the pattern at its end.",
    )
    .constant_at(&[0]),
    ScalarFunction::new(
        "regex_quote",
        &[AnyText],
        STRING,
        |_, v| Value::string(regex::escape(str_of(v[0]))),
        "The text as a pattern that matches it.",
    ),
];

fn replace_regex(context: &Context, values: &[&Value]) -> Value {
    // RE2 writes \1 where this library writes ${1}.
    let mut rewrite = String::new();
    let mut rest = str_of(values[2]).chars().peekable();
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('\\', Some(digit)) if digit.is_ascii_digit() => {
                rewrite += &format!("${{{digit}}}");
                rest.next();
            }
            ('\\', Some('\\')) => {
                rewrite.push('\\');
                rest.next();
            }
            ('$', _) => rewrite += "$$",
            _ => rewrite.push(c),
        }
    }
    let text = str_of(values[0]);
    if (text.len() + 1).saturating_mul(rewrite.len()) > MAX_LONGER {
        return Value::Null;
    }
    context.with_regex(&arc_of(values[1]), |regex| {
        Value::string(regex.replace_all(text, &rewrite).into_owned())
    })
}

/// `extract(pattern, group, text)`
fn extract(context: &Context, values: &[&Value]) -> Value {
    let group = as_long(values[1])
        .and_then(|group| usize::try_from(group).ok())
        .unwrap_or(usize::MAX);
    let found = context.with_regex(&arc_of(values[0]), |regex| {
        regex
            .captures(str_of(values[2]))
            .and_then(|captures| captures.get(group))
            .map_or(Value::Null, |found| Value::string(found.as_str()))
    });
    match values.get(3) {
        Some(Value::String(name)) => {
            convert::to(Type::from_name(name).unwrap_or(Type::String))(context, &[&found])
        }
        _ => found,
    }
}

/// `extract_all(pattern, [groups,] text)`: an array of texts, of arrays where there are several
/// groups.
fn extract_all(context: &Context, values: &[&Value]) -> Value {
    let (groups, source) = match values {
        [_, groups, source] => (super::json::array(groups), source),
        _ => (None, &values[1]),
    };
    context.with_regex(&arc_of(values[0]), |regex| {
        let wanted: Vec<usize> = match groups {
            Some(groups) => groups
                .iter()
                .filter_map(|group| match group.as_str() {
                    Some(name) => regex.capture_names().position(|one| one == Some(name)),
                    None => usize::try_from(group.as_u64()?).ok(),
                })
                .collect(),
            None if regex.captures_len() == 1 => vec![0],
            None => (1..regex.captures_len()).collect(),
        };
        let matches: Vec<serde_json::Value> = regex
            .captures_iter(str_of(source))
            .map(|captures| {
                let text = |group: &usize| captures.get(*group).map_or("", |group| group.as_str());
                let texts: Vec<&str> = wanted.iter().map(text).collect();
                match texts.as_slice() {
                    [one] => (*one).into(),
                    several => several.into(),
                }
            })
            .collect();
        if matches.is_empty() {
            Value::Null
        } else {
            Value::Dynamic(Arc::new(matches.into()))
        }
    })
}

/// `trim(pattern, text)`. The service puts the pattern into a group beside the anchor and takes out
/// whatever the whole matches: one match at each end, however many there are.
fn trimmed(context: &Context, values: &[&Value], start: bool, end: bool) -> Value {
    let pattern = str_of(values[0]);
    let anchored = match (start, end) {
        (true, false) => format!("^({pattern})"),
        (false, true) => format!("({pattern})$"),
        _ => format!("^({pattern})|({pattern})$"),
    };
    context.with_regex(&anchored.into(), |regex| {
        Value::string(regex.replace_all(str_of(values[1]), "").as_ref())
    })
}
