//! What literals mean: quotes and escapes, and the insides of `datetime(…)` and the like.

use std::sync::Arc;

use crate::kql::text;
use crate::kql::value::{Type, Value};

/// The text that a quoted token stands for. Escapes that KQL does not have stay as they are.
pub fn unquote(token: &str) -> String {
    let token = token.strip_prefix(['h', 'H']).unwrap_or(token);
    if let Some(inner) = token.strip_prefix("```") {
        return inner.strip_suffix("```").unwrap_or(inner).to_string();
    }
    let (verbatim, quoted) = match token.strip_prefix('@') {
        Some(rest) => (true, rest),
        None => (false, token),
    };
    let Some(quote) = quoted.chars().next() else {
        return String::new();
    };
    let inner = quoted.strip_prefix(quote).unwrap_or(quoted);
    let inner = inner.strip_suffix(quote).unwrap_or(inner);
    if verbatim {
        return inner.replace(&format!("{quote}{quote}"), &quote.to_string());
    }
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match rest.next() {
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('0') => text.push('\0'),
            Some('a') => text.push('\u{7}'),
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('v') => text.push('\u{b}'),
            Some(width @ ('u' | 'x' | 'U')) => {
                let digits = rest.as_str().get(
                    ..match width {
                        'x' => 2,
                        'u' => 4,
                        _ => 8,
                    },
                );
                let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
                match (digits, code.and_then(char::from_u32)) {
                    (Some(digits), Some(character)) => {
                        text.push(character);
                        rest = rest.as_str()[digits.len()..].chars();
                    }
                    _ => text.extend(['\\', width]),
                }
            }
            Some(other @ ('\\' | '"' | '\'')) => text.push(other),
            Some(other) => text.extend(['\\', other]),
            None => text.push('\\'),
        }
    }
    text
}

/// As [`unquote`] if the token is quoted, else the token.
pub fn unquote_or_plain(token: &str) -> String {
    if token.ends_with(['"', '\'', '`']) {
        unquote(token)
    } else {
        token.to_string()
    }
}

/// What stands in the brackets of a literal of this type; `None` if it is none.
pub fn literal(kind: Type, inner: &str) -> Option<Value> {
    let inner = inner.trim();
    if inner == "null" || inner.is_empty() && kind != Type::Dynamic {
        return Some(Value::Null);
    }
    let bare = inner.trim_matches(['"', '\'']);
    Some(match kind {
        Type::Bool => Value::Bool(text::parse_bool(bare)?),
        Type::Int => Value::Int(text::parse_long(bare)?.try_into().ok()?),
        Type::Long => Value::Long(text::parse_long(bare)?),
        Type::Real => Value::Real(text::parse_real(bare)?),
        Type::Decimal => Value::Decimal(text::parse_decimal(bare)?),
        Type::DateTime => Value::DateTime(text::parse_datetime(bare)?),
        Type::TimeSpan => Value::TimeSpan(text::parse_timespan(bare)?),
        Type::Guid => Value::Guid(text::parse_guid(bare)?),
        Type::String => Value::string(bare),
        Type::Dynamic => dynamic(inner)?,
    })
}

/// JSON, or with the liberties that KQL takes: single quotes, and scalar literals within.
fn dynamic(inner: &str) -> Option<Value> {
    let json = serde_json::from_str::<serde_json::Value>(inner)
        .ok()
        .or_else(|| serde_json::from_str(&as_json(inner)?).ok())?;
    Some(match json {
        serde_json::Value::Null => Value::Null,
        json => Value::Dynamic(Arc::new(json)),
    })
}

/// Single-quoted texts and `datetime(…)`, `timespan(…)` and so on become JSON strings.
fn as_json(inner: &str) -> Option<String> {
    let mut json = String::with_capacity(inner.len());
    for token in crate::kql::lexer::lex(inner) {
        use crate::kql::lexer::TokenKind;
        let source = &inner[token.span.clone()];
        match token.kind {
            TokenKind::String => {
                json += &serde_json::Value::String(unquote(source)).to_string();
            }
            TokenKind::TimeSpan => {
                let span = Value::TimeSpan(text::parse_timespan(source)?);
                json +=
                    &serde_json::Value::String(text::format_value(&span).to_string()).to_string();
            }
            TokenKind::Literal(kind) if kind != Type::Dynamic => {
                let (_, bracketed) = source.split_once('(')?;
                let value = literal(kind, bracketed.strip_suffix(')')?)?;
                json += &super::super::functions::json::from_value(&value).to_string();
            }
            TokenKind::End => {}
            TokenKind::Bad => return None,
            _ => json += source,
        }
    }
    Some(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_escapes() {
        for (token, text) in [
            (r#""a\"b\\c\n""#, "a\"b\\c\n"),
            (r"'it\'s'", "it's"),
            (r#"@"C:\x""y""#, r#"C:\x"y"#),
            (r#"h"secret""#, "secret"),
            ("```a\n\"b```", "a\n\"b"),
            (r#""\u0041\x42\q""#, "AB\\q"),
        ] {
            assert_eq!(unquote(token), text, "{token}");
        }
    }

    #[test]
    fn insides_of_literals() {
        assert_eq!(literal(Type::Long, " 5 "), Some(Value::Long(5)));
        assert_eq!(literal(Type::Int, "99999999999"), None);
        assert_eq!(literal(Type::Real, "null"), Some(Value::Null));
        assert_eq!(
            literal(Type::Dynamic, "{'a': [1, 'x']}"),
            literal(Type::Dynamic, r#"{"a":[1,"x"]}"#)
        );
        assert_eq!(literal(Type::Dynamic, "[1,"), None);
    }
}
