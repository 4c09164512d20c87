//! What a log line looks like: logfmt, as Prometheus and its exporters write it, or JSON.
//!
//! Texts in a line may come from strangers (a workspace's answer, a request). Whatever they hold, an
//! event is one line, a value ends where it ends, and no control character reaches a terminal.

use std::fmt::{self, Write};

use jiff::Timestamp;
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::error_chain;

/// How events become lines: `time`, `level`, `msg`, the event's fields, and inside a trace
/// `trace_id` and `span_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Logfmt,
    Json,
}

impl<S, N> FormatEvent<S, N> for LogFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut line = Line::new(*self);
        line.text("time", &format!("{:.3}", Timestamp::now()));
        line.text("level", level(*metadata.level()));
        let mut fields = Fields::default();
        event.record(&mut fields);
        line.text("msg", &fields.message);
        // Our own events say what they are; of a library's one wants to know whose they are.
        if !metadata.target().starts_with("vminsights_exporter") {
            line.text("target", metadata.target());
        }
        for (name, value) in fields.others {
            match value {
                Value::Text(text) => line.text(&key(name), &text),
                Value::Plain(text) => line.plain(&key(name), &text),
            }
        }
        Context::map_current(|context| {
            let span = context.span();
            let span = span.span_context();
            if span.is_valid() {
                line.text("trace_id", &span.trace_id().to_string());
                line.text("span_id", &span.span_id().to_string());
            }
        });
        out.write_str(&line.end())
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

/// A field's name, such that it is one word and none of the line's own.
fn key(name: &str) -> String {
    let name = name.trim_start_matches("r#");
    let mut key: String = name
        .chars()
        .map(|c| match c {
            '"' | '=' | '\\' => '_',
            c if c.is_ascii_graphic() => c,
            _ => '_',
        })
        .collect();
    let own = ["time", "level", "msg", "target", "trace_id", "span_id", ""];
    if own.contains(&key.as_str()) {
        key.push('_');
    }
    key
}

/// A line under construction.
struct Line {
    format: LogFormat,
    text: String,
}

impl Line {
    fn new(format: LogFormat) -> Self {
        let text = match format {
            LogFormat::Logfmt => String::new(),
            LogFormat::Json => "{".into(),
        };
        Self { format, text }
    }

    fn key(&mut self, key: &str) {
        match self.format {
            LogFormat::Logfmt => {
                if !self.text.is_empty() {
                    self.text.push(' ');
                }
                self.text.push_str(key);
                self.text.push('=');
            }
            LogFormat::Json => {
                if self.text.len() > 1 {
                    self.text.push(',');
                }
                self.quoted(key);
                self.text.push(':');
            }
        }
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        if self.format == LogFormat::Json || needs_quotes(value) {
            self.quoted(value);
        } else {
            self.text.push_str(value);
        }
    }

    /// A number or a Boolean.
    fn plain(&mut self, key: &str, value: &str) {
        self.key(key);
        self.text.push_str(value);
    }

    /// The escapes are JSON's; readers of logfmt know the same.
    fn quoted(&mut self, value: &str) {
        self.text.push('"');
        for c in value.chars() {
            match c {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                c if steers(c) => {
                    // Writing to a String cannot fail.
                    let _ = write!(self.text, "\\u{:04x}", u32::from(c));
                }
                c => self.text.push(c),
            }
        }
        self.text.push('"');
    }

    fn end(mut self) -> String {
        if self.format == LogFormat::Json {
            self.text.push('}');
        }
        self.text.push('\n');
        self.text
    }
}

fn needs_quotes(value: &str) -> bool {
    let special = |c: char| c.is_whitespace() || c == '=' || c == '"' || steers(c);
    value.is_empty() || value.contains(special)
}

/// Whether a character moves a cursor, breaks a line or turns the writing direction. All of them
/// have four hexadecimal digits.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

enum Value {
    Text(String),
    Plain(String),
}

/// An event's fields.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::Text(text) | Value::Plain(text)) => self.message = text,
            (name, value) => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, Value::Text(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::Text(value.to_owned()));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, Value::Text(error_chain(value)));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::Plain(value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::Plain(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::Plain(value.to_string()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for infinity.
        let value = match value.is_finite() {
            true => Value::Plain(value.to_string()),
            false => Value::Text(value.to_string()),
        };
        self.add(field, value);
    }
}

#[cfg(test)]
#[path = "log_format_tests.rs"]
mod tests;
