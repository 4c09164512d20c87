//! `parse` and `parse-where`: columns made of what stands within texts.

use super::chunk::Chunk;
use super::expand::widened;
use super::{Done, Evaluator, Flow, Sink, column};
use crate::kql::functions::convert_to;
use crate::kql::plan::{ParseNode, Pattern, PlanColumn};
use crate::kql::syntax::ParsePart;
use crate::kql::value::{Type, Value};

impl Evaluator<'_> {
    pub(super) fn parse(
        &self,
        parse: &ParseNode,
        planned: &[PlanColumn],
        sink: Sink<'_>,
    ) -> Done<Flow> {
        self.run(&parse.input, &mut |chunk| {
            self.check()?;
            let texts = self.evaluate(&parse.value, &chunk);
            let mut made = vec![Vec::with_capacity(chunk.rows); parse.targets.len()];
            let mut fitting: Vec<u32> = Vec::new();
            for (row, text) in (0..).zip(texts.iter()) {
                let values = match text {
                    Value::String(text) => self.parsed(text, parse),
                    _ => None,
                };
                if parse.filter {
                    if values.is_none() {
                        continue;
                    }
                    fitting.push(row);
                }
                for (at, column) in made.iter_mut().enumerate() {
                    let value = values.as_ref().map(|values| values[at].clone());
                    column.push(value.unwrap_or(Value::Null));
                }
            }
            let chunk = if parse.filter {
                chunk.take(fitting)
            } else {
                chunk
            };
            if chunk.rows == 0 {
                return Ok(Flow::More);
            }
            let mut columns = widened(&chunk, planned);
            for (values, (target, kind)) in made.into_iter().zip(&parse.targets) {
                columns[*target] = column(values, *kind);
            }
            sink(Chunk {
                columns,
                rows: chunk.rows,
            })
        })
    }

    /// The columns' values in the text; none if it does not fit the pattern.
    fn parsed(&self, text: &str, parse: &ParseNode) -> Option<Vec<Value>> {
        let found: Vec<String> = match &parse.pattern {
            Pattern::Parts(parts) => captures(text, parts)?
                .into_iter()
                .map(str::to_owned)
                .collect(),
            Pattern::Regex(pattern) => {
                let mut found = None;
                self.context.with_regex(pattern, |regex| {
                    found = regex.captures(text).map(|groups| {
                        (1..=parse.targets.len())
                            .map(|number| {
                                let group = groups.name(&format!("column{number}"));
                                group.map_or(String::new(), |group| group.as_str().to_owned())
                            })
                            .collect()
                    });
                    Value::Null
                });
                found?
            }
        };
        self.typed(&found, &parse.targets, parse.relaxed)
    }

    /// The captured texts as the types asked for; none if one of them is not of its type, unless
    /// `relaxed`.
    fn typed(
        &self,
        found: &[String],
        targets: &[(usize, Type)],
        relaxed: bool,
    ) -> Option<Vec<Value>> {
        found
            .iter()
            .zip(targets)
            .map(|(text, (_, kind))| {
                let text = Value::string(text.as_str());
                let value = convert_to(*kind)(&self.context, &[&text]);
                let value = self.context.admit(value);
                (relaxed || !value.is_null()).then_some(value)
            })
            .collect()
    }
}

/// What stands in the place of each column of the pattern; none if the text does not fit it.
fn captures<'t>(text: &'t str, pattern: &[ParsePart]) -> Option<Vec<&'t str>> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut capturing = false;
    let mut loose = false;
    for part in pattern {
        match part {
            ParsePart::Skip => loose = true,
            ParsePart::Column(..) => {
                if capturing {
                    // Two columns side by side: nothing tells where the first one ends.
                    found.push("");
                }
                capturing = true;
                loose = true;
            }
            ParsePart::Text(wanted) => {
                let at = if loose {
                    rest.find(&**wanted)?
                } else if rest.starts_with(&**wanted) {
                    0
                } else {
                    return None;
                };
                if std::mem::take(&mut capturing) {
                    found.push(&rest[..at]);
                }
                rest = &rest[at + wanted.len()..];
                loose = false;
            }
        }
    }
    if capturing {
        found.push(rest);
    } else if !loose && !rest.is_empty() {
        return None;
    }
    Some(found)
}
