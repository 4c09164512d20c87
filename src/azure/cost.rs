//! What a query cost the service: the `statistics` beside an answer's tables.

use std::ops::AddAssign;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::cell::parse_timespan;

/// What the service says that an answer cost it. It promises none of these figures, so each may be
/// absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Processor time, of all its machines together.
    pub cpu: Option<Duration>,
    /// Column data that was read, compressed as it is stored: found in a cache, not found there, or
    /// read past it; and the values of rows that are not stored by column yet.
    pub scanned_bytes: Option<u64>,
}

impl Cost {
    /// Of the JSON of `statistics`. What is not as recorded is absent, and costs no answer.
    pub(super) fn of(statistics: &RawValue) -> Self {
        let read: Result<Statistics, _> = serde_json::from_str(statistics.get());
        let Ok(Statistics { query }) = read else {
            return Self::default();
        };
        let cpu = query.resource_usage.cpu.total;
        let shards = query.resource_usage.cache.shards;
        let rowstores = query.input.rowstores;
        let parts = [
            shards.hot.hit,
            shards.hot.miss,
            shards.cold.hit,
            shards.cold.miss,
            shards.bypass,
            rowstores.values,
        ];
        let known = parts.into_iter().flatten();
        Self {
            cpu: cpu
                .and_then(parse_timespan)
                .and_then(|span| span.try_into().ok()),
            scanned_bytes: known.reduce(u64::saturating_add),
        }
    }
}

impl AddAssign for Cost {
    /// What is known of either.
    fn add_assign(&mut self, other: Self) {
        let both = [self.cpu, other.cpu].into_iter().flatten();
        self.cpu = both.reduce(Duration::saturating_add);
        let both = [self.scanned_bytes, other.scanned_bytes];
        self.scanned_bytes = both.into_iter().flatten().reduce(u64::saturating_add);
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Statistics<'a> {
    #[serde(borrow)]
    query: OfQuery<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OfQuery<'a> {
    #[serde(borrow, rename = "resourceUsage")]
    resource_usage: ResourceUsage<'a>,
    #[serde(rename = "inputDatasetStatistics")]
    input: Input,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ResourceUsage<'a> {
    cache: Cache,
    #[serde(borrow)]
    cpu: Cpu<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cpu<'a> {
    #[serde(rename = "totalCpu")]
    total: Option<&'a str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cache {
    shards: Shards,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Shards {
    hot: Shard,
    cold: Shard,
    #[serde(rename = "bypassbytes")]
    bypass: Option<u64>,
}

/// What was fetched from storage, `retrievebytes`, is a part of what was missed.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Shard {
    #[serde(rename = "hitbytes")]
    hit: Option<u64>,
    #[serde(rename = "missbytes")]
    miss: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Input {
    rowstores: Rowstores,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Rowstores {
    #[serde(rename = "scannedValuesSize")]
    values: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(statistics: &str) -> Cost {
        let raw: &RawValue = serde_json::from_str(statistics).unwrap();
        Cost::of(raw)
    }

    #[test]
    fn every_byte_that_was_read_counts_once() {
        let cost = cost(
            r#"{"query": {"executionTime": 0.2, "resourceUsage": {
                "cache": {"memory": {"hits": 9}, "shards": {
                    "hot": {"hitbytes": 1, "missbytes": 20, "retrievebytes": 20},
                    "cold": {"hitbytes": 300, "missbytes": 4000, "retrievebytes": 4000},
                    "bypassbytes": 50000}},
                "cpu": {"user": "00:00:01", "kernel": "00:00:00", "totalCpu": "1.00:00:01.5000000"}},
                "inputDatasetStatistics": {"rowstores": {"scannedRows": 7, "scannedValuesSize": 600000}}}}"#,
        );
        let expected = Cost {
            cpu: Some(Duration::from_millis(86_401_500)),
            scanned_bytes: Some(654_321),
        };
        assert_eq!(cost, expected);
    }

    #[test]
    fn what_is_not_said_is_not_known() {
        let cpu = r#"{"query": {"resourceUsage": {"cpu": {"totalCpu": "00:00:02"}}}}"#;
        let expected = Cost {
            cpu: Some(Duration::from_secs(2)),
            scanned_bytes: None,
        };
        assert_eq!(cost(cpu), expected);
        for odd in [
            "null",
            "7",
            "{}",
            r#"{"query": []}"#,
            r#"{"query": {"resourceUsage": {"cpu": {"totalCpu": "soon"}}}}"#,
            r#"{"query": {"resourceUsage": {"cpu": {"totalCpu": "-00:00:01"}}}}"#,
            r#"{"query": {"resourceUsage": {"cache": {"shards": {"bypassbytes": -1}}}}}"#,
        ] {
            assert_eq!(cost(odd), Cost::default(), "{odd}");
        }
    }

    #[test]
    fn costs_add_up() {
        let mut sum = Cost::default();
        sum += cost(r#"{"query": {"resourceUsage": {"cpu": {"totalCpu": "00:00:02"}}}}"#);
        sum += cost(r#"{"query": {"resourceUsage": {"cache": {"shards": {"bypassbytes": 8}}}}}"#);
        sum += cost(r#"{"query": {"resourceUsage": {"cpu": {"totalCpu": "00:00:03"}}}}"#);
        let expected = Cost {
            cpu: Some(Duration::from_secs(5)),
            scanned_bytes: Some(8),
        };
        assert_eq!(sum, expected);
    }
}
