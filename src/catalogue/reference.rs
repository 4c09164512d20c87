//! Every key of a definition's `.yaml`, for people: `docs/configuration.md` is made from this list.

use crate::config::Key;

/// The keys of a definition, in the order in which a person would write them.
pub const KEYS: &[Key] = &[
    Key::new(
        "enabled",
        "`true` or `false`",
        "`true`",
        "`false` switches off the pack's query of the same name; nothing else is needed then.",
    ),
    Key::new(
        "interval",
        "length of time from 1s",
        "required",
        "How often the query is asked.",
    ),
    Key::new(
        "timeout",
        "length of time, at most 10m",
        "`30s`",
        "How long a poll may take.",
    ),
    Key::new(
        "window",
        "length of time",
        "none",
        "The query can use it as `window`: it is put before the query as `let window = …;`.",
    ),
    Key::new(
        "stale_after",
        "length of time",
        "`limits.stale_after`",
        "How long the last good values outlive failing polls.",
    ),
    Key::new(
        "lookback",
        "length of time from 1m",
        "`30m`",
        "For counters: how late a row may come and still be counted. The query uses it and `until`: both are put before the query as `let lookback = …; let until = …;`.",
    ),
    Key::new(
        "expire_after",
        "length of time from 1m",
        "`limits.expire_after`",
        "For counters: how long a series stays without growth.",
    ),
    Key::new(
        "catch_up",
        "length of time from 1m",
        "`limits.catch_up`",
        "For counters: how long an outage may last and its rows still be counted.",
    ),
    Key::new(
        "max_series",
        "whole number from 1",
        "`limits.max_series`",
        "How many series a family of the query may have from one workspace.",
    ),
    Key::new(
        "unchecked",
        "`true` or `false`",
        "`false`",
        "`true` sends the query as it is, whatever the exporter's own judgement of it says.",
    ),
    Key::new(
        "labels",
        "map of label to column",
        "only `workspace`",
        "The labels of all metrics of the query, and the column that each is read from.",
    ),
    Key::new(
        "metrics",
        "list",
        "required",
        "The families that the query feeds.",
    ),
    Key::new(
        "metrics[].name",
        "metric name",
        "required",
        "A counter's, and only a counter's, ends in `_total`.",
    ),
    Key::new(
        "metrics[].type",
        "`gauge` or `counter`",
        "required",
        "The family's type; a query's metrics are all of one.",
    ),
    Key::new("metrics[].help", "text", "required", "The family's HELP."),
    Key::new(
        "metrics[].value",
        "column",
        "required",
        "The column with the numbers; a null is a sample that is not there.",
    ),
    Key::new(
        "metrics[].bin",
        "column",
        "required for a counter",
        "The column with the start of each row's bin, one minute wide: `bin(ingestion_time(), 1m)`, or of `TimeGenerated` where rows are never later than `lookback`.",
    ),
    Key::new(
        "metrics[].combine",
        "`sum`, `max`, `min` or `last`",
        "two rows for one label set are an issue, counted",
        "What becomes of rows that share a label set.",
    ),
];
