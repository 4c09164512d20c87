//! The section `otlp`, and the standard `OTEL_…` variables where the file is silent.
//!
//! Each item is looked for on its own: in the file, then in the signal's variable
//! (`OTEL_EXPORTER_OTLP_METRICS_TIMEOUT`), then in the general one (`OTEL_EXPORTER_OTLP_TIMEOUT`).
//! A rule's text never repeats an endpoint or a header: either may hold a secret.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use serde_saphyr::Spanned;

use super::Reader;
use crate::config::otlp::{
    OtlpCompression, OtlpConnection, OtlpMetrics, OtlpProtocol, OtlpSettings, OtlpTraces, Signal,
};
use crate::config::problem::Problem;
use crate::config::{Secret, raw, yaml};

/// As OpenTelemetry's specification has them.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

const LEAST_INTERVAL: Duration = Duration::from_secs(1);
const LEAST_TIMEOUT: Duration = Duration::from_millis(1);

/// Headers that the exporter writes itself, or that belong to the connection.
const OWN_HEADERS: [&str; 8] = [
    "content-type",
    "content-encoding",
    "content-length",
    "transfer-encoding",
    "host",
    "connection",
    "te",
    "grpc-timeout",
];

/// A text that was found, and what to call it in an error.
struct Given {
    name: String,
    line: Option<u32>,
    text: String,
    from: From,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    File,
    SignalVariable,
    Variable,
}

impl Reader<'_> {
    pub(super) fn otlp(&mut self, raw: Option<raw::Otlp>) -> Option<OtlpSettings> {
        let written = raw.is_some();
        let raw = raw.unwrap_or_default();
        let before = self.problems.len();
        let metrics = self.connection(&raw, Signal::Metrics);
        let metrics = metrics.map(|mut connection| {
            let interval = self.interval(&raw);
            // A request must not outlive the push that it is part of.
            connection.timeout = connection.timeout.min(interval);
            OtlpMetrics {
                connection,
                interval,
            }
        });
        let traces = raw.traces.as_ref().and_then(|traces| {
            let ratio = traces.ratio.value;
            if !(ratio > 0.0 && ratio <= 1.0) {
                self.problem(
                    yaml::line(&traces.ratio),
                    "otlp.traces.ratio must be above 0 and at most 1, such as 0.1",
                );
                return None;
            }
            let connection = self.connection(&raw, Signal::Traces)?;
            Some(OtlpTraces { connection, ratio })
        });
        if metrics.is_none() && traces.is_none() {
            if written && self.problems.len() == before {
                self.problem(None, "otlp needs an endpoint, such as http://collector:4318, as otlp.endpoint or in OTEL_EXPORTER_OTLP_ENDPOINT");
            }
            return None;
        }
        Some(OtlpSettings {
            metrics,
            traces,
            resource: self.resource(),
        })
    }

    /// How `signal` reaches its receiver; `None` without an endpoint.
    fn connection(&mut self, raw: &raw::Otlp, signal: Signal) -> Option<OtlpConnection> {
        let endpoint = self.given("endpoint", raw.endpoint.as_ref(), signal)?;
        let protocol = self
            .given("protocol", raw.protocol.as_ref(), signal)
            .and_then(|given| self.parsed(&given))
            .unwrap_or(OtlpProtocol::HttpProtobuf);
        let compression = self
            .given("compression", raw.compression.as_ref(), signal)
            .and_then(|given| self.parsed(&given))
            .unwrap_or(OtlpCompression::Gzip);
        let timeout = self
            .given("timeout", raw.timeout.as_ref(), signal)
            .and_then(|given| self.duration(&given, LEAST_TIMEOUT))
            .unwrap_or(DEFAULT_TIMEOUT);
        let headers = match &raw.headers_file {
            Some(file) => self.headers_file(file),
            None => self
                .given("headers", None, signal)
                .map(|given| self.headers(&given))
                .unwrap_or_default(),
        };
        let ca_file = match &raw.ca_file {
            Some(file) => Some(self.folder.join(file)),
            None => self
                .given("certificate", None, signal)
                .map(|given| PathBuf::from(given.text)),
        };
        Some(OtlpConnection {
            endpoint: self.receiver(&endpoint, protocol, signal)?,
            protocol,
            compression,
            timeout,
            headers,
            ca_file,
        })
    }

    fn given(&self, key: &str, file: Option<&Spanned<String>>, signal: Signal) -> Option<Given> {
        if let Some(text) = file {
            return Some(Given {
                name: format!("otlp.{key}"),
                line: yaml::line(text),
                text: text.value.clone(),
                from: From::File,
            });
        }
        let key = key.to_ascii_uppercase();
        [
            (
                From::SignalVariable,
                format!("OTEL_EXPORTER_OTLP_{}_{key}", signal.variable()),
            ),
            (From::Variable, format!("OTEL_EXPORTER_OTLP_{key}")),
        ]
        .into_iter()
        .find_map(|(from, name)| self.variable(from, name))
    }

    /// A variable that is empty is one that is not set.
    fn variable(&self, from: From, name: String) -> Option<Given> {
        let text = (self.variables)(&name).filter(|text| !text.trim().is_empty())?;
        Some(Given {
            name,
            line: None,
            text: text.trim().to_owned(),
            from,
        })
    }

    fn wrong(&mut self, given: &Given, rule: impl Display) {
        self.problem(given.line, format!("{} {rule}", given.name));
    }

    fn parsed<T: std::str::FromStr<Err = &'static str>>(&mut self, given: &Given) -> Option<T> {
        let value = given.text.parse();
        value
            .map_err(|rule| self.wrong(given, format!("{:?} {rule}", given.text)))
            .ok()
    }

    /// The file's durations have units, the variables' are milliseconds.
    fn duration(&mut self, given: &Given, least: Duration) -> Option<Duration> {
        if given.from == From::File {
            let duration = yaml::duration(&given.name, &given.text, least);
            return duration.map_err(|rule| self.problem(given.line, rule)).ok();
        }
        let duration = given.text.parse().ok().map(Duration::from_millis);
        // The file's longest, too.
        let valid = duration.filter(|duration| *duration >= least && *duration <= yaml::LONGEST);
        if valid.is_none() {
            let least = least.as_millis();
            self.wrong(
                given,
                format!("{:?} must be a whole number of milliseconds, {least} or more and 30 days at most", given.text),
            );
        }
        valid
    }

    fn interval(&mut self, raw: &raw::Otlp) -> Duration {
        let given = match &raw.interval {
            Some(text) => Some(Given {
                name: "otlp.interval".into(),
                line: yaml::line(text),
                text: text.value.clone(),
                from: From::File,
            }),
            None => self.variable(From::Variable, "OTEL_METRIC_EXPORT_INTERVAL".into()),
        };
        given
            .and_then(|given| self.duration(&given, LEAST_INTERVAL))
            .unwrap_or(DEFAULT_INTERVAL)
    }

    /// The base endpoint gets the signal's path over HTTP; the signal's own is used as it is.
    fn receiver(&mut self, given: &Given, protocol: OtlpProtocol, signal: Signal) -> Option<Url> {
        let url = Url::parse(&given.text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let Some(mut url) = url else {
            self.wrong(
                given,
                "must be a URL with http:// or https://, such as http://collector:4318",
            );
            return None;
        };
        if !url.username().is_empty() || url.password().is_some() {
            self.wrong(
                given,
                "must not hold a user or password; send those as a header, from otlp.headers_file",
            );
            return None;
        }
        if url.query().is_some() || url.fragment().is_some() {
            self.wrong(given, "must not have a query or fragment");
            return None;
        }
        match protocol {
            OtlpProtocol::Grpc if url.path() != "/" => {
                self.wrong(given, "must not have a path, because the protocol is grpc");
                return None;
            }
            OtlpProtocol::HttpProtobuf if given.from != From::SignalVariable => {
                let path = format!("{}{}", url.path().trim_end_matches('/'), signal.path());
                url.set_path(&path);
            }
            _ => {}
        }
        Some(url)
    }

    /// One `name: value` a line, as `curl -H @file` reads them; `#` begins a comment.
    fn headers_file(&mut self, file: &Spanned<PathBuf>) -> Vec<(HeaderName, Secret)> {
        let path = self.folder.join(&file.value);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                let rule = format!(
                    "otlp.headers_file {} cannot be read: {error}",
                    file.value.display()
                );
                self.problem(yaml::line(file), rule);
                return Vec::new();
            }
        };
        let mut headers = Vec::new();
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let header = line
                .split_once(':')
                .ok_or("must be a header such as Authorization: Bearer …")
                .and_then(|(name, value)| header(name, value));
            match header {
                Ok(header) => headers.push(header),
                Err(rule) => self.add(Problem::new(&path, Some(number), rule)),
            }
        }
        headers
    }

    /// `name=value,name=value`, the values percent-encoded.
    fn headers(&mut self, given: &Given) -> Vec<(HeaderName, Secret)> {
        let headers = pairs(&given.text).and_then(|pairs| {
            pairs
                .iter()
                .map(|(name, value)| header(name, value))
                .collect()
        });
        headers.unwrap_or_else(|rule| {
            self.wrong(given, rule);
            Vec::new()
        })
    }

    /// `OTEL_SERVICE_NAME` wins over the list's.
    fn resource(&mut self) -> Vec<(String, String)> {
        let listed = self.variable(From::Variable, "OTEL_RESOURCE_ATTRIBUTES".into());
        let mut resource = listed.map_or_else(Vec::new, |given| {
            pairs(&given.text).unwrap_or_else(|rule| {
                self.wrong(&given, rule);
                Vec::new()
            })
        });
        if let Some(name) = self.variable(From::Variable, "OTEL_SERVICE_NAME".into()) {
            resource.retain(|(key, _)| key != "service.name");
            resource.push(("service.name".into(), name.text));
        }
        resource
    }
}

