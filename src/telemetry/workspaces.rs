//! `vminsights_workspace_info`: what is known of each workspace that is asked.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, Opts};

const NAME: &str = "vminsights_workspace_info";
const HELP: &str = "Always 1; the labels say which workspace is asked and where it is, as far as that is known, and of a discovered one the tags that discover.tag_labels names.";

/// A collector whose labels may change while the process runs, which no other's may: which tags become
/// labels is a setting.
#[derive(Clone)]
pub(super) struct WorkspaceInfo {
    desc: Desc,
    gauges: Arc<Mutex<GaugeVec>>,
}

impl WorkspaceInfo {
    pub fn new() -> prometheus::Result<Self> {
        Ok(Self {
            desc: Desc::new(NAME.into(), HELP.into(), Vec::new(), Default::default())?,
            gauges: Arc::new(Mutex::new(gauges(&[])?)),
        })
    }

    /// Takes these rows for those before; each has a value for each label, `""` for what is not known.
    pub fn set(&self, labels: &[&str], rows: &[Vec<String>]) -> prometheus::Result<()> {
        let new = gauges(labels)?;
        for row in rows {
            new.get_metric_with_label_values(row)?.set(1.0);
        }
        *self.lock() = new;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, GaugeVec> {
        self.gauges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gauges(labels: &[&str]) -> prometheus::Result<GaugeVec> {
    GaugeVec::new(Opts::new(NAME, HELP), labels)
}

impl Collector for WorkspaceInfo {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.lock().collect()
    }
}

impl fmt::Debug for WorkspaceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorkspaceInfo").field(&NAME).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::SelfMetrics;
    use super::*;

    fn rows(metrics: &SelfMetrics) -> Vec<String> {
        let families = metrics.gather();
        let family = families.iter().find(|family| family.name() == NAME);
        let metrics = family.into_iter().flat_map(|family| family.get_metric());
        let text = metrics.map(|metric| {
            let labels = metric.get_label().iter();
            let labels = labels.map(|label| format!("{}={}", label.name(), label.value()));
            let value = metric.get_gauge().get_value();
            format!("{} {value}", labels.collect::<Vec<_>>().join(","))
        });
        text.collect()
    }

    #[test]
    fn rows_and_labels_are_replaced_as_a_whole() {
        let metrics = SelfMetrics::new().unwrap();
        assert!(rows(&metrics).is_empty());
        let set = |labels: &[&str], row: &[&str]| {
            let row = row.iter().map(|value| (*value).to_owned()).collect();
            metrics.set_workspaces(labels, &[row])
        };
        set(&["workspace", "tag_team"], &["prod", "blue"]).unwrap();
        assert_eq!(rows(&metrics), ["tag_team=blue,workspace=prod 1"]);
        set(&["workspace"], &["test"]).unwrap();
        assert_eq!(rows(&metrics), ["workspace=test 1"]);
        assert!(set(&["workspace"], &[]).is_err());
        assert_eq!(rows(&metrics), ["workspace=test 1"]);
    }
}
