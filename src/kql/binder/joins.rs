//! Operators that bring tables together: `union`, `join`, `lookup`.

use std::sync::Arc;

use super::naming::Names;
use super::sources::{ingestion, shown};
use super::{Binder, Bound};
use crate::kql::QueryError;
use crate::kql::plan::{Expr, JoinNode, Node, PlanColumn, Relation, Visibility};
use crate::kql::syntax::{
    BinaryOperator, Expression, ExpressionNode, Join, JoinKind, LogicOperator, Name, Span, Union,
};
use crate::kql::value::{Type, Value};

/// The names of a join's keys: left, right, and where they stand.
struct On {
    left: Name,
    right: Name,
    span: Span,
}

impl Binder<'_> {
    pub(super) fn union(&mut self, piped: Option<Relation>, union: &Union) -> Bound<Relation> {
        let mut inputs: Vec<(Arc<str>, Relation)> = Vec::new();
        if let Some(piped) = piped {
            inputs.push((source_name(&piped, 0), piped));
        }
        for table in &self.written_out(&union.tables) {
            let relation = match self.table(table, &union.name.text) {
                Err(QueryError::Semantic(diagnostic))
                    if union.fuzzy && diagnostic.code == "SEM0100" =>
                {
                    continue;
                }
                relation => relation?,
            };
            let name = match &table.node {
                ExpressionNode::Name(name) => name.clone(),
                _ => source_name(&relation, inputs.len()),
            };
            inputs.push((name, relation));
        }
        if inputs.is_empty() {
            return Err(self.wrong(
                "SEM0100",
                union.name.span.clone(),
                "'union' operator: Failed to resolve any of the tables".into(),
            ));
        }
        let mut columns = union_columns(inputs.iter().map(|(_, relation)| relation), union.inner);
        let source = union.source_column.as_ref().map(|name| {
            let column = shown(name.text.clone(), Type::String);
            columns.retain(|other| other.0.name != name.text);
            columns.insert(0, (column, name.text.clone()));
        });
        let arrives = inputs
            .iter()
            .all(|(_, relation)| arrival(&relation.columns).is_some());
        let height = inputs
            .iter()
            .map(|(_, relation)| relation.height)
            .max()
            .unwrap_or(0);
        let branches = inputs
            .into_iter()
            .map(|(name, relation)| {
                let mut outputs: Vec<Expr> = columns
                    .iter()
                    .enumerate()
                    .map(|(at, (column, from))| {
                        if at == 0 && source.is_some() {
                            return Expr::constant(Value::String(name.clone()), Type::String);
                        }
                        relation
                            .column(from)
                            .filter(|&index| relation.columns[index].kind == column.kind)
                            .map_or_else(
                                || Expr::constant(Value::Null, column.kind),
                                |index| Expr::column(index, column.kind),
                            )
                    })
                    .collect();
                if arrives && let Some(index) = arrival(&relation.columns) {
                    outputs.push(Expr::column(index, Type::DateTime));
                }
                (relation, outputs)
            })
            .collect();
        let mut columns: Vec<PlanColumn> = columns.into_iter().map(|(column, _)| column).collect();
        if arrives {
            columns.push(ingestion());
        }
        self.relation(Node::Union(branches), columns, height)
    }

    /// The tables with patterns replaced by what fits them.
    fn written_out(&self, tables: &[Expression]) -> Vec<Expression> {
        let mut all = Vec::new();
        for table in tables {
            match &table.node {
                ExpressionNode::Tables(pattern) => {
                    all.extend(self.tables(pattern).into_iter().map(|name| Expression {
                        node: ExpressionNode::Name(name),
                        ..table.clone()
                    }));
                }
                _ => all.push(table.clone()),
            }
        }
        all
    }

    pub(super) fn join(&mut self, left: Relation, join: &Join, lookup: bool) -> Bound<Relation> {
        let operator = if lookup { "lookup" } else { "join" };
        let kind = match join.kind {
            Some(kind @ (JoinKind::LeftOuter | JoinKind::Inner)) => kind,
            Some(kind) if !lookup => kind,
            _ => {
                let kinds = if lookup {
                    "leftouter or inner"
                } else {
                    "innerunique, inner, leftouter, rightouter, fullouter, leftanti, leftsemi, rightanti or rightsemi"
                };
                return Err(self.wrong(
                    "SEM0015",
                    join.kind_span.clone(),
                    format!("'{operator}' operator: kind is {kinds}"),
                ));
            }
        };
        let right = self.table(&join.right, operator)?;
        if join.on.is_empty() {
            return Err(self.wrong(
                "SEM0017",
                join.name.span.clone(),
                format!("'{operator}' operator: 'on' with the columns of both sides is missing"),
            ));
        }
        let mut keys = Vec::new();
        for on in &join.on {
            self.keys(on, operator, &mut keys)?;
        }
        let (mut left_keys, mut right_keys) = (Vec::new(), Vec::new());
        for key in &keys {
            let left_at = self.key(&left, &key.left, operator)?;
            let right_at = self.key(&right, &key.right, operator)?;
            let (left_kind, right_kind) =
                (left.columns[left_at].kind, right.columns[right_at].kind);
            let whole = |kind| matches!(kind, Type::Int | Type::Long);
            let fits = left_kind == right_kind || whole(left_kind) && whole(right_kind);
            if left_kind == Type::Dynamic && right_kind == Type::Dynamic {
                return self.unsupported(format!("'{operator}' on dynamic values"), &key.span);
            }
            if !fits {
                return Err(self.wrong(
                    "SEM0016",
                    key.span.clone(),
                    format!("'{operator}' operator: cannot join on {left_kind} and {right_kind}"),
                ));
            }
            left_keys.push(left_at);
            right_keys.push(right_at);
        }
        let mut names = Names::default();
        let mut columns = Vec::new();
        let gives_left = !matches!(kind, JoinKind::RightAnti | JoinKind::RightSemi);
        let gives_right = !matches!(kind, JoinKind::LeftAnti | JoinKind::LeftSemi);
        if gives_left {
            for column in &left.columns {
                if column.visibility != Visibility::Ingestion {
                    names.claim(&column.name);
                }
                columns.push(column.clone());
            }
        }
        let mut right_columns = Vec::new();
        if gives_right {
            for (index, column) in right.columns.iter().enumerate() {
                let arrives = column.visibility == Visibility::Ingestion;
                if gives_left && (arrives || lookup && right_keys.contains(&index)) {
                    continue;
                }
                let mut column = column.clone();
                if gives_left {
                    column.name = names.unique(&column.name);
                }
                columns.push(column);
                right_columns.push(index);
            }
        }
        if gives_left && gives_right {
            // Rows of two tables have no arrival of their own.
            if let Some(index) = arrival(&columns) {
                columns[index].visibility = Visibility::Hidden;
            }
        }
        let height = left.height.max(right.height);
        let node = Node::Join(Box::new(JoinNode {
            kind,
            left,
            right,
            left_keys,
            right_keys,
            right_columns,
        }));
        self.relation(node, columns, height)
    }

    fn key(&self, relation: &Relation, name: &Name, operator: &str) -> Bound<usize> {
        relation
            .column(&name.text)
            .ok_or_else(|| self.unresolved(operator, "column", &name.text, name.span.clone()))
    }

    /// `A`, `$left.A == $right.B`, or several of them joined by `and`.
    fn keys(&self, on: &Expression, operator: &str, keys: &mut Vec<On>) -> Bound<()> {
        let span = on.span.clone();
        match &on.node {
            ExpressionNode::Name(name) => {
                let name = Name {
                    text: name.clone(),
                    span: span.clone(),
                };
                keys.push(On {
                    left: name.clone(),
                    right: name,
                    span,
                });
                return Ok(());
            }
            ExpressionNode::Logic {
                operator: LogicOperator::And,
                operands,
                ..
            } => {
                return operands
                    .iter()
                    .try_for_each(|operand| self.keys(operand, operator, keys));
            }
            ExpressionNode::Binary {
                operator: BinaryOperator::Equal,
                left,
                right,
                ..
            } => match (side(left), side(right)) {
                (Some((true, left)), Some((false, right)))
                | (Some((false, right)), Some((true, left))) => {
                    keys.push(On { left, right, span });
                    return Ok(());
                }
                _ => {}
            },
            _ => {}
        }
        Err(self.wrong(
            "SEM0017",
            span,
            format!(
                "'{operator}' operator: 'on' takes columns of both sides, or $left.A == $right.B"
            ),
        ))
    }
}