/// A list as the environment has it. Of a name that comes twice the later one holds.
fn pairs(text: &str) -> Result<Vec<(String, String)>, &'static str> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for item in text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
    {
        let (name, value) = item
            .split_once('=')
            .ok_or("must be a list such as name=value,name=value")?;
        let decode = |text: &str| {
            let decoded = percent_decode_str(text.trim()).decode_utf8();
            decoded
                .map(|text| text.into_owned())
                .map_err(|_| "must be UTF-8 where it is percent-encoded")
        };
        let (name, value) = (decode(name)?, decode(value)?);
        if name.is_empty() {
            return Err("must not have an empty name");
        }
        pairs.retain(|(other, _)| *other != name);
        pairs.push((name, value));
    }
    Ok(pairs)
}

fn header(name: &str, value: &str) -> Result<(HeaderName, Secret), &'static str> {
    let name: HeaderName = name
        .trim()
        .parse()
        .map_err(|_| "must have header names of letters, digits and hyphens")?;
    if OWN_HEADERS.contains(&name.as_str()) {
        return Err("must not set a header that the exporter or the connection sets");
    }
    if name.as_str().ends_with("-bin") {
        return Err("must not set a -bin header, which gRPC keeps for binary values");
    }
    // What a gRPC header may hold; HTTP takes that as well.
    if HeaderValue::from_str(value.trim()).is_err() || !value.is_ascii() {
        return Err("must have header values of printable ASCII characters");
    }
    Ok((name, Secret::new(value.trim())))
}
