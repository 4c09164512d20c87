//! What an answer has beside its tables when a client prefers so: `render` and `statistics`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::kql::text::{format_datetime_full, format_timespan};
use crate::kql::{Batch, Chart, Database, DateTime, Schema, TimeSpan};

/// What a query cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    pub took: Duration,
    /// Batches of rows that it went through.
    pub extents: usize,
    pub rows: usize,
    /// When the first and the last of these rows arrived.
    pub arrived: Option<(DateTime, DateTime)>,
}

/// Tables that know what has been read from them.
pub struct Metered<'a> {
    database: &'a dyn Database,
    extents: AtomicUsize,
    rows: AtomicUsize,
    arrived: Mutex<Option<(DateTime, DateTime)>>,
}

impl<'a> Metered<'a> {
    pub fn new(database: &'a dyn Database) -> Self {
        Self {
            database,
            extents: AtomicUsize::default(),
            rows: AtomicUsize::default(),
            arrived: Mutex::default(),
        }
    }

    /// What was read so far, in this time.
    pub fn cost(&self, took: Duration) -> Cost {
        Cost {
            took,
            extents: self.extents.load(Ordering::Relaxed),
            rows: self.rows.load(Ordering::Relaxed),
            arrived: *self.arrived.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

impl Database for Metered<'_> {
    fn schema(&self) -> &Schema {
        self.database.schema()
    }

    fn scan(&self, table: &str) -> Vec<Arc<Batch>> {
        let batches = self.database.scan(table);
        let rows = batches.iter().map(|batch| batch.row_count()).sum();
        self.extents.fetch_add(batches.len(), Ordering::Relaxed);
        self.rows.fetch_add(rows, Ordering::Relaxed);
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        for batch in &batches {
            let (first, last) = arrived.unwrap_or((DateTime::MAX, DateTime::MIN));
            *arrived = Some((
                first.min(batch.first_ingested()),
                last.max(batch.last_ingested()),
            ));
        }
        batches
    }
}

/// What the query says of its chart, every property that the service knows among it.
pub fn render(query: &str) -> Value {
    let Some(chart) = Chart::of(query) else {
        return json!({});
    };
    let text = |name: &str| chart.value(name).map_or(Value::Null, Value::from);
    let list = |name: &str| match chart.values(name) {
        [] => Value::Null,
        names => names.into(),
    };
    let limit = |name: &str| {
        let number = chart.value(name).and_then(|text| text.parse::<f64>().ok());
        // JSON has no NaN.
        number
            .filter(|number| number.is_finite())
            .map_or_else(|| "NaN".into(), Value::from)
    };
    let is_on = chart
        .value("accumulate")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    json!({
        "visualization": chart.kind,
        "title": text("title"),
        "accumulate": is_on,
        "isQuerySorted": false,
        "kind": text("kind"),
        "legend": text("legend"),
        "series": list("series"),
        "yMin": limit("ymin"),
        "yMax": limit("ymax"),
        "xAxis": text("xaxis"),
        "xColumn": text("xcolumn"),
        "xTitle": text("xtitle"),
        "yAxis": text("yaxis"),
        "yColumns": list("ycolumns"),
        "ySplit": text("ysplit"),
        "yTitle": text("ytitle"),
        "anomalyColumns": list("anomalycolumns"),
    })
}

/// What the query cost, in the service's blocks. Figures that an engine in memory does not have are
/// zero: caches, the network, the peak of memory.
pub fn statistics(cost: &Cost, rows: usize, bytes: usize) -> Value {
    let ticks = i64::try_from(cost.took.as_nanos() / 100).unwrap_or(i64::MAX);
    // One thread, that does nothing but calculate.
    let cpu = format_timespan(TimeSpan(ticks));
    let (first, last) = cost.arrived.unwrap_or((DateTime::MIN, DateTime::MIN));
    let counts = json!({"hits": 0, "misses": 0, "total": 0});
    let shard = json!({"hitbytes": 0, "missbytes": 0, "retrievebytes": 0});
    json!({
        "query": {
            "executionTime": cost.took.as_secs_f64(),
            "resourceUsage": {
                "cache": {
                    "memory": counts,
                    "disk": counts,
                    "shards": {"hot": shard, "cold": shard, "bypassbytes": 0},
                },
                "cpu": {"user": cpu, "kernel": "00:00:00", "totalCpu": cpu},
                "memory": {"peakPerNode": 0},
                "network": {"interClusterTotalBytes": 0, "crossClusterTotalBytes": 0},
            },
            "inputDatasetStatistics": {
                "extents": {
                    "total": cost.extents,
                    "scanned": cost.extents,
                    "scannedMinDatetime": format_datetime_full(first),
                    "scannedMaxDatetime": format_datetime_full(last),
                },
                "rows": {"total": cost.rows, "scanned": cost.rows},
                "rowstores": {"scannedRows": 0, "scannedValuesSize": 0},
                "shards": {"queriesGeneric": 0, "queriesSpecialized": 0},
            },
            "datasetStatistics": [{"tableRowCount": rows, "tableSize": bytes}],
            "crossClusterResourceUsage": {},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_written_as_the_service_writes_it() {
        let chart = render(
            r#"datatable (s: string, i: long) ["a", 1] | render columnchart with (title="the chart title", xtitle="the x axis title")"#,
        );
        assert_eq!(
            chart.to_string(),
            r#"{"visualization":"columnchart","title":"the chart title","accumulate":false,"isQuerySorted":false,"kind":null,"legend":null,"series":null,"yMin":"NaN","yMax":"NaN","xAxis":null,"xColumn":null,"xTitle":"the x axis title","yAxis":null,"yColumns":null,"ySplit":null,"yTitle":null,"anomalyColumns":null}"#
        );
        let chart = render(
            "T | render timechart with (ycolumns=a, b, ymin=0.5, ymax=99, accumulate=true, legend=hidden)",
        );
        assert_eq!(chart["yColumns"], json!(["a", "b"]));
        assert_eq!(
            (&chart["yMin"], &chart["yMax"]),
            (&json!(0.5), &json!(99.0))
        );
        assert_eq!(
            (&chart["accumulate"], &chart["legend"]),
            (&json!(true), &json!("hidden"))
        );
        assert_eq!(render("T | where a == '| render x'"), json!({}));
    }

    #[test]
    fn a_query_that_reads_nothing_cost_what_the_recording_says() {
        let cost = Cost {
            took: Duration::from_micros(1500),
            ..Cost::default()
        };
        let statistics = statistics(&cost, 3, 55);
        let query = &statistics["query"];
        assert_eq!(query["executionTime"], 0.0015);
        assert_eq!(
            query["resourceUsage"]["cpu"]["totalCpu"],
            "00:00:00.0015000"
        );
        assert_eq!(
            query["inputDatasetStatistics"]["extents"].to_string(),
            r#"{"total":0,"scanned":0,"scannedMinDatetime":"0001-01-01T00:00:00.0000000Z","scannedMaxDatetime":"0001-01-01T00:00:00.0000000Z"}"#
        );
        let blocks: Vec<_> = query.as_object().unwrap().keys().collect();
        assert_eq!(
            blocks,
            [
                "executionTime",
                "resourceUsage",
                "inputDatasetStatistics",
                "datasetStatistics",
                "crossClusterResourceUsage"
            ]
        );
    }
}
