use proptest::prelude::*;

use super::*;

fn line(format: LogFormat, value: &str) -> String {
    let mut line = Line::new(format);
    line.text("level", "WARN");
    line.text("error", value);
    line.plain("seconds", "1.5");
    line.end()
}

#[test]
fn values_are_quoted_where_they_must_be() {
    for (value, written) in [
        ("plain", "plain"),
        (r"C:\Windows", r"C:\Windows"),
        ("Müller", "Müller"),
        ("", r#""""#),
        ("two words", r#""two words""#),
        ("a=b", r#""a=b""#),
        ("say \"x\"", r#""say \"x\"""#),
        ("a\nlevel=ERROR", r#""a\nlevel=ERROR""#),
        ("\u{1b}[2J", r#""\u001b[2J""#),
        ("\u{9b}2J\u{7f}", r#""\u009b2J\u007f""#),
        ("\u{202e}gpj", r#""\u202egpj""#),
    ] {
        assert_eq!(
            line(LogFormat::Logfmt, value),
            format!("level=WARN error={written} seconds=1.5\n")
        );
    }
    assert_eq!(
        line(LogFormat::Json, "a \"b\"\n\u{1b}"),
        "{\"level\":\"WARN\",\"error\":\"a \\\"b\\\"\\n\\u001b\",\"seconds\":1.5}\n"
    );
}

#[test]
fn a_field_takes_no_key_of_the_line() {
    assert_eq!(key("level"), "level_");
    assert_eq!(key("r#type"), "type");
    assert_eq!(key("a b=\"c\n"), "a_b__c_");
}

/// A reader of logfmt, by its rules and not by our writer's.
fn read(line: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').unwrap();
        let value_end = match after.strip_prefix('"') {
            None => after.find(' ').unwrap_or(after.len()),
            Some(inner) => {
                let mut escaped = false;
                let end = inner.find(|c| {
                    let ends = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                });
                end.unwrap() + 2
            }
        };
        let (value, after) = after.split_at(value_end);
        let value = match value.starts_with('"') {
            true => serde_json::from_str(value).unwrap(),
            false => value.to_owned(),
        };
        pairs.push((key.to_owned(), value));
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
    pairs
}

proptest! {
    #[test]
    fn no_text_forges_a_line_or_steers_a_terminal(value in any::<String>()) {
        for format in [LogFormat::Logfmt, LogFormat::Json] {
            let line = line(format, &value);
            let line = line.strip_suffix('\n').unwrap();
            prop_assert!(!line.contains(steers), "{line:?}");
            prop_assert!(!line.contains(char::is_control), "{line:?}");
            match format {
                LogFormat::Logfmt => prop_assert_eq!(read(line), [
                    ("level".to_owned(), "WARN".to_owned()),
                    ("error".to_owned(), value.clone()),
                    ("seconds".to_owned(), "1.5".to_owned()),
                ]),
                LogFormat::Json => {
                    let json: serde_json::Value = serde_json::from_str(line).unwrap();
                    prop_assert_eq!(&json, &serde_json::json!({"level": "WARN", "error": value, "seconds": 1.5}));
                }
            }
        }
    }
}
