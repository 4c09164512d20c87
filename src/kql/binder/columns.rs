//! The operators that choose, rename and order columns.

use super::operators::pass;
use super::{Binder, Bound};
use crate::kql::plan::{PlanColumn, Relation, Visibility, find};
use crate::kql::syntax::{ColumnPattern, ExpressionNode, NamedExpression, PatternOrder};

impl Binder<'_> {
    /// The columns that the patterns name, in their order.
    fn matching(
        &self,
        columns: &[PlanColumn],
        operator: &str,
        pattern: &ColumnPattern,
    ) -> Bound<Vec<usize>> {
        if !pattern.wild {
            return match find(columns, &pattern.text) {
                Some(index) => Ok(vec![index]),
                None => {
                    Err(self.unresolved(operator, "column", &pattern.text, pattern.span.clone()))
                }
            };
        }
        let found: Vec<usize> = columns
            .iter()
            .enumerate()
            .filter(|(_, column)| column.visibility.is_named() && like(&column.name, &pattern.text))
            .map(|(index, _)| index)
            .collect();
        if found.is_empty() {
            return Err(self.unresolved(operator, "column", &pattern.text, pattern.span.clone()));
        }
        Ok(found)
    }

    pub(super) fn choose(
        &mut self,
        input: Relation,
        operator: &str,
        patterns: &[ColumnPattern],
        keep: bool,
    ) -> Bound<Relation> {
        let mut named = vec![false; input.columns.len()];
        for pattern in patterns {
            for index in self.matching(&input.columns, operator, pattern)? {
                named[index] = true;
            }
        }
        let outputs = pass(&input.columns)
            .into_iter()
            .zip(named)
            .filter(|(_, named)| *named == keep)
            .map(|(output, _)| output)
            .collect();
        self.projection(input, outputs)
    }

    pub(super) fn rename(
        &mut self,
        input: Relation,
        operator: &str,
        renames: &[NamedExpression],
    ) -> Bound<Relation> {
        let mut outputs = pass(&input.columns);
        for rename in renames {
            let ([new], ExpressionNode::Name(old)) = (rename.names.as_slice(), &rename.value.node)
            else {
                return Err(self.wrong(
                    "SEM0011",
                    rename.value.span.clone(),
                    format!("'{operator}' operator: expected NewName = OldName"),
                ));
            };
            let Some(index) = find(&input.columns, old) else {
                return Err(self.unresolved(operator, "column", old, rename.value.span.clone()));
            };
            outputs[index].0.name = new.text.clone();
            outputs[index].0.visibility = Visibility::Shown;
        }
        for (at, (column, _)) in outputs.iter().enumerate() {
            let twice = outputs[..at]
                .iter()
                .any(|(other, _)| other.name == column.name);
            if twice {
                let named = renames.iter().rev().flat_map(|rename| &rename.names);
                let mut named = named.filter(|name| name.text == column.name);
                let span = named
                    .next()
                    .map_or(&renames[0].value.span, |name| &name.span);
                return Err(self.twice(&column.name, span));
            }
        }
        self.projection(input, outputs)
    }

    pub(super) fn reorder(
        &mut self,
        input: Relation,
        operator: &str,
        patterns: &[(ColumnPattern, Option<PatternOrder>)],
    ) -> Bound<Relation> {
        let mut order: Vec<usize> = Vec::new();
        for (pattern, sorted) in patterns {
            let mut found = self.matching(&input.columns, operator, pattern)?;
            let name = |index: &usize| input.columns[*index].name.clone();
            match sorted {
                Some(PatternOrder::Ascending) => found.sort_by_key(name),
                Some(PatternOrder::Descending) => {
                    found.sort_by_key(name);
                    found.reverse();
                }
                None => {}
            }
            for index in found {
                if !order.contains(&index) {
                    order.push(index);
                }
            }
        }
        for index in 0..input.columns.len() {
            if !order.contains(&index) {
                order.push(index);
            }
        }
        let all = pass(&input.columns);
        let outputs = order.into_iter().map(|index| all[index].clone()).collect();
        self.projection(input, outputs)
    }
}

/// Whether the name fits a pattern whose `*` stand for any characters.
pub(super) fn like(name: &str, pattern: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else {
        return rest.is_empty();
    };
    for piece in middle {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
