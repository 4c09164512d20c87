//! The `prometheus` crate's families as ours, so that the exporter's own metrics pass through the
//! same encoders as the workspace's.

use std::sync::Arc;

use jiff::Timestamp;
use prometheus::proto;

use crate::series::{Family, FamilyHeader, LabelName, MetricType, SeriesList};

/// Turns gathered counters and gauges into families. Other types, and names that Prometheus would
/// refuse, are left out: the registry's own metrics have neither. Its counters have counted since `began`.
pub fn families_of(gathered: &[proto::MetricFamily], began: Timestamp) -> Vec<Family> {
    let families = gathered.iter();
    families
        .filter_map(|family| family_of(family, began))
        .collect()
}

fn family_of(gathered: &proto::MetricFamily, began: Timestamp) -> Option<Family> {
    let kind = match gathered.get_field_type() {
        proto::MetricType::COUNTER => MetricType::Counter,
        proto::MetricType::GAUGE => MetricType::Gauge,
        _ => return None,
    };
    let names: Arc<[LabelName]> = gathered
        .get_metric()
        .first()?
        .get_label()
        .iter()
        .map(|label| label.name().parse().ok())
        .collect::<Option<_>>()?;
    let mut series = SeriesList::new(names);
    for metric in gathered.get_metric() {
        let labels = metric.get_label().iter().map(|label| label.value());
        match kind {
            MetricType::Counter => {
                series.push_counter(labels, metric.get_counter().get_value(), began);
            }
            MetricType::Gauge => series.push(labels, metric.get_gauge().get_value()),
        }
    }
    Some(Family {
        header: FamilyHeader {
            name: gathered.name().parse().ok()?,
            kind,
            help: gathered.help().into(),
        },
        series,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::{Format, encode_families};
    use crate::telemetry::SelfMetrics;

    #[test]
    fn every_own_family_is_on_the_page() {
        let metrics = SelfMetrics::new().unwrap();
        metrics.count_http_request("metrics", 200);
        let gathered = metrics.gather();
        let families = families_of(&gathered, metrics.began());
        assert_eq!(families.len(), gathered.len());
        let mut page = Vec::new();
        encode_families(Format::Text, &families, &mut page);
        let page = String::from_utf8(page).unwrap();
        assert!(page.contains(
            "vminsights_exporter_http_requests_total{code=\"200\",handler=\"metrics\"} 1\n"
        ));
        assert!(page.contains("\nprocess_resident_memory_bytes "));
    }
}
