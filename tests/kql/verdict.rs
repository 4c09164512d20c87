//! What is said of a query, by the analyser and by our binder.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use vminsights_exporter::kql::{
    Batch, Budget, Database, DateTime, QueryError, QueryOptions, Schema, run,
};

use crate::corpus::{FOLDER, read};

/// Columns that Azure returns only when they are asked for; the analyser does not know of this.
const ON_REQUEST: [&str; 4] = [
    "_SubscriptionId",
    "_BilledSize",
    "_IsBillable",
    "_TimeReceived",
];

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Valid, with these columns (`name:type`).
    Right(Vec<String>),
    /// No KQL: where recovery from that leads is no concern of ours.
    Syntax(String),
    /// The first thing wrong with it, in UTF-16 units from its start, and what.
    Semantic(usize, String),
    /// Only of ours: beyond this engine.
    NotKnown(String),
}

impl Verdict {
    /// How it differs from what is wanted; `None` if it does not.
    pub fn differs_from(&self, wanted: &Self) -> Option<String> {
        let same = match (self, wanted) {
            (Self::Syntax(_), Self::Syntax(_)) => true,
            (Self::Semantic(ours, _), Self::Semantic(theirs, _)) => ours == theirs,
            (ours, theirs) => ours == theirs,
        };
        (!same).then(|| format!("ours {self:?}, wanted {wanted:?}"))
    }

    pub fn right(columns: impl Iterator<Item = (String, String)>) -> Self {
        Self::Right(
            columns
                .filter(|(name, _)| !ON_REQUEST.contains(&name.as_str()))
                .map(|(name, kind)| format!("{name}:{kind}"))
                .collect(),
        )
    }
}

/// What `expected.tsv` says: name, `right` with the columns, or `syntax` or `semantic` with place
/// and message.
pub fn expected() -> BTreeMap<String, Verdict> {
    read(&format!("{FOLDER}/expected.tsv"))
        .lines()
        .map(|line| {
            let mut fields = line.split('\t');
            let mut next = || fields.next().unwrap_or_default();
            let (name, kind, detail) = (next(), next(), next());
            let verdict = match kind {
                "right" if detail.is_empty() => Verdict::Right(Vec::new()),
                "right" => Verdict::Right(detail.split(", ").map(str::to_owned).collect()),
                "syntax" => Verdict::Syntax(next().to_owned()),
                "semantic" => {
                    let (_, start) = detail.split_once('@').expect("code@start");
                    Verdict::Semantic(start.parse().unwrap(), next().to_owned())
                }
                other => panic!("{name}: {other:?} is no verdict"),
            };
            (name.to_owned(), verdict)
        })
        .collect()
}

/// A workspace without rows.
struct Empty(Schema);

impl Database for Empty {
    fn schema(&self) -> &Schema {
        &self.0
    }

    fn scan(&self, _: &str) -> Vec<Arc<Batch>> {
        Vec::new()
    }
}

/// What a run over tables without rows says: unlike an analysis it knows which tables there are.
pub fn ours(text: &str) -> Verdict {
    let options = QueryOptions {
        now: DateTime::from_unix_seconds(1_795_514_400),
        timespan: None,
        max_rows: 1000,
        budget: Budget::default(),
        elapsed: &|| Duration::ZERO,
        cancelled: &|| false,
    };
    match run(&Empty(Schema::vm_insights()), text, &options) {
        Ok(result) => Verdict::right(
            result
                .columns
                .iter()
                .map(|column| (column.name.to_string(), column.kind.as_str().to_owned())),
        ),
        Err(QueryError::Syntax(found)) => Verdict::Syntax(found.message),
        Err(QueryError::Semantic(found)) => Verdict::Semantic(
            text[..found.span.start].encode_utf16().count(),
            found.message,
        ),
        Err(other) => Verdict::NotKnown(other.to_string()),
    }
}
