//! From files to definitions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_saphyr::Spanned;

use super::check::{self, Verdict};
use super::definition::{Counting, QueryDefinition, QueryName};
use super::{Catalogue, filters, packs, raw};
use crate::config::{self, FilterSettings, Limits, Problem, Problems, Settings, yaml};
use crate::series::{LabelMapping, LabelName, Mapping, MetricMapping, MetricType};

/// Without `timeout`: as long as most queries need ten times over.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// The Logs Query API works on a query for so long and no longer.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(600);
const LEAST_STALE_AFTER: Duration = Duration::from_secs(300);
/// For families with a `remote_ip` label, of which an attack makes as many as it likes.
const MAX_SERIES_BY_REMOTE_IP: usize = 10_000;
const MAX_SERIES: usize = 200_000;
/// Rows come minutes late as a rule.
const DEFAULT_LOOKBACK: Duration = Duration::from_secs(30 * 60);
const DEFAULT_EXPIRE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
const DEFAULT_CATCH_UP: Duration = Duration::from_secs(24 * 60 * 60);

impl Catalogue {
    /// Reads the packs and the folder that the settings name, and checks everything that can be
    /// known before the first answer.
    ///
    /// # Errors
    /// All problems of all files at once. `config_file` is where unknown packs and a missing folder
    /// are reported.
    pub fn load(settings: &Settings, config_file: &Path) -> Result<Self, Problems> {
        let mut loader = Loader {
            limits: settings.limits,
            filters: &settings.filters,
            problems: Vec::new(),
            warnings: Vec::new(),
        };
        let mut queries = BTreeMap::new();
        for pack in &settings.packs {
            match packs::files(&pack.value) {
                Some(files) => {
                    let files = files
                        .into_iter()
                        .map(|(path, text)| (path.to_owned(), text.to_owned()));
                    loader.definitions(files.collect(), &mut queries);
                }
                None => loader.problems.push(Problem::new(
                    config_file,
                    pack.line,
                    format!(
                        "pack {:?} does not exist; the packs are {}",
                        pack.value,
                        packs::names().join(", ")
                    ),
                )),
            }
        }
        if let Some(folder) = &settings.queries_dir {
            match read_folder(&folder.value) {
                Ok(files) => loader.definitions(files, &mut queries),
                Err(error) => loader.problems.push(Problem::new(
                    config_file,
                    folder.line,
                    format!("queries_dir {}: {error}", folder.value.display()),
                )),
            }
        }
        let queries: Vec<_> = queries.into_values().map(Arc::new).collect();
        loader.problems.extend(check::against_each_other(&queries));
        if loader.problems.is_empty() {
            Ok(Self {
                queries,
                warnings: loader.warnings,
            })
        } else {
            Err(Problems(loader.problems))
        }
    }
}

