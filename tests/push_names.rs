//! Every family that there is, pushed, has the scrape page's name at every kind of receiver; and
//! what a thousand VMs weigh in one resource and in a resource each.

#[path = "push/translation.rs"]
mod translation;

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use vminsights_exporter::catalogue::{Catalogue, packs};
use vminsights_exporter::config::{Located, Settings};
use vminsights_exporter::exposition::{families_of, otlp};
use vminsights_exporter::series::{Family, FamilyHeader, LabelName, MetricType, SeriesList};
use vminsights_exporter::snapshot::POLL_FAMILIES;
use vminsights_exporter::telemetry::{PushMetrics, SelfMetrics};

use translation::{Kind, Metric, Strategy, label_name, metric_name};

fn family(name: &str, kind: MetricType, help: &str, labels: &[&str]) -> Family {
    let names: Arc<[LabelName]> = labels.iter().map(|label| label.parse().unwrap()).collect();
    let mut series = SeriesList::new(names);
    let values = labels.iter().map(|_| "x");
    match kind {
        MetricType::Gauge => series.push(values, 1.0),
        MetricType::Counter => series.push_counter(values, 1.0, Timestamp::UNIX_EPOCH),
    }
    Family {
        header: FamilyHeader {
            name: name.parse().unwrap(),
            kind,
            help: help.into(),
        },
        series,
    }
}

/// All packs, what each poll says of itself, and what the process does.
fn all_families() -> Vec<Family> {
    let text = "workspaces: [{id: 5f6d2b1c-0000-4000-8000-000000000001}]";
    let file = Path::new("exporter.yaml");
    let mut settings = Settings::from_yaml(file, text).unwrap();
    settings.packs = packs::names()
        .into_iter()
        .map(|name| Located::new(name.into(), None))
        .collect();
    let catalogue = Catalogue::load(&settings, file).unwrap();
    let mut families = Vec::new();
    for query in &catalogue.queries {
        let labels: Vec<&str> = std::iter::once("workspace")
            .chain(query.mapping.labels.iter().map(|l| l.label.as_str()))
            .collect();
        for metric in &query.mapping.metrics {
            families.push(family(
                metric.name.as_str(),
                metric.kind,
                &metric.help,
                &labels,
            ));
        }
    }
    for own in &POLL_FAMILIES {
        let labels: Vec<&str> = ["query", "workspace"]
            .into_iter()
            .chain(own.label)
            .collect();
        families.push(family(own.name, own.kind, own.help, &labels));
    }
    let metrics = SelfMetrics::new().unwrap();
    metrics.count_http_request("metrics", 200);
    let _push = PushMetrics::new(&metrics).unwrap();
    families.extend(families_of(&metrics.gather(), Timestamp::UNIX_EPOCH));
    families
}

fn request(families: &[Family], resource: &[(String, String)]) -> ExportMetricsServiceRequest {
    let published = families.iter().map(|family| otlp::Published {
        header: &family.header,
        series: &family.series,
        at: Timestamp::UNIX_EPOCH,
    });
    let resource = otlp::resource("host-1:10048", resource);
    otlp::batch(&resource, published, 0, usize::MAX)
        .unwrap()
        .request
}

#[test]
fn every_family_has_the_pages_name_whatever_the_receivers_rules() {
    let families = all_families();
    let request = request(&families, &[]);
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    assert_eq!(metrics.len(), families.len());
    assert!(metrics.len() > 50, "{}", metrics.len());
    let mut units = std::collections::BTreeSet::new();
    for (family, metric) in families.iter().zip(metrics) {
        let (kind, points) = match metric.data.as_ref().unwrap() {
            Data::Gauge(gauge) => (Kind::Gauge, &gauge.data_points),
            Data::Sum(sum) => {
                assert!(sum.is_monotonic, "{}", metric.name);
                (Kind::MonotonicSum, &sum.data_points)
            }
            other => panic!("{other:?}"),
        };
        units.insert(metric.unit.as_str());
        let sent = Metric {
            name: &metric.name,
            unit: &metric.unit,
            kind,
        };
        for strategy in Strategy::ALL {
            let page = family.header.name.as_str();
            assert_eq!(metric_name(sent, strategy), page, "{sent:?} {strategy:?}");
            for attribute in &points[0].attributes {
                assert_eq!(label_name(&attribute.key, strategy), attribute.key);
            }
        }
    }
    assert_eq!(Vec::from_iter(units), ["", "%", "By", "s"]);
}

