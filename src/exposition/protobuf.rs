//! Length-delimited `io.prometheus.client.MetricFamily` messages.
//!
//! The fields of a repeated message may stand anywhere in the one that holds them, so a family is put
//! together from parts: its header's fields, then each block's metrics. Only the length before it
//! needs all of them.

use prost::Message;
use prost::encoding::{encode_varint, encoded_len_varint};

use crate::series::{FamilyHeader, LabelName, MetricType, Series, SeriesList};

/// The format's media type.
pub const CONTENT_TYPE: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// The messages of `io.prometheus.client`, as far as gauges and counters go. The `prometheus` crate's
/// own lack `created_timestamp`. Metrics and their labels, of which there are hundreds of thousands, are
/// written field by field: prost would walk each message twice.
mod message {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct FamilyHeader {
        #[prost(string, optional, tag = "1")]
        pub name: Option<String>,
        #[prost(string, optional, tag = "2")]
        pub help: Option<String>,
        #[prost(enumeration = "MetricType", optional, tag = "3")]
        pub r#type: Option<i32>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
    #[repr(i32)]
    pub enum MetricType {
        Counter = 0,
        Gauge = 1,
    }

    /// `Gauge`, and `Counter` where it has a start time.
    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub struct Value {
        #[prost(double, optional, tag = "1")]
        pub value: Option<f64>,
        #[prost(message, optional, tag = "3")]
        pub created_timestamp: Option<Timestamp>,
    }

    /// `google.protobuf.Timestamp`.
    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub struct Timestamp {
        #[prost(int64, tag = "1")]
        pub seconds: i64,
        #[prost(int32, tag = "2")]
        pub nanos: i32,
    }
}

/// Keys of length-delimited fields: number, then wire type 2.
mod key {
    pub const FAMILY_METRIC: u8 = 4 << 3 | 2;
    pub const METRIC_LABEL: u8 = 1 << 3 | 2;
    pub const METRIC_GAUGE: u8 = 2 << 3 | 2;
    pub const METRIC_COUNTER: u8 = 3 << 3 | 2;
    pub const LABEL_NAME: u8 = 1 << 3 | 2;
    pub const LABEL_VALUE: u8 = 2 << 3 | 2;
}

/// Appends a family's fields but its metrics, without the length.
pub fn encode_header(header: &FamilyHeader, out: &mut Vec<u8>) {
    let kind = match header.kind {
        MetricType::Counter => message::MetricType::Counter,
        MetricType::Gauge => message::MetricType::Gauge,
    };
    let fields = message::FamilyHeader {
        name: Some(header.name.as_str().into()),
        help: Some(header.help.as_ref().into()),
        r#type: Some(kind.into()),
    };
    append(&fields, out);
}

/// Appends a family's metrics, without the length.
pub fn encode_series(header: &FamilyHeader, series: &SeriesList, out: &mut Vec<u8>) {
    let names: Vec<Vec<u8>> = series.names().iter().map(name_field).collect();
    let mut value = Vec::new();
    let mut labels = Vec::new();
    for one in series.iter() {
        value.clear();
        encode_value(header.kind, one, &mut value);
        labels.clear();
        for (name, text) in names.iter().zip(one.label_values()) {
            encode_label(name, text, &mut labels);
        }
        out.push(key::FAMILY_METRIC);
        encode_varint((labels.len() + value.len()) as u64, out);
        out.extend_from_slice(&labels);
        out.extend_from_slice(&value);
    }
}

/// The first field of each `LabelPair` with this name.
fn name_field(name: &LabelName) -> Vec<u8> {
    let mut field = Vec::new();
    encode_text(key::LABEL_NAME, name.as_str(), &mut field);
    field
}

/// A `Metric`'s field with a `LabelPair`.
fn encode_label(name: &[u8], value: &str, out: &mut Vec<u8>) {
    let pair = name.len() + 1 + encoded_len_varint(value.len() as u64) + value.len();
    out.push(key::METRIC_LABEL);
    encode_varint(pair as u64, out);
    out.extend_from_slice(name);
    encode_text(key::LABEL_VALUE, value, out);
}

fn encode_text(key: u8, text: &str, out: &mut Vec<u8>) {
    out.push(key);
    encode_varint(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

/// A `Metric`'s field with its `Gauge` or `Counter`.
fn encode_value(kind: MetricType, series: Series<'_>, out: &mut Vec<u8>) {
    let (key, began) = match kind {
        MetricType::Gauge => (key::METRIC_GAUGE, None),
        MetricType::Counter => (key::METRIC_COUNTER, series.began()),
    };
    let value = message::Value {
        value: Some(series.value()),
        created_timestamp: began.map(|began| message::Timestamp {
            seconds: began.as_second(),
            nanos: began.subsec_nanosecond(),
        }),
    };
    out.push(key);
    encode_varint(value.encoded_len() as u64, out);
    append(&value, out);
}

/// The length that stands before a family of so many bytes.
pub(super) fn length_delimiter(mut bytes: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while bytes >= 0x80 {
        out.push(bytes as u8 | 0x80);
        bytes >>= 7;
    }
    out.push(bytes as u8);
    out
}

fn append(message: &impl Message, out: &mut Vec<u8>) {
    // It fails only where a buffer cannot grow, and a Vec can.
    let written = message.encode(out);
    debug_assert!(written.is_ok());
}
