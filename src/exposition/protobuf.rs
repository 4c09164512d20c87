//! Length-delimited `io.prometheus.client.MetricFamily` messages.
//!
//! The fields of a repeated message may stand anywhere in the one that holds them, so a family is put
//! together from parts: its header's fields, then each block's metrics. Only the length before it
//! needs all of them.

use prost::Message;

use crate::series::{FamilyHeader, MetricType, SeriesList};

/// The format's media type.
pub const CONTENT_TYPE: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// The messages of `io.prometheus.client`, as far as gauges and counters go. The `prometheus` crate's
/// own lack `created_timestamp`.
mod message {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct MetricFamily {
        #[prost(string, optional, tag = "1")]
        pub name: Option<String>,
        #[prost(string, optional, tag = "2")]
        pub help: Option<String>,
        #[prost(enumeration = "MetricType", optional, tag = "3")]
        pub r#type: Option<i32>,
        #[prost(message, repeated, tag = "4")]
        pub metric: Vec<Metric>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
    #[repr(i32)]
    pub enum MetricType {
        Counter = 0,
        Gauge = 1,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Metric {
        #[prost(message, repeated, tag = "1")]
        pub label: Vec<LabelPair>,
        #[prost(message, optional, tag = "2")]
        pub gauge: Option<Gauge>,
        #[prost(message, optional, tag = "3")]
        pub counter: Option<Counter>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct LabelPair {
        #[prost(string, optional, tag = "1")]
        pub name: Option<String>,
        #[prost(string, optional, tag = "2")]
        pub value: Option<String>,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub struct Gauge {
        #[prost(double, optional, tag = "1")]
        pub value: Option<f64>,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub struct Counter {
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

use message::{Counter, Gauge, LabelPair, Metric, MetricFamily, Timestamp};

/// Appends a family's fields but its metrics, without the length.
pub fn encode_header(header: &FamilyHeader, out: &mut Vec<u8>) {
    let kind = match header.kind {
        MetricType::Counter => message::MetricType::Counter,
        MetricType::Gauge => message::MetricType::Gauge,
    };
    let family = MetricFamily {
        name: Some(header.name.as_str().into()),
        help: Some(header.help.as_ref().into()),
        r#type: Some(kind.into()),
        metric: Vec::new(),
    };
    append(&family, out);
}

/// Appends a family's metrics, without the length.
pub fn encode_series(header: &FamilyHeader, series: &SeriesList, out: &mut Vec<u8>) {
    let label = |name: &str| LabelPair {
        name: Some(name.into()),
        value: Some(String::new()),
    };
    // A family that has nothing but one metric is the bytes of that metric's field. It is filled anew
    // for each series, so that its strings are allocated once.
    let mut family = MetricFamily {
        metric: vec![Metric {
            label: series
                .names()
                .iter()
                .map(|name| label(name.as_str()))
                .collect(),
            ..Metric::default()
        }],
        ..MetricFamily::default()
    };
    for one in series.iter() {
        for metric in &mut family.metric {
            for (pair, text) in metric.label.iter_mut().zip(one.label_values()) {
                let value = pair.value.get_or_insert_default();
                value.clear();
                value.push_str(text);
            }
            match header.kind {
                MetricType::Gauge => {
                    metric.gauge = Some(Gauge {
                        value: Some(one.value()),
                    });
                }
                MetricType::Counter => {
                    metric.counter = Some(Counter {
                        value: Some(one.value()),
                        created_timestamp: one.began().map(|began| Timestamp {
                            seconds: began.as_second(),
                            nanos: began.subsec_nanosecond(),
                        }),
                    });
                }
            }
        }
        append(&family, out);
    }
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

fn append(family: &MetricFamily, out: &mut Vec<u8>) {
    // It fails only where a buffer cannot grow, and a Vec can.
    let written = family.encode(out);
    debug_assert!(written.is_ok());
}
