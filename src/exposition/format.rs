//! The formats and content codings that a page can have.

use crate::series::{FamilyHeader, SeriesList};

use super::{openmetrics, protobuf, text};

/// How families become bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4.
    #[default]
    Text,
    /// OpenMetrics text 1.0.0.
    OpenMetrics,
    /// Length-delimited messages of `io.prometheus.client.MetricFamily`.
    Protobuf,
}

/// What is done to those bytes before they are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coding {
    #[default]
    Identity,
    Gzip,
}

/// One of the ways in which a page is kept ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Media {
    pub format: Format,
    pub coding: Coding,
}

impl Format {
    pub const ALL: [Self; 3] = [Self::Text, Self::OpenMetrics, Self::Protobuf];

    /// The `format` label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::OpenMetrics => "openmetrics",
            Self::Protobuf => "protobuf",
        }
    }

    /// Appends what a page says of a family once.
    pub fn encode_header(self, header: &FamilyHeader, out: &mut Vec<u8>) {
        match self {
            Self::Text => text::encode_header(header, out),
            Self::OpenMetrics => openmetrics::encode_header(header, out),
            Self::Protobuf => protobuf::encode_header(header, out),
        }
    }

    /// Appends the series of a family, in their order.
    pub fn encode_series(self, header: &FamilyHeader, series: &SeriesList, out: &mut Vec<u8>) {
        match self {
            Self::Text => text::encode_series(header, series, out),
            Self::OpenMetrics => openmetrics::encode_series(header, series, out),
            Self::Protobuf => protobuf::encode_series(header, series, out),
        }
    }

    /// What stands before a family of so many bytes, header included.
    pub(super) fn family_prefix(self, bytes: u64) -> Vec<u8> {
        match self {
            Self::Text | Self::OpenMetrics => Vec::new(),
            Self::Protobuf => protobuf::length_delimiter(bytes),
        }
    }

    /// What ends a page.
    pub(super) fn end(self) -> &'static [u8] {
        match self {
            Self::OpenMetrics => openmetrics::END,
            Self::Text | Self::Protobuf => b"",
        }
    }
}

impl Coding {
    pub const ALL: [Self; 2] = [Self::Identity, Self::Gzip];

    /// The coding's name in HTTP.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
        }
    }
}
