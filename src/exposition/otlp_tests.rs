use std::sync::Arc;

use super::*;

fn header(name: &str, kind: MetricType) -> FamilyHeader {
    FamilyHeader {
        name: name.parse().unwrap(),
        kind,
        help: "What it is.".into(),
    }
}

fn labels(names: &[&str]) -> Arc<[crate::series::LabelName]> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

#[test]
fn a_gauge_and_a_counter_as_the_protocol_has_them() {
    let gauge = header("vminsights_disk_free_percent", MetricType::Gauge);
    let mut disks = SeriesList::new(labels(&["vm", "disk"]));
    disks.push(["web-1", ""], 12.5);
    let counter = header("vminsights_threat_sent_bytes_total", MetricType::Counter);
    let mut sent = SeriesList::new(labels(&["vm"]));
    sent.push_counter(["web-1"], 7.0, at(50));
    sent.push_counter(["web-2"], f64::NAN, at(150));
    let published = [
        Published {
            header: &gauge,
            series: &disks,
            at: at(100),
        },
        Published {
            header: &counter,
            series: &sent,
            at: at(101),
        },
    ];
    let resource = resource("host-1:10048", &[]);
    let batch = batch(&resource, published.into_iter(), 0, MAX_REQUEST_BYTES).unwrap();
    assert_eq!(batch.points, 3);
    let whole = &batch.request.resource_metrics[0];
    assert_eq!(whole.schema_url, SCHEMA_URL);
    let scope = &whole.scope_metrics[0];
    assert_eq!(scope.schema_url, SCHEMA_URL);
    let by = scope.scope.as_ref().unwrap();
    assert_eq!(
        (by.name.as_str(), by.version.as_str()),
        ("vminsights-exporter", env!("CARGO_PKG_VERSION"))
    );
    let [disk, threat] = &scope.metrics[..] else {
        panic!("{:?}", scope.metrics)
    };
    assert_eq!(
        (disk.name.as_str(), disk.unit.as_str(), &*disk.description),
        ("vminsights_disk_free_percent", "%", "What it is.")
    );
    let Some(Data::Gauge(points)) = &disk.data else {
        panic!("{disk:?}")
    };
    let point = &points.data_points[0];
    assert_eq!(
        point.attributes,
        [attribute("vm", "web-1")],
        "an empty label is not sent"
    );
    assert_eq!(
        (point.start_time_unix_nano, point.time_unix_nano),
        (0, 100_000_000_000)
    );
    assert_eq!(point.value, Some(number_data_point::Value::AsDouble(12.5)));

    assert_eq!(threat.unit, "By");
    let Some(Data::Sum(sum)) = &threat.data else {
        panic!("{threat:?}")
    };
    assert!(sum.is_monotonic);
    assert_eq!(
        sum.aggregation_temporality(),
        AggregationTemporality::Cumulative
    );
    let times: Vec<_> = sum
        .data_points
        .iter()
        .map(|point| (point.start_time_unix_nano, point.time_unix_nano))
        .collect();
    assert_eq!(
        times,
        [
            (50_000_000_000, 101_000_000_000),
            (101_000_000_000, 101_000_000_000)
        ],
        "no start after its point"
    );
}

#[test]
fn units_are_those_that_change_no_name() {
    for (name, code) in [
        ("x_bytes", "By"),
        ("x_received_bytes_total", "By"),
        ("x_timestamp_seconds", "s"),
        ("process_cpu_seconds_total", "s"),
        ("x_percent", "%"),
        ("x_bytes_per_second", ""),
        ("x_connections", ""),
        ("x_records_total", ""),
        ("x_ratio", ""),
    ] {
        assert_eq!(unit(name), code, "{name}");
    }
}

#[test]
fn a_resource_says_who_sends_and_can_be_told_otherwise() {
    let attributes = |overrides: &[(&str, &str)]| -> Vec<(String, String)> {
        let overrides: Vec<_> = overrides
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let text = |value: AnyValue| match value.value {
            Some(Value::StringValue(text)) => text,
            other => panic!("{other:?}"),
        };
        resource("host-1:10048", &overrides)
            .attributes
            .into_iter()
            .map(|pair| (pair.key, text(pair.value.unwrap())))
            .collect()
    };
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    assert_eq!(
        attributes(&[]),
        pairs(&[
            ("service.name", "vminsights-exporter"),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", "host-1:10048"),
        ])
    );
    assert_eq!(
        attributes(&[("service.name", "mine"), ("cloud.platform", "azure.aks")]),
        pairs(&[
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", "host-1:10048"),
            ("service.name", "mine"),
            ("cloud.platform", "azure.aks"),
        ])
    );
}

/// Splits, however small the limit, into requests that keep it, lose nothing and repeat nothing.
#[test]
fn batches_keep_their_limit_and_hold_each_point_once() {
    let names = labels(&["vm"]);
    let first = header("a", MetricType::Gauge);
    let second = header("b", MetricType::Gauge);
    let list = |from: usize, to: usize| {
        let mut list = SeriesList::new(names.clone());
        for number in from..to {
            list.push([format!("vm-{number}").as_str()], number as f64);
        }
        list
    };
    let lists = [list(0, 300), list(300, 300), list(300, 500), list(500, 900)];
    let published = || {
        lists.iter().enumerate().map(|(index, series)| Published {
            header: if index < 3 { &first } else { &second },
            series,
            at: at(1),
        })
    };
    let resource = resource("i", &[]);
    for limit in [1, 2_000, 20_000, MAX_REQUEST_BYTES] {
        let mut seen = Vec::new();
        let mut requests = 0;
        while let Some(batch) = batch(&resource, published(), seen.len(), limit) {
            let bytes = batch.request.encoded_len();
            assert!(
                bytes <= limit || batch.points == 1,
                "{bytes} bytes, {limit} allowed"
            );
            let metrics = &batch.request.resource_metrics[0].scope_metrics[0].metrics;
            let before = seen.len();
            for metric in metrics {
                let Some(Data::Gauge(gauge)) = &metric.data else {
                    panic!("{metric:?}")
                };
                seen.extend(gauge.data_points.iter().map(|point| match point.value {
                    Some(number_data_point::Value::AsDouble(value)) => value,
                    _ => panic!("{point:?}"),
                }));
            }
            assert_eq!(seen.len() - before, batch.points);
            requests += 1;
        }
        assert_eq!(seen, (0..900).map(f64::from).collect::<Vec<_>>());
        if limit == MAX_REQUEST_BYTES {
            assert_eq!(requests, 1);
        }
        if limit == 1 {
            assert_eq!(requests, 900);
        }
    }
}
