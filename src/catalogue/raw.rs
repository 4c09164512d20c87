//! A definition's `.yaml` file as typed.

use indexmap::IndexMap;
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::series::{Combine, MetricType};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// `false` switches off the pack's query of this name; nothing else is needed then.
    #[serde(default = "yes")]
    pub enabled: bool,
    pub interval: Option<Spanned<String>>,
    pub timeout: Option<Spanned<String>>,
    pub window: Option<Spanned<String>>,
    pub stale_after: Option<Spanned<String>>,
    pub lookback: Option<Spanned<String>>,
    pub expire_after: Option<Spanned<String>>,
    pub catch_up: Option<Spanned<String>>,
    pub max_series: Option<Spanned<i64>>,
    #[serde(default)]
    pub unchecked: bool,
    #[serde(default)]
    pub labels: IndexMap<String, Spanned<String>>,
    #[serde(default)]
    pub metrics: Vec<Metric>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    pub name: Spanned<String>,
    #[serde(rename = "type")]
    pub kind: Spanned<MetricType>,
    pub help: Spanned<String>,
    pub value: Spanned<String>,
    pub bin: Option<Spanned<String>>,
    pub combine: Option<Combine>,
}

fn yes() -> bool {
    true
}
