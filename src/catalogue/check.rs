//! Judging definitions before they run: each query against the known tables, and all of them
//! against each other.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use super::definition::QueryDefinition;
use crate::config::Problem;
use crate::kql::{self, Analysis, Schema, Type};
use crate::series::{MetricMapping, MetricType};

/// Where a definition's labels and metrics were written, in the mapping's order.
#[derive(Default)]
pub struct Places {
    pub labels: Vec<Option<u32>>,
    /// Of the name and of the type.
    pub metrics: Vec<(Option<u32>, Option<u32>)>,
}

/// What can be said of a query before it runs.
pub enum Verdict {
    /// Valid, and it returns every column that the definition reads.
    Right,
    Wrong(Vec<Problem>),
    /// It names a table or construct that is not known here. Azure may well take it, so it runs; its
    /// columns are checked when the first answer comes.
    NotKnown(Problem),
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(Schema::vm_insights);

/// Judges a definition's query text, then its labels' and values' columns. So many lines stand in front
/// of the text that are not in the file.
pub fn query(
    definition: &QueryDefinition,
    (kql_file, added): (&Path, u32),
    places: &Places,
) -> Verdict {
    let columns = match kql::analyze(&SCHEMA, &definition.kql) {
        Analysis::Right { columns } => columns,
        Analysis::Wrong { diagnostics } => {
            return Verdict::Wrong(
                diagnostics
                    .into_iter()
                    .map(|found| {
                        let line = u32::try_from(found.line).unwrap_or(u32::MAX);
                        let column = found.pos + 1;
                        Problem::new(
                            kql_file,
                            Some(line.saturating_sub(added).max(1)),
                            format!("column {column}: {}: {}", found.code, found.message),
                        )
                    })
                    .collect(),
            );
        }
        Analysis::NotKnown { reason } => {
            return Verdict::NotKnown(Problem::new(
                kql_file,
                None,
                format!("not checked: {reason}; whether Azure takes it shows with the first poll"),
            ));
        }
    };

    let mut problems = Vec::new();
    let kind_of = |name: &str| -> Result<Type, String> {
        let found = columns.iter().find(|column| &*column.name == name);
        found.map(|column| column.kind).ok_or_else(|| {
            let names: Vec<&str> = columns.iter().map(|column| &*column.name).collect();
            format!(
                "the query returns no column {name:?}; it returns {}",
                names.join(", ")
            )
        })
    };
    for (label, line) in definition.mapping.labels.iter().zip(&places.labels) {
        if let Err(rule) = kind_of(&label.column) {
            let text = format!("label {}: {rule}", label.label);
            problems.push(Problem::new(&definition.file, *line, text));
        }
    }
    for (metric, (line, _)) in definition.mapping.metrics.iter().zip(&places.metrics) {
        let rule = match kind_of(&metric.value) {
            Err(rule) => rule,
            Ok(kind @ (Type::String | Type::Guid | Type::Dynamic)) => format!(
                "value {:?} is a {kind}; a sample's value is a number, a bool, a datetime or a timespan",
                metric.value
            ),
            Ok(_) => continue,
        };
        let text = format!("metric {}: {rule}", metric.name);
        problems.push(Problem::new(&definition.file, *line, text));
    }
    if problems.is_empty() {
        Verdict::Right
    } else {
        Verdict::Wrong(problems)
    }
}

/// Names that the exporter's own families have.
const RESERVED_PREFIXES: [&str; 3] = ["vminsights_exporter_", "vminsights_workspace_", "process_"];

/// The rules for metric names within one definition.
pub fn metric_names(file: &Path, metrics: &[MetricMapping], places: &Places) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, (metric, (line, _))) in metrics.iter().zip(&places.metrics).enumerate() {
        let name = metric.name.as_str();
        let mut problem = |rule: String| {
            problems.push(Problem::new(file, *line, format!("metric {name}: {rule}")));
        };
        if let Some(prefix) = RESERVED_PREFIXES
            .iter()
            .find(|prefix| name.starts_with(**prefix))
        {
            problem(format!(
                "names that begin with {prefix} are the exporter's own"
            ));
        }
        if (metric.kind == MetricType::Counter) != name.ends_with("_total") {
            problem("counters, and only counters, end in _total".into());
        }
        if metrics[..index]
            .iter()
            .any(|other| other.name == metric.name)
        {
            problem("is listed twice in this definition".into());
        }
    }
    problems
}

/// One family may be fed by several definitions; the page has its type and help once.
pub fn against_each_other(queries: &[Arc<QueryDefinition>]) -> Vec<Problem> {
    let mut families: HashMap<&str, (&QueryDefinition, &MetricMapping)> = HashMap::new();
    let mut problems = Vec::new();
    for query in queries {
        for metric in &query.mapping.metrics {
            let name = metric.name.as_str();
            let Some((first, other)) = families.get(name) else {
                families.insert(name, (query, metric));
                continue;
            };
            if other.kind != metric.kind {
                problems.push(Problem::new(
                    &query.file,
                    None,
                    format!(
                        "metric {name} is a {} here and a {} in {}; a family has one type",
                        metric.kind,
                        other.kind,
                        first.file.display()
                    ),
                ));
            } else if other.help != metric.help {
                problems.push(Problem::new(
                    &query.file,
                    None,
                    format!(
                        "metric {name} has another help than in {}; a family has one help",
                        first.file.display()
                    ),
                ));
            }
        }
    }
    for (name, (query, _)) in &families {
        if let Some((other, _)) = families.get(format!("{name}_total").as_str()) {
            problems.push(Problem::new(
                &query.file,
                None,
                format!(
                    "metric {name} stands beside the counter {name}_total of {}; OpenMetrics calls both {name}",
                    other.file.display()
                ),
            ));
        }
    }
    problems.sort_by(|a, b| (&a.file, &a.text).cmp(&(&b.file, &b.text)));
    problems
}
