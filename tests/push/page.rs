//! Series as both doors show them: name and labels to value.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{NumberDataPoint, number_data_point};

pub type SeriesMap = BTreeMap<(String, BTreeMap<String, String>), f64>;

/// The series of a page in text format 0.0.4, read by its description.
pub fn of_text(page: &str) -> SeriesMap {
    let mut series = SeriesMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(['{', ' ']).unwrap();
        let (name, mut rest) = line.split_at(end);
        let mut labels = BTreeMap::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            while !rest.starts_with('}') {
                let (label, after) = rest.split_once("=\"").unwrap();
                let mut value = String::new();
                let mut chars = after.char_indices();
                let end = loop {
                    match chars.next().unwrap() {
                        (at, '"') => break at,
                        (_, '\\') => value.push(match chars.next().unwrap().1 {
                            'n' => '\n',
                            c => c,
                        }),
                        (_, c) => value.push(c),
                    }
                };
                rest = after[end + 1..].trim_start_matches(',');
                // To Prometheus an empty label is one that is not there.
                if !value.is_empty() {
                    labels.insert(label.to_owned(), value);
                }
            }
            rest = &rest[1..];
        }
        let value = rest.trim().parse().unwrap();
        let before = series.insert((name.to_owned(), labels), value);
        assert_eq!(before, None, "twice: {line}");
    }
    series
}

/// The series of pushed requests, each metric's name as it stands.
pub fn of_requests<'a>(
    requests: impl IntoIterator<Item = &'a ExportMetricsServiceRequest>,
) -> SeriesMap {
    let mut series = SeriesMap::new();
    for (name, point) in requests.into_iter().flat_map(points) {
        let labels = point.attributes.iter().map(pair).collect();
        let Some(number_data_point::Value::AsDouble(value)) = point.value else {
            panic!("{point:?}")
        };
        let before = series.insert((name.to_owned(), labels), value);
        assert_eq!(before, None, "twice: {name} {point:?}");
    }
    series
}

pub fn points(request: &ExportMetricsServiceRequest) -> Vec<(&str, &NumberDataPoint)> {
    let metrics = request
        .resource_metrics
        .iter()
        .flat_map(|resource| &resource.scope_metrics)
        .flat_map(|scope| &scope.metrics);
    metrics
        .flat_map(|metric| {
            let points = match &metric.data {
                Some(Data::Gauge(gauge)) => &gauge.data_points,
                Some(Data::Sum(sum)) => &sum.data_points,
                other => panic!("{other:?}"),
            };
            points.iter().map(|point| (metric.name.as_str(), point))
        })
        .collect()
}

pub fn pair(attribute: &KeyValue) -> (String, String) {
    match attribute
        .value
        .as_ref()
        .and_then(|value| value.value.as_ref())
    {
        Some(any_value::Value::StringValue(text)) => (attribute.key.clone(), text.clone()),
        other => panic!("{other:?}"),
    }
}