/// The rules do change names: these are the ways that were not taken.
#[test]
fn other_units_would_change_names() {
    let default = Strategy::UnderscoreEscapingWithSuffixes;
    for (name, unit, kind, stored) in [
        (
            "x_bytes_per_second",
            "By/s",
            Kind::Gauge,
            "x_bytes_per_second_per_second",
        ),
        ("x_connections", "1", Kind::Gauge, "x_connections_ratio"),
        ("x", "By", Kind::Gauge, "x_bytes"),
        ("x", "By", Kind::MonotonicSum, "x_bytes_total"),
        ("x", "{record}", Kind::MonotonicSum, "x_total"),
        ("x", "{request}/s", Kind::Gauge, "x_per_second"),
        ("x__y", "", Kind::Gauge, "x_y"),
        ("vm.disk-free", "%", Kind::Gauge, "vm_disk_free_percent"),
    ] {
        assert_eq!(metric_name(Metric { name, unit, kind }, default), stored);
    }
    assert_eq!(label_name("_x", default), "key_x");
    assert_eq!(label_name("9x", default), "key_9x");
    assert_eq!(label_name("host.name", default), "host_name");
}

/// `cargo test --test push_names -- --ignored --nocapture` prints the figures of docs/otlp.md.
#[test]
#[ignore = "prints figures, decides nothing"]
fn sizes_for_a_thousand_vms() {
    use flate2::{Compression, write::GzEncoder};
    use prost::Message;
    use std::io::Write;

    let id = |vm: usize| {
        let guid = (vm as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        format!(
            "/subscriptions/{:08x}-0000-4000-8000-000000000001/resourcegroups/rg-{}/providers/microsoft.compute/virtualmachines/vm-{guid:x}",
            vm % 4,
            vm % 20
        )
    };
    // What the pack `vm` has of a VM with four disks and one network card.
    let disk = [
        "free_percent",
        "free_bytes",
        "size_bytes",
        "up",
        "reads",
        "writes",
        "latency_seconds",
    ];
    let plain = [
        "cpu_percent",
        "cpus",
        "memory_bytes",
        "size_bytes",
        "receive",
        "transmit",
        "heartbeat",
    ];
    let families = |vms: std::ops::Range<usize>| -> Vec<Family> {
        let names = |labels: &[&str]| -> Arc<[LabelName]> {
            labels.iter().map(|label| label.parse().unwrap()).collect()
        };
        let mut all = Vec::new();
        for (list, disks) in [(disk, 4), (plain, 1)] {
            for name in list {
                let labels: &[&str] = match disks {
                    4 => &["workspace", "vm", "resource_id", "disk"],
                    _ => &["workspace", "vm", "resource_id"],
                };
                let mut family = family(
                    &format!("vminsights_{disks}_{name}"),
                    MetricType::Gauge,
                    "Help of some length, with where it comes from.",
                    &[],
                );
                family.series = SeriesList::new(names(labels));
                for vm in vms.clone() {
                    for disk in 0..disks {
                        let (host, id) = (format!("vm-{vm}.example.com"), id(vm));
                        let disk = format!("/mnt/{disk}");
                        let value = (vm * 7 + name.len()) as f64 * 1.37;
                        family.series.push(["prod", &host, &id, &disk], value);
                    }
                }
                all.push(family);
            }
        }
        all
    };
    let report = |what: &str, request: &ExportMetricsServiceRequest| {
        let bytes = request.encode_to_vec();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&bytes).unwrap();
        let packed = gzip.finish().unwrap().len();
        println!("{what}: {} bytes, {packed} gzipped", bytes.len());
    };
    report(
        "one resource, attributes on points",
        &request(&families(0..1000), &[]),
    );
    for bare in [false, true] {
        let mut resources = ExportMetricsServiceRequest::default();
        for vm in 0..1000 {
            let attributes = [
                ("host.name".to_owned(), format!("vm-{vm}.example.com")),
                ("cloud.resource_id".to_owned(), id(vm)),
            ];
            let mut one = request(&families(vm..vm + 1), &attributes);
            if bare {
                for metric in &mut one.resource_metrics[0].scope_metrics[0].metrics {
                    if let Some(Data::Gauge(gauge)) = &mut metric.data {
                        for point in &mut gauge.data_points {
                            point
                                .attributes
                                .retain(|a| a.key != "vm" && a.key != "resource_id");
                        }
                    }
                }
            }
            resources.resource_metrics.extend(one.resource_metrics);
        }
        let what = if bare {
            "without vm and resource_id on points"
        } else {
            "with vm and resource_id on points"
        };
        report(&format!("a resource a VM, {what}"), &resources);
    }
}
