//! The rules of `filters`.

use std::fmt::Display;
use std::str::FromStr;

use serde_saphyr::Spanned;

use super::Reader;
use crate::config::filters::FilterSettings;
use crate::config::{raw, yaml};

/// They stand in each query that uses them, many times a minute.
const MOST_IN_A_LIST: usize = 1_000;

impl Reader<'_> {
    pub(super) fn filters(&mut self, raw: raw::Filters) -> FilterSettings {
        let default = FilterSettings::default();
        FilterSettings {
            min_severity: self.bounded("filters.min_severity", raw.min_severity, 5),
            min_confidence_percent: self.bounded(
                "filters.min_confidence_percent",
                raw.min_confidence_percent,
                100,
            ),
            allowed_addresses: self
                .list("filters.allowed_addresses", raw.allowed_addresses)
                .unwrap_or(default.allowed_addresses),
            exclude_disks: self
                .list("filters.exclude_disks", raw.exclude_disks)
                .unwrap_or(default.exclude_disks),
        }
    }

    fn bounded(&mut self, key: &str, written: Option<Spanned<i64>>, most: i64) -> i64 {
        let Some(written) = written else {
            return 0;
        };
        if !(0..=most).contains(&written.value) {
            let rule = format!("{key} {} must be from 0 to {most}", written.value);
            self.problem(yaml::line(&written), rule);
            return 0;
        }
        written.value
    }

    fn list<T>(
        &mut self,
        key: &str,
        written: Option<Spanned<Vec<Spanned<String>>>>,
    ) -> Option<Vec<T>>
    where
        T: FromStr<Err: Display>,
    {
        let written = written?;
        if written.value.len() > MOST_IN_A_LIST {
            let rule = format!(
                "{key} must have at most {MOST_IN_A_LIST} entries, not {}",
                written.value.len()
            );
            self.problem(yaml::line(&written), rule);
            return None;
        }
        let mut read = Vec::with_capacity(written.value.len());
        for one in written.value {
            match one.value.parse() {
                Ok(one) => read.push(one),
                Err(rule) => self.problem(yaml::line(&one), format!("{key}: {rule}")),
            }
        }
        Some(read)
    }
}
