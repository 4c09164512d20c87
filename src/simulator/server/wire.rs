//! A query's result as the Logs Query API writes it.

use std::fmt::Write;

use serde_json::{Value as Json, json};

use super::extras::{self, Cost};
use crate::kql::{DateTime, Partial, QueryResult, TimeSpan, Value};

/// Beyond so many bytes a result is cut, as the service cuts at about 100 MiB.
const MAX_BYTES: usize = 100 << 20;

/// A result's body.
pub struct Body {
    pub json: Vec<u8>,
    /// Whether all rows are there.
    pub is_complete: bool,
}

/// What the body has beside tables.
#[derive(Clone, Copy, Default)]
pub struct Extras<'a> {
    /// What the query cost, for `statistics`.
    pub statistics: Option<Cost>,
    /// The query's text, for `render`.
    pub render: Option<&'a str>,
}

/// Writes a result: tables, then statistics and render if asked for, then what went wrong.
pub fn encode(result: &QueryResult, extras: Extras<'_>) -> Body {
    encode_to(result, extras, MAX_BYTES)
}

fn encode_to(result: &QueryResult, extras: Extras<'_>, max_bytes: usize) -> Body {
    let mut out = String::with_capacity(256 + result.row_count * result.columns.len() * 12);
    out.push_str(r#"{"tables":[{"name":"PrimaryResult","columns":["#);
    for (number, column) in result.columns.iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        out.push_str(r#"{"name":"#);
        write_string(&mut out, &column.name);
        let _ = write!(out, r#","type":"{}"}}"#, column.kind);
    }
    out.push_str(r#"],"rows":["#);
    let mut partial = result.partial.clone();
    let mut rows = 0;
    for row in 0..result.row_count {
        if out.len() > max_bytes {
            partial = Some(Partial {
                code: "-2133196797".into(),
                message: format!(
                    "Query result set has exceeded the internal data size limit {max_bytes} (E_QUERY_RESULT_SET_TOO_LARGE; see https://aka.ms/kustoquerylimits)"
                ),
            });
            break;
        }
        out.push_str(if row > 0 { ",[" } else { "[" });
        for (number, column) in result.data.iter().enumerate() {
            if number > 0 {
                out.push(',');
            }
            write_value(&mut out, column.value(row));
        }
        out.push(']');
        rows += 1;
    }
    out.push_str("]}]");
    if let Some(query) = extras.render {
        let _ = write!(out, r#","render":{}"#, extras::render(query));
    }
    if let Some(cost) = extras.statistics {
        let _ = write!(
            out,
            r#","statistics":{}"#,
            extras::statistics(&cost, rows, out.len())
        );
    }
    let is_complete = partial.is_none();
    if let Some(Partial { code, message }) = partial {
        let error = partial_error(&code, &message);
        let _ = write!(out, r#","error":{error}"#);
    }
    out.push('}');
    Body {
        json: out.into_bytes(),
        is_complete,
    }
}

/// What an answer bears beside its rows if they are not all.
pub(super) fn partial_error(code: &str, message: &str) -> Json {
    json!({
        "code": "PartialError",
        "message": "There were some errors when processing your query.",
        "details": [{
            "code": "EngineError",
            "message": "Something went wrong processing your query on the server.",
            "innererror": {
                "code": code, "message": message, "severity": 2, "severityName": "Error",
            },
        }],
    })
}

/// A cell.
pub(super) fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => out.push_str(itoa::Buffer::new().format(*value)),
        Value::Long(value) => out.push_str(itoa::Buffer::new().format(*value)),
        Value::Real(value) => write_real(out, *value),
        Value::Decimal(value) => {
            let _ = write!(out, "\"{value}\"");
        }
        Value::String(text) => write_string(out, text),
        Value::DateTime(moment) => write_moment(out, *moment),
        Value::TimeSpan(span) => write_span(out, *span),
        Value::Guid(guid) => {
            let _ = write!(out, "\"{guid}\"");
        }
        Value::Dynamic(value) => write_string(out, &value.to_string()),
    }
}

/// The shortest digits that read back the same; whole numbers without `.0`.
fn write_real(out: &mut String, value: f64) {
    if value.is_nan() {
        out.push_str("\"NaN\"");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 {
            "\"Infinity\""
        } else {
            "\"-Infinity\""
        });
    } else {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value);
        out.push_str(text.strip_suffix(".0").unwrap_or(text));
    }
}

/// `"2015-12-31T23:59:59.9Z"`: the fraction without its trailing zeros.
fn write_moment(out: &mut String, moment: DateTime) {
    let seconds = moment.0.div_euclid(10_000_000);
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let _ = write!(
        out,
        "\"{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    );
    let ticks = moment.0.rem_euclid(10_000_000);
    if ticks > 0 {
        let digits = format!("{ticks:07}");
        let _ = write!(out, ".{}", digits.trim_end_matches('0'));
    }
    out.push_str("Z\"");
}

/// Year, month and day of a day counted from 0001-01-01, by the Gregorian calendar. Kusto's last
/// hours of the year 9999 are beyond what the time library holds.
fn civil(days: i64) -> (i64, i64, i64) {
    // Counted from a 1 March, a leap day is its year's last and months follow a fixed pattern.
    let days = days + 306;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = month_from_march % 12 + if month_from_march < 10 { 3 } else { -9 };
    let year = 400 * era + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// `"[-][d.]hh:mm:ss[.fffffff]"`: the fraction is there in full or not at all.
fn write_span(out: &mut String, span: TimeSpan) {
    let ticks = span.0.unsigned_abs();
    let (seconds, fraction) = (ticks / 10_000_000, ticks % 10_000_000);
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    out.push('"');
    if span.0 < 0 {
        out.push('-');
    }
    if days > 0 {
        let _ = write!(out, "{days}.");
    }
    let _ = write!(
        out,
        "{:02}:{:02}:{:02}",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    );
    if fraction > 0 {
        let _ = write!(out, ".{fraction:07}");
    }
    out.push('"');
}

fn write_string(out: &mut String, text: &str) {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::kql::{Column, ResultColumn, Type};

    fn result(kind: Type, values: Vec<Value>) -> QueryResult {
        QueryResult {
            columns: vec![ResultColumn {
                name: "x".into(),
                kind,
            }],
            row_count: values.len(),
            data: vec![Column::Plain(values.into())],
            partial: None,
        }
    }

    fn cell(value: Value) -> String {
        let mut out = String::new();
        write_value(&mut out, &value);
        out
    }

    #[test]
    fn every_type_is_written_as_the_service_writes_it() {
        let moment = |text: &str| Value::DateTime(DateTime::from_timestamp(text.parse().unwrap()));
        for (value, expected) in [
            (Value::Null, "null"),
            (Value::Bool(false), "false"),
            (Value::Int(-12_345), "-12345"),
            (Value::Long(9_007_199_254_740_993), "9007199254740993"),
            (Value::Real(1.0), "1"),
            (Value::Real(-0.5), "-0.5"),
            (Value::Real(1.200_000_05), "1.20000005"),
            (Value::Real(f64::NAN), "\"NaN\""),
            (Value::Real(f64::INFINITY), "\"Infinity\""),
            (Value::Real(f64::NEG_INFINITY), "\"-Infinity\""),
            (Value::Decimal("0.10101".parse().unwrap()), "\"0.10101\""),
            (Value::string("a\"b\n"), r#""a\"b\n""#),
            (Value::string(""), "\"\""),
            (
                moment("2015-12-31T23:59:59.9Z"),
                "\"2015-12-31T23:59:59.9Z\"",
            ),
            (moment("2024-02-29T00:00:00Z"), "\"2024-02-29T00:00:00Z\""),
            (moment("1900-03-01T00:00:00Z"), "\"1900-03-01T00:00:00Z\""),
            (moment("2021-05-03T00:00:00Z"), "\"2021-05-03T00:00:00Z\""),
            (
                moment("2021-05-03T00:00:00.1234567Z"),
                "\"2021-05-03T00:00:00.1234567Z\"",
            ),
            (Value::DateTime(DateTime::MIN), "\"0001-01-01T00:00:00Z\""),
            (
                Value::DateTime(DateTime::MAX),
                "\"9999-12-31T23:59:59.9999999Z\"",
            ),
            (Value::TimeSpan(TimeSpan::from_seconds(10)), "\"00:00:10\""),
            (
                Value::TimeSpan(TimeSpan(-(86_400 * 10_000_000 + 5_000_000))),
                "\"-1.00:00:00.5000000\"",
            ),
            (
                Value::TimeSpan(TimeSpan(i64::MIN)),
                "\"-10675199.02:48:05.4775808\"",
            ),
            (
                Value::Guid("74be27de-1e4e-49d9-b579-fe0b331d3642".parse().unwrap()),
                "\"74be27de-1e4e-49d9-b579-fe0b331d3642\"",
            ),
            (
                Value::Dynamic(Arc::new(json!({"hello": "world"}))),
                r#""{\"hello\":\"world\"}""#,
            ),
        ] {
            assert_eq!(cell(value.clone()), expected, "{value:?}");
        }
    }

    #[test]
    fn an_empty_result_keeps_its_columns() {
        let body = encode(&result(Type::Long, vec![]), Extras::default());
        assert_eq!(
            String::from_utf8(body.json).unwrap(),
            r#"{"tables":[{"name":"PrimaryResult","columns":[{"name":"x","type":"long"}],"rows":[]}]}"#
        );
        assert!(body.is_complete);
    }

    #[test]
    fn a_cut_result_says_so_after_its_rows() {
        let mut cut = result(Type::String, vec![Value::string("a")]);
        cut.partial = Some(Partial {
            code: "-2133196797".into(),
            message: "too many".into(),
        });
        let body = encode(&cut, Extras::default());
        assert!(!body.is_complete);
        assert_eq!(
            String::from_utf8(body.json).unwrap(),
            r#"{"tables":[{"name":"PrimaryResult","columns":[{"name":"x","type":"string"}],"rows":[["a"]]}],"error":{"code":"PartialError","message":"There were some errors when processing your query.","details":[{"code":"EngineError","message":"Something went wrong processing your query on the server.","innererror":{"code":"-2133196797","message":"too many","severity":2,"severityName":"Error"}}]}}"#
        );
    }

    #[test]
    fn a_result_that_is_too_large_is_cut() {
        let values: Vec<_> = (0..1000).map(Value::Long).collect();
        let body = encode_to(&result(Type::Long, values), Extras::default(), 1000);
        let body: serde_json::Value = serde_json::from_slice(&body.json).unwrap();
        let rows = body["tables"][0]["rows"].as_array().unwrap().len();
        assert!((100..1000).contains(&rows), "{rows}");
        let message = &body["error"]["details"][0]["innererror"]["message"];
        assert_eq!(
            message,
            "Query result set has exceeded the internal data size limit 1000 (E_QUERY_RESULT_SET_TOO_LARGE; see https://aka.ms/kustoquerylimits)"
        );
    }

    #[test]
    fn extras_come_when_asked_for() {
        let extras = Extras {
            statistics: Some(Cost {
                took: Duration::from_millis(250),
                ..Cost::default()
            }),
            render: Some("T | render timechart with (title=\"t\")"),
        };
        let body = encode(&result(Type::Long, vec![Value::Long(1)]), extras);
        let body: serde_json::Value = serde_json::from_slice(&body.json).unwrap();
        assert_eq!(body["render"]["visualization"], "timechart");
        assert_eq!(body["statistics"]["query"]["executionTime"], 0.25);
        let rows = &body["statistics"]["query"]["datasetStatistics"][0]["tableRowCount"];
        assert_eq!(rows, 1);
    }
}
