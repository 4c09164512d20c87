//! OpenTelemetry's protocol (OTLP): families → export requests.
//!
//! **Names and units.** A metric's name is the page's, suffixes and all, and its unit is the UCUM
//! code of that suffix (`_bytes` is `By`, `_seconds` `s`, `_percent` `%`). Receivers that append units
//! and `_total` find both there already, receivers that append nothing have the page's names anyway,
//! and everyone else reads the unit as OpenTelemetry writes it. The other way, names without suffix
//! and a unit to make it of, would be right for the first kind only. Two kinds of unit are left out
//! because receivers would change the name: `1` on a gauge, which becomes `_ratio`, and rates
//! (`By/s`), whose `_per_second` Prometheus compares word by word and appends again.
//!
//! **One resource.** All points stand under the exporter's own resource, with `vm` and `resource_id`
//! as attributes of each point. For a thousand VMs with 35 points each that is 8.7 MB, 0.51 MB gzipped;
//! a resource a VM that keeps those two attributes on its points 10.3 MB, 0.24 MB gzipped; one that does
//! not 3.2 MB, 0.17 MB gzipped (`sizes_for_a_thousand_vms` measures it). Size speaks for the last, the
//! series against it: of a resource Prometheus' receiver puts only `job` and `instance` on series, so
//! without the two attributes the VMs' points would fall together; and with a resource a VM, a thousand
//! `target_info` series of one `job` and `instance` would make each join with them ambiguous. Whoever
//! wants a resource a VM has a collector regroup the points (docs/otlp.md).
//!
//! **Absent is absent.** An empty label is one that is not there, to Prometheus; it is not sent.

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use crate::series::{FamilyHeader, MetricType, Series, SeriesList};

/// Whose names the resource's attributes have.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.42.0";

/// The `service.name` of an exporter that is not told another.
pub const SERVICE_NAME: &str = env!("CARGO_PKG_NAME");

/// Receivers refuse messages of more than 4 MiB unless told otherwise.
pub const MAX_REQUEST_BYTES: usize = 4 << 20;

/// Series of one family, and when their values became known.
#[derive(Clone, Copy, Debug)]
pub struct Published<'a> {
    pub header: &'a FamilyHeader,
    pub series: &'a SeriesList,
    pub at: Timestamp,
}

/// A request, and how many data points it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    pub request: ExportMetricsServiceRequest,
    pub points: usize,
}

/// What sends, by OpenTelemetry's semantic conventions: this exporter, of this `instance` (unique among
/// those that push to one receiver). `overrides` add attributes or replace those that it would have.
///
/// Where the exporter runs it does not know, so there is no `cloud.provider` or `cloud.platform`: they
/// would speak of the producer, not of the machines that the points tell of.
pub fn attributes(instance: &str, overrides: &[(String, String)]) -> Vec<(String, String)> {
    let own = [
        ("service.name", SERVICE_NAME),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("service.instance.id", instance),
    ];
    let own = own
        .into_iter()
        .filter(|(key, _)| overrides.iter().all(|(other, _)| other != key))
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    own.chain(overrides.iter().cloned()).collect()
}

/// The same as a message.
pub fn resource(instance: &str, overrides: &[(String, String)]) -> Resource {
    let attributes = attributes(instance, overrides);
    Resource {
        attributes: attributes
            .iter()
            .map(|(key, value)| attribute(key, value))
            .collect(),
        ..Resource::default()
    }
}

/// The request that follows after `done` points have gone out: as many of the next as fit in `limit`
/// bytes encoded, but at least one. `None` when there are no more.
///
/// Families come by name; all series of one name stand in one metric, where they follow each other.
pub fn batch<'a>(
    resource: &Resource,
    published: impl Iterator<Item = Published<'a>>,
    done: usize,
    limit: usize,
) -> Option<Batch> {
    let series = published.flat_map(|one| one.series.iter().map(move |series| (one, series)));
    let mut metrics: Vec<Metric> = Vec::new();
    let mut points = 0;
    let mut size = ENVELOPE_BYTES + resource.encoded_len();
    for (one, series) in series.skip(done) {
        let point = point(one, series);
        let name = one.header.name.as_str();
        let begins = metrics.last().is_none_or(|metric| metric.name != name);
        let metric = begins.then(|| metric(one.header));
        size += point.encoded_len() + FIELD_BYTES;
        size += metric.as_ref().map_or(0, Message::encoded_len) + FIELD_BYTES;
        if points > 0 && size > limit {
            break;
        }
        metrics.extend(metric);
        match metrics.last_mut().and_then(|metric| metric.data.as_mut()) {
            Some(Data::Gauge(gauge)) => gauge.data_points.push(point),
            Some(Data::Sum(sum)) => sum.data_points.push(point),
            _ => {}
        }
        points += 1;
    }
    (points > 0).then(|| Batch {
        request: request(resource, metrics),
        points,
    })
}

/// At most this come before a message within another: its tag and its length.
const FIELD_BYTES: usize = 6;
/// At most this is a request without its resource and metrics.
const ENVELOPE_BYTES: usize = 512;

fn request(resource: &Resource, metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource.clone()),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(InstrumentationScope {
                    name: env!("CARGO_PKG_NAME").into(),
                    version: env!("CARGO_PKG_VERSION").into(),
                    ..InstrumentationScope::default()
                }),
                metrics,
                schema_url: SCHEMA_URL.into(),
            }],
            schema_url: SCHEMA_URL.into(),
        }],
    }
}

/// A metric without points.
fn metric(header: &FamilyHeader) -> Metric {
    let data = match header.kind {
        MetricType::Gauge => Data::Gauge(Gauge::default()),
        MetricType::Counter => Data::Sum(Sum {
            data_points: Vec::new(),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        }),
    };
    Metric {
        name: header.name.as_str().into(),
        description: header.help.as_ref().into(),
        unit: unit(header.name.as_str()).into(),
        data: Some(data),
        ..Metric::default()
    }
}

/// The UCUM code of a name's suffix, where no receiver changes a name for it.
fn unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    let units = [("_bytes", "By"), ("_seconds", "s"), ("_percent", "%")];
    units
        .into_iter()
        .find_map(|(suffix, unit)| name.ends_with(suffix).then_some(unit))
        .unwrap_or_default()
}

fn point(published: Published<'_>, series: Series<'_>) -> NumberDataPoint {
    let names = published.series.names().iter();
    let labels = names.zip(series.label_values());
    // A start after the point would be refused; clocks can be set back.
    let began = series.began().map(|began| began.min(published.at));
    NumberDataPoint {
        attributes: labels
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| attribute(name.as_str(), value))
            .collect(),
        start_time_unix_nano: began.map_or(0, unix_nanoseconds),
        time_unix_nano: unix_nanoseconds(published.at),
        value: Some(number_data_point::Value::AsDouble(series.value())),
        ..NumberDataPoint::default()
    }
}

/// Zero, which the protocol reads as unknown, for what it cannot say.
fn unix_nanoseconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or_default()
}

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.into())),
        }),
        ..KeyValue::default()
    }
}

#[cfg(test)]
#[path = "otlp_tests.rs"]
mod tests;
