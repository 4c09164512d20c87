//! Where OpenTelemetry data goes, as meant.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderName;

use super::Secret;

/// What is sent over OTLP. Without an endpoint there is none of this.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpSettings {
    pub metrics: Option<OtlpMetrics>,
    pub traces: Option<OtlpTraces>,
    /// Resource attributes from the environment; they add to the exporter's own or replace them.
    pub resource: Vec<(String, String)>,
}

/// The push of what the scrape page has.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpMetrics {
    pub connection: OtlpConnection,
    /// 1 s or more.
    pub interval: Duration,
}

/// The exporter's own traces.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpTraces {
    pub connection: OtlpConnection,
    /// The share of traces that are kept: above 0, at most 1.
    pub ratio: f64,
}

/// How one signal reaches its receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpConnection {
    /// `http` or `https`, without user, query or fragment. For HTTP the signal's whole address, for
    /// gRPC without a path.
    pub endpoint: Url,
    pub protocol: OtlpProtocol,
    pub compression: OtlpCompression,
    /// Of one request.
    pub timeout: Duration,
    pub headers: Vec<(HeaderName, Secret)>,
    /// One more trust root (PEM), beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// What there is to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Metrics,
    Traces,
}

impl Signal {
    /// As the environment variables have it.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Metrics => "METRICS",
            Self::Traces => "TRACES",
        }
    }

    /// What follows the base endpoint over HTTP.
    pub fn path(self) -> &'static str {
        match self {
            Self::Metrics => "/v1/metrics",
            Self::Traces => "/v1/traces",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpProtocol {
    HttpProtobuf,
    Grpc,
}

impl FromStr for OtlpProtocol {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "http/protobuf" => Ok(Self::HttpProtobuf),
            "grpc" => Ok(Self::Grpc),
            _ => Err("must be http/protobuf or grpc"),
        }
    }
}

impl fmt::Display for OtlpProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HttpProtobuf => "http/protobuf",
            Self::Grpc => "grpc",
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpCompression {
    Gzip,
    None,
}

impl FromStr for OtlpCompression {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "gzip" => Ok(Self::Gzip),
            "none" => Ok(Self::None),
            _ => Err("must be gzip or none"),
        }
    }
}