/// `$left.A` (true) or `$right.A`.
fn side(expression: &Expression) -> Option<(bool, Name)> {
    let ExpressionNode::Member { of, name } = &expression.node else {
        return None;
    };
    match &of.node {
        ExpressionNode::Name(side) if &**side == "$left" => Some((true, name.clone())),
        ExpressionNode::Name(side) if &**side == "$right" => Some((false, name.clone())),
        _ => None,
    }
}

fn arrival(columns: &[PlanColumn]) -> Option<usize> {
    columns
        .iter()
        .position(|column| column.visibility == Visibility::Ingestion)
}

/// What `withsource` calls rows that are not of a bare table.
pub(super) fn source_name(relation: &Relation, at: usize) -> Arc<str> {
    fn scanned(relation: &Relation) -> Option<Arc<str>> {
        match &relation.node {
            Node::Scan { table, .. } => Some(table.clone()),
            Node::Filter { input, .. }
            | Node::Project { input, .. }
            | Node::Take { input, .. }
            | Node::Sort { input, .. } => scanned(input),
            _ => None,
        }
    }
    scanned(relation).unwrap_or_else(|| format!("union_arg{at}").into())
}

/// The union's columns, each with the name that it has in the inputs: those of one name and several
/// types are as many, with the type in their names.
fn union_columns<'a>(
    inputs: impl Iterator<Item = &'a Relation> + Clone,
    inner: bool,
) -> Vec<(PlanColumn, Arc<str>)> {
    let mut found: Vec<PlanColumn> = Vec::new();
    let named = |column: &&PlanColumn| column.visibility.is_named();
    for relation in inputs.clone() {
        for column in relation.columns.iter().filter(named) {
            match found
                .iter_mut()
                .find(|other| other.name == column.name && other.kind == column.kind)
            {
                Some(other) if column.visibility == Visibility::Shown => {
                    other.visibility = Visibility::Shown;
                }
                Some(_) => {}
                None => found.push(column.clone()),
            }
        }
    }
    if inner {
        found.retain(|column| {
            inputs.clone().all(|relation| {
                relation
                    .column(&column.name)
                    .is_some_and(|index| relation.columns[index].kind == column.kind)
            })
        });
    }
    // Those of one name stand side by side.
    let first = |column: &PlanColumn| found.iter().position(|other| other.name == column.name);
    let mut ordered: Vec<&PlanColumn> = found.iter().collect();
    ordered.sort_by_key(|column| first(column));
    ordered
        .into_iter()
        .map(|column| {
            let clash = found
                .iter()
                .filter(|other| other.name == column.name)
                .count()
                > 1;
            let mut renamed = column.clone();
            if clash {
                renamed.name = format!("{}_{}", column.name, column.kind).into();
            }
            (renamed, column.name.clone())
        })
        .collect()
}
