//! One family of many series, in our form and in the libraries'.
#![allow(dead_code, reason = "each bench uses its part")]

use prometheus::core::Collector;
use prometheus_client::metrics::family::Family as ClientFamily;
use prometheus_client::metrics::gauge::Gauge as ClientGauge;
use std::sync::atomic::AtomicU64;
use vminsights_exporter::series::{Family, FamilyHeader, MetricType, SeriesList};

pub const SERIES: usize = 100_000;
pub const LABELS: [&str; 4] = ["workspace", "vm", "resource_id", "disk"];
const NAME: &str = "vminsights_disk_free_percent";
const HELP: &str = "Free space of the disk.";

/// The labels and the value of one series; about 200 bytes of text.
pub fn series(index: usize, salt: usize) -> ([String; 4], f64) {
    let vm = index / 4;
    let labels = [
        "production-westeurope".to_owned(),
        format!("web-{vm:06}"),
        format!(
            "/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/rg-{salt}/vm/web-{vm:06}"
        ),
        format!("/srv/{}", index % 4),
    ];
    (
        labels,
        100.0 * ((index * 7919 + salt) % 100_003) as f64 / 100_003.0,
    )
}

pub fn named_family(name: &str, count: usize, salt: usize) -> Family {
    let mut list = SeriesList::new(LABELS.iter().map(|label| label.parse().unwrap()).collect());
    for index in 0..count {
        let (labels, value) = series(index, salt);
        list.push(labels.iter().map(String::as_str), value);
    }
    Family {
        header: FamilyHeader {
            name: name.parse().unwrap(),
            kind: MetricType::Gauge,
            help: HELP.into(),
        },
        series: list,
    }
}

pub fn family(count: usize, salt: usize) -> Family {
    named_family(NAME, count, salt)
}

pub fn proto_families(count: usize) -> Vec<prometheus::proto::MetricFamily> {
    let gauge = prometheus::GaugeVec::new(prometheus::Opts::new(NAME, HELP), &LABELS).unwrap();
    for index in 0..count {
        let (labels, value) = series(index, 0);
        let labels = labels.each_ref().map(String::as_str);
        gauge.with_label_values(&labels).set(value);
    }
    gauge.collect()
}

pub fn client_registry(count: usize) -> prometheus_client::registry::Registry {
    type Labels = Vec<(&'static str, String)>;
    let family = ClientFamily::<Labels, ClientGauge<f64, AtomicU64>>::default();
    for index in 0..count {
        let (labels, value) = series(index, 0);
        let labels: Labels = LABELS.into_iter().zip(labels).collect();
        family.get_or_create(&labels).set(value);
    }
    let mut registry = prometheus_client::registry::Registry::default();
    registry.register(NAME, HELP, family);
    registry
}