struct Loader<'a> {
    limits: Limits,
    filters: &'a FilterSettings,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Loader<'_> {
    /// Adds the definitions among `files` to `queries`; those of a name that is there replace it.
    fn definitions(
        &mut self,
        files: BTreeMap<PathBuf, String>,
        queries: &mut BTreeMap<QueryName, QueryDefinition>,
    ) {
        for (path, text) in &files {
            match path.extension().and_then(|ending| ending.to_str()) {
                Some("yaml") => {}
                Some("yml") => {
                    self.problem(path, None, "a definition's file ends in .yaml, not .yml");
                    continue;
                }
                Some("kql") => {
                    let partner = path.with_extension("yaml");
                    if !files.contains_key(&partner) {
                        let name = partner.file_name().unwrap_or_default().to_string_lossy();
                        self.problem(
                            path,
                            None,
                            format!("has no {name} beside it, which says what its answer means"),
                        );
                    }
                    continue;
                }
                _ => continue,
            }
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let name: QueryName = match stem.parse() {
                Ok(name) => name,
                Err(error) => {
                    self.problem(path, None, error);
                    continue;
                }
            };
            let raw: raw::Definition = match yaml::from_text(path, text) {
                Ok(raw) => raw,
                Err(problem) => {
                    self.problems.push(problem);
                    continue;
                }
            };
            if !raw.enabled {
                queries.remove(&name);
                continue;
            }
            let kql_file = path.with_extension("kql");
            let Some(kql) = files.get(&kql_file) else {
                let kql_name = kql_file.file_name().unwrap_or_default().to_string_lossy();
                self.problem(
                    path,
                    None,
                    format!("has no {kql_name} beside it, which holds the query"),
                );
                continue;
            };
            let before = self.problems.len();
            let definition = self.definition(path, &kql_file, name, raw, kql);
            if self.problems.len() == before {
                queries.insert(definition.name.clone(), definition);
            }
        }
    }

    fn problem(&mut self, file: &Path, line: Option<u32>, text: impl std::fmt::Display) {
        self.problems.push(Problem::new(file, line, text));
    }

    fn definition(
        &mut self,
        file: &Path,
        kql_file: &Path,
        name: QueryName,
        raw: raw::Definition,
        kql: &str,
    ) -> QueryDefinition {
        let second = Duration::from_secs(1);
        let interval = match &raw.interval {
            Some(text) => self.duration(file, "interval", text, second),
            None => {
                self.problem(
                    file,
                    None,
                    "interval is missing: how often the query runs, such as 1m",
                );
                None
            }
        }
        .unwrap_or(Duration::from_secs(60));
        let timeout = match &raw.timeout {
            Some(text) => {
                let timeout = self.duration(file, "timeout", text, second);
                if timeout.is_some_and(|timeout| timeout > LONGEST_TIMEOUT) {
                    let rule = format!(
                        "timeout {:?} must be 10m or less, which is all that Azure takes",
                        text.value
                    );
                    self.problem(file, yaml::line(text), rule);
                }
                timeout.unwrap_or(DEFAULT_TIMEOUT)
            }
            None => DEFAULT_TIMEOUT,
        };
        let window = raw
            .window
            .as_ref()
            .and_then(|text| self.duration(file, "window", text, second));
        let stale_after = raw
            .stale_after
            .as_ref()
            .and_then(|text| self.duration(file, "stale_after", text, second))
            .or(self.limits.stale_after)
            .unwrap_or_else(|| LEAST_STALE_AFTER.max(interval * 3))
            // Else good values would be dropped while the next poll is still under way.
            .max(interval + timeout);
        if kql.trim().is_empty() {
            self.problem(kql_file, None, "is empty; it holds the query");
        }
        let unchecked = raw.unchecked;
        self.own_lets(
            kql_file,
            kql,
            &filters::NAMES,
            "what the configuration's filters say",
        );
        let window_is = window.map(|window| format!("let window = {}; ", milliseconds(window)));
        let prefix = window_is.unwrap_or_default() + &filters::lets(self.filters, kql);
        let counting = self.counting(file, &raw, &prefix, (kql_file, kql));
        let added = u32::from(counting.is_some() || !prefix.is_empty());
        let (mapping, places) = self.mapping(file, raw);
        let definition = QueryDefinition {
            name,
            file: file.to_owned(),
            kql: match &counting {
                // As it is judged; each poll says which bins it asks for.
                Some(counting) => counting.about(&milliseconds(counting.lookback), "now() + 1d"),
                None if prefix.is_empty() => kql.to_owned(),
                None => format!("{}\n{kql}", prefix.trim_end()),
            },
            interval,
            timeout,
            window,
            stale_after,
            mapping,
            counting,
        };
        if !unchecked && !kql.trim().is_empty() {
            match check::query(&definition, (kql_file, added), &places) {
                Verdict::Right => {}
                Verdict::Wrong(problems) => self.problems.extend(problems),
                Verdict::NotKnown(warning) => self.warnings.push(warning),
            }
        }
        definition
    }

    /// How the definition's counters count; `None` if it has none.
    fn counting(
        &mut self,
        file: &Path,
        raw: &raw::Definition,
        prefix: &str,
        (kql_file, kql): (&Path, &str),
    ) -> Option<Counting> {
        let counts = |metric: &&raw::Metric| metric.kind.value == MetricType::Counter;
        let Some(first) = raw.metrics.iter().find(counts) else {
            for (key, text) in [
                ("lookback", &raw.lookback),
                ("expire_after", &raw.expire_after),
                ("catch_up", &raw.catch_up),
            ] {
                if let Some(text) = text {
                    let rule = format!("{key} is for counters: no metric here has type: counter");
                    self.problem(file, yaml::line(text), rule);
                }
            }
            for bin in raw.metrics.iter().filter_map(|metric| metric.bin.as_ref()) {
                let rule = "bin is for counters: this metric is a gauge";
                self.problem(file, yaml::line(bin), rule);
            }
            return None;
        };
        let mut column: Option<&str> = None;
        for metric in &raw.metrics {
            let name = &metric.name.value;
            let line = yaml::line(&metric.kind);
            if metric.kind.value == MetricType::Gauge {
                let rule = format!(
                    "metric {name:?}: a query's metrics are all counters or all gauges, for counters are asked about other windows; {:?} is a counter",
                    first.name.value
                );
                self.problem(file, line, rule);
                continue;
            }
            match (&metric.bin, column) {
                (None, _) => self.problem(file, line, format!(
                    "metric {name:?}: a counter needs bin, the column with the start of each row's bin, such as a bin(ingestion_time(), 1m)"
                )),
                (Some(bin), Some(before)) if bin.value != before => self.problem(
                    file,
                    yaml::line(bin),
                    format!(
                        "metric {name:?}: bin {:?} must be the same column as the other counters', {before:?}",
                        bin.value
                    ),
                ),
                (Some(bin), _) => column = Some(&bin.value),
            }
        }
        let names = ["lookback", "until"];
        self.own_lets(kql_file, kql, &names, "the bins that it asks for");
        let (minute, limits) = (Duration::from_secs(60), self.limits);
        let mut length = |key, text: &Option<Spanned<String>>| {
            let text = text.as_ref()?;
            self.duration(file, key, text, minute)
        };
        Some(Counting {
            lookback: length("lookback", &raw.lookback).unwrap_or(DEFAULT_LOOKBACK),
            expire_after: length("expire_after", &raw.expire_after)
                .or(limits.expire_after)
                .unwrap_or(DEFAULT_EXPIRE_AFTER),
            catch_up: length("catch_up", &raw.catch_up)
                .or(limits.catch_up)
                .unwrap_or(DEFAULT_CATCH_UP),
            bin: column.unwrap_or_default().to_owned(),
            prefix: prefix.to_owned(),
            body: kql.to_owned(),
        })
    }

    /// Finds `let` statements of names that the exporter declares itself, as `meaning`.
    fn own_lets(&mut self, kql_file: &Path, kql: &str, names: &[&str], meaning: &str) {
        for (at, line) in kql.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let words: Vec<&str> = code
                .split(|c: char| c.is_whitespace() || c == ';' || c == '=')
                .filter(|word| !word.is_empty())
                .collect();
            for pair in words.windows(2) {
                if let ["let", name] = pair
                    && names.contains(name)
                {
                    let rule = format!(
                        "let {name}: the exporter sets {name} to {meaning}, on a line in front of the query"
                    );
                    self.problem(kql_file, u32::try_from(at + 1).ok(), rule);
                }
            }
        }
    }

    fn duration(
        &mut self,
        file: &Path,
        key: &str,
        text: &Spanned<String>,
        least: Duration,
    ) -> Option<Duration> {
        yaml::duration(key, &text.value, least)
            .map_err(|rule| self.problem(file, yaml::line(text), rule))
            .ok()
    }

    fn mapping(&mut self, file: &Path, raw: raw::Definition) -> (Mapping, check::Places) {
        let mut places = check::Places::default();
        let mut labels = Vec::new();
        for (label, column) in raw.labels {
            let line = yaml::line(&column);
            match label.parse::<LabelName>() {
                Ok(label) if label == LabelName::workspace() => self.problem(
                    file,
                    line,
                    "label \"workspace\" is set by the exporter: the workspace's configured name",
                ),
                Ok(label) => {
                    labels.push(LabelMapping {
                        label,
                        column: column.value,
                    });
                    places.labels.push(line);
                }
                Err(error) => self.problem(file, line, error),
            }
        }
        let max_series = match &raw.max_series {
            Some(max) => match usize::try_from(max.value).ok().filter(|max| *max > 0) {
                Some(max) => max,
                None => {
                    let rule = format!("max_series {} must be 1 or more", max.value);
                    self.problem(file, yaml::line(max), rule);
                    MAX_SERIES
                }
            },
            None => self.limits.max_series.unwrap_or(
                if labels
                    .iter()
                    .any(|label| label.label.as_str() == "remote_ip")
                {
                    MAX_SERIES_BY_REMOTE_IP
                } else {
                    MAX_SERIES
                },
            ),
        };
        if raw.metrics.is_empty() {
            self.problem(
                file,
                None,
                "metrics must list at least one, with name, type, help and value",
            );
        }
        let mut metrics = Vec::new();
        for metric in raw.metrics {
            let line = yaml::line(&metric.name);
            if metric.help.value.trim().is_empty() {
                self.problem(
                    file,
                    yaml::line(&metric.help),
                    format!(
                        "metric {:?}: help must say what it is and where it comes from",
                        metric.name.value
                    ),
                );
            }
            match metric.name.value.parse() {
                Ok(name) => {
                    metrics.push(MetricMapping {
                        name,
                        kind: metric.kind.value,
                        help: metric.help.value.trim().to_owned(),
                        value: metric.value.value,
                        combine: metric.combine,
                        max_series,
                    });
                    places.metrics.push((line, yaml::line(&metric.kind)));
                }
                Err(error) => self.problem(file, line, error),
            }
        }
        self.problems
            .extend(check::metric_names(file, &metrics, &places));
        (Mapping { labels, metrics }, places)
    }
}

/// A length of time as KQL writes it.
fn milliseconds(length: Duration) -> String {
    format!("{}ms", length.as_millis())
}

/// The files of a folder that may be definitions, by path; subfolders are left alone.
fn read_folder(folder: &Path) -> std::io::Result<BTreeMap<PathBuf, String>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if !matches!(ending, Some("yaml" | "yml" | "kql")) {
            continue;
        }
        let named = |error: std::io::Error| {
            std::io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        };
        let text = config::read_text(&path).map_err(named)?;
        files.insert(path, text);
    }
    Ok(files)
}
