//! Operators that take each row's values apart or pipe parts of the rows through operators of
//! their own: `mv-expand`, `mv-apply`, `partition`.

use std::sync::Arc;

use super::naming::{Names, suggested};
use super::operators::explicit_name;
use super::sources::shown;
use super::{Binder, Bound, Scope};
use crate::kql::plan::{self, ApplyNode, Node, PlanColumn, Relation, Visibility, find};
use crate::kql::syntax::{Expansion, Expression, ExpressionNode, Operator};
use crate::kql::value::Type;

/// The most rows that the old spelling `mvexpand` makes of one, where the query does not say.
const OLD_LIMIT: usize = 128;

impl Binder<'_> {
    pub(super) fn mv_expand(
        &mut self,
        input: Relation,
        operator: &str,
        expansion: &Expansion,
    ) -> Bound<Relation> {
        let (expansion, columns) = self.expansion(&input, operator, expansion, true)?;
        let height = input.height;
        let node = Node::MvExpand {
            input: Box::new(input),
            expansion,
        };
        self.relation(node, columns, height)
    }

    /// With the columns that the rows have then, the arrival among them if `arrives`.
    fn expansion(
        &mut self,
        input: &Relation,
        operator: &str,
        expansion: &Expansion,
        arrives: bool,
    ) -> Bound<(plan::Expansion, Vec<PlanColumn>)> {
        let mut columns = input.columns.clone();
        let arrival = columns
            .iter()
            .position(|column| column.visibility == Visibility::Ingestion);
        let arrival = arrival.map(|index| columns.remove(index));
        let mut names = Names::new(columns.iter().map(|column| &column.name));
        let mut values = Vec::new();
        for (value, kind) in &expansion.columns {
            let expr = self.expression(Scope::of(&input.columns, operator), &value.value)?;
            if expr.kind != Type::Dynamic {
                return Err(self.wrong(
                    "SEM0014",
                    value.value.span.clone(),
                    format!("'{operator}' operator: expanded expression expected to have dynamic type, this one is {}", expr.kind),
                ));
            }
            let kind = kind.unwrap_or(Type::Dynamic);
            let name = match explicit_name(value) {
                Some(name) => name,
                None => match suggested(&value.value) {
                    Some(name) => name.into(),
                    None => names.suggest(None),
                },
            };
            let at = match find(&columns, &name) {
                Some(at) => at,
                None => {
                    columns.push(shown(name.clone(), kind));
                    columns.len() - 1
                }
            };
            columns[at] = shown(name, kind);
            values.push((at, expr, kind));
        }
        if let Some(name) = &expansion.index {
            columns.push(shown(names.unique(&name.text), Type::Long));
        }
        if arrives {
            columns.extend(arrival);
        }
        let limit = match &expansion.limit {
            Some(limit) => self.count(limit, operator)?,
            None if operator == "mvexpand" => OLD_LIMIT,
            None => usize::MAX,
        };
        let expansion = plan::Expansion {
            values,
            pairs: expansion.pairs,
            index: expansion.index.is_some(),
            limit,
        };
        Ok((expansion, columns))
    }

    /// The input's columns, without those that are expanded in place, then what the body adds.
    pub(super) fn mv_apply(
        &mut self,
        input: Relation,
        operator: &str,
        expansion: &Expansion,
        body: &[Operator],
    ) -> Bound<Relation> {
        let (expansion, expanded_columns) = self.expansion(&input, operator, expansion, false)?;
        let (slot, body) = self.applied(expanded_columns.clone(), body)?;
        let replaced: Vec<Arc<str>> = expansion
            .values
            .iter()
            .map(|(at, ..)| expanded_columns[*at].name.clone())
            .collect();
        let outer: Vec<usize> = (0..input.columns.len())
            .filter(|&index| {
                let column = &input.columns[index];
                column.visibility.is_named() && !replaced.contains(&column.name)
            })
            .collect();
        let mut columns: Vec<PlanColumn> = outer
            .iter()
            .map(|&index| input.columns[index].clone())
            .collect();
        let inner: Vec<usize> = (0..body.columns.len())
            .filter(|&index| {
                let column = &body.columns[index];
                column.visibility.is_named() && find(&columns, &column.name).is_none()
            })
            .collect();
        columns.extend(inner.iter().map(|&index| body.columns[index].clone()));
        let height = input.height.max(body.height);
        let node = Node::Apply(Box::new(ApplyNode {
            input,
            expansion,
            expanded_columns,
            slot,
            body,
            outer,
            inner,
        }));
        self.relation(node, columns, height)
    }

    pub(super) fn partition(
        &mut self,
        input: Relation,
        by: &Expression,
        body: &[Operator],
    ) -> Bound<Relation> {
        let key = self.expression(Scope::of(&input.columns, "partition"), by)?;
        if !matches!(by.node, ExpressionNode::Name(_)) || key.kind == Type::Dynamic {
            return Err(self.wrong(
                "SEM0018",
                by.span.clone(),
                "'partition' operator: rows are parted by a column that is not dynamic".into(),
            ));
        }
        let (slot, body) = self.applied(input.columns.clone(), body)?;
        let height = input.height.max(body.height);
        let columns = body.columns.clone();
        let node = Node::Partition {
            input: Box::new(input),
            key,
            slot,
            body: Box::new(body),
        };
        self.relation(node, columns, height)
    }

    /// The operators over rows with these columns, which come later.
    fn applied(&mut self, columns: Vec<PlanColumn>, body: &[Operator]) -> Bound<(usize, Relation)> {
        let slot = self.slots;
        self.slots += 1;
        self.applying += 1;
        let bound = self.deeper(|binder| {
            let mut relation = binder.relation(Node::Applied(slot), columns, 0)?;
            for operator in body {
                relation = binder.operator(relation, operator)?;
            }
            Ok(relation)
        });
        self.applying -= 1;
        Ok((slot, bound?))
    }
}
