//! `evaluate`: plugins whose columns depend on the rows. They are worked out while the query is
//! bound; where it is only judged, their columns stay open.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexSet;

use super::operators::pass;
use super::sources::shown;
use super::{Binder, Bound, Scope};
use crate::kql::batch::{Column, ColumnBuilder};
use crate::kql::functions::{convert_to, json};
use crate::kql::order::Key;
use crate::kql::plan::{Expr, Node, Plan, PlanColumn, Relation, Visibility};
use crate::kql::syntax::{Expression, ExpressionNode, Name, NamedExpression, Span};
use crate::kql::text::format_value;
use crate::kql::value::{Type, Value};

/// The most columns that a plugin makes.
const MAX_COLUMNS: usize = 10_000;
/// Plugins that Azure has and this engine does not.
const OTHERS: [&str; 20] = [
    "active_users_count",
    "activity_counts_metrics",
    "activity_engagement",
    "activity_metrics",
    "autocluster",
    "basket",
    "dcount_intersect",
    "diffpatterns",
    "funnel_sequence",
    "funnel_sequence_completion",
    "http_request",
    "identity",
    "ipv4_lookup",
    "ipv6_lookup",
    "new_activity_metrics",
    "preview",
    "rolling_percentile",
    "rows_near",
    "session_count",
    "sliding_window_counts",
];

impl Binder<'_> {
    pub(super) fn evaluate(
        &mut self,
        input: Relation,
        plugin: &Name,
        arguments: &[NamedExpression],
    ) -> Bound<Relation> {
        if self.applying > 0 {
            return self.unsupported("a plugin within mv-apply or partition", &plugin.span);
        }
        match (&*plugin.text, arguments) {
            ("bag_unpack", [bag, rest @ ..]) => self.bag_unpack(input, bag, rest),
            ("pivot", [pivot, rest @ ..]) => self.pivot(input, pivot, rest),
            ("narrow", []) => self.narrow(input),
            ("bag_unpack" | "pivot" | "narrow", _) => Err(self.wrong(
                "SEM0219",
                plugin.span.clone(),
                format!("{}(): wrong number of arguments", plugin.text),
            )),
            (other, _) if OTHERS.contains(&other) => {
                self.unsupported(format!("the plugin {other}()"), &plugin.span)
            }
            _ => Err(self.wrong(
                "SEM0260",
                plugin.span.clone(),
                format!("'evaluate' operator: there is no plugin '{}'", plugin.text),
            )),
        }
    }

    fn column(&mut self, input: &Relation, value: &Expression) -> Bound<usize> {
        let bound = self.expression(Scope::of(&input.columns, "evaluate"), value)?;
        match (&value.node, bound.node) {
            (ExpressionNode::Name(_), crate::kql::plan::ExprNode::Column(index)) => Ok(index),
            _ => Err(self.wrong(
                "SEM0011",
                value.span.clone(),
                "'evaluate' operator: a column is expected here".into(),
            )),
        }
    }

    /// The relation's rows, worked out now; none where the query is only judged.
    fn rows_of(&self, relation: &Relation) -> Bound<Option<(Vec<Column>, usize)>> {
        let Some(rows) = self.rows else {
            return Ok(None);
        };
        rows(Plan {
            result: relation.clone(),
            subqueries: self.subqueries.clone(),
            shared: self.shared.clone(),
            max_rows: None,
        })
        .map(Some)
    }

    /// Rows written out with these columns.
    fn written(&mut self, columns: Vec<(PlanColumn, Column)>, rows: usize) -> Bound<Relation> {
        self.context.meter.keep(rows, columns.len());
        self.context.meter.check()?;
        let (columns, data): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let node = Node::Rows {
            columns: data,
            rows,
        };
        self.relation(node, columns, 0)
    }

    /// What is known of the columns without the rows.
    fn open(&mut self, input: Relation, known: &[usize]) -> Bound<Relation> {
        let all = pass(&input.columns);
        let mut outputs: Vec<_> = known.iter().map(|&index| all[index].clone()).collect();
        let open = PlanColumn {
            name: "$open".into(),
            kind: Type::Dynamic,
            visibility: Visibility::Open,
        };
        outputs.push((open, Expr::constant(Value::Null, Type::Dynamic)));
        self.projection(input, outputs)
    }

    /// A column for each key of the bag, its type that of all its values.
    fn bag_unpack(
        &mut self,
        input: Relation,
        bag: &NamedExpression,
        rest: &[NamedExpression],
    ) -> Bound<Relation> {
        let bag_at = self.column(&input, &bag.value)?;
        let mut prefix: Arc<str> = "".into();
        for argument in rest {
            let scope = Scope::of(&input.columns, "evaluate");
            let expr = self.expression(scope, &argument.value)?;
            let named = argument.names.first().map(|name| &*name.text);
            match (named, expr.as_constant()) {
                (
                    None | Some("column_prefix" | "OutputColumnPrefix"),
                    Some(Value::String(text)),
                ) => {
                    prefix = text.clone();
                }
                _ => {
                    return self
                        .unsupported("bag_unpack() with more options", &argument.value.span);
                }
            }
        }
        let known: Vec<usize> = (0..input.columns.len())
            .filter(|&index| index != bag_at && input.columns[index].visibility.is_named())
            .collect();
        let Some((data, rows)) = self.rows_of(&input)? else {
            return self.open(input, &known);
        };
        let mut keys: IndexSet<String> = IndexSet::new();
        for value in data[bag_at].iter() {
            if let Value::Dynamic(json) = value
                && let Some(bag) = json.as_object()
            {
                keys.extend(bag.keys().cloned());
            }
        }
        if keys.len() > MAX_COLUMNS {
            return Err(too_many());
        }
        // By name, as the service has them.
        keys.sort();
        let mut columns: Vec<(PlanColumn, Column)> = known
            .iter()
            .map(|&index| (input.columns[index].clone(), data[index].clone()))
            .collect();
        for key in &keys {
            let name: Arc<str> = format!("{prefix}{key}").into();
            if columns.iter().any(|(column, _)| column.name == name) {
                return Err(self.wrong(
                    "SEM0012",
                    bag.value.span.clone(),
                    format!("bag_unpack(): there is a column named '{name}' already"),
                ));
            }
            let values: Vec<Value> = data[bag_at]
                .iter()
                .map(|value| match value {
                    Value::Dynamic(json) => json.get(key).map_or(Value::Null, json::to_value),
                    _ => Value::Null,
                })
                .collect();
            let kind = common_kind(&values);
            let mut builder = ColumnBuilder::new(kind);
            for value in values {
                builder.push(convert_to(kind)(&self.context, &[&value]));
            }
            columns.push((shown(name, kind), builder.finish()));
        }
        self.written(columns, rows)
    }

    /// A row for each group of the other columns, a column for each value of the pivot.
    fn pivot(
        &mut self,
        input: Relation,
        pivot: &NamedExpression,
        rest: &[NamedExpression],
    ) -> Bound<Relation> {
        let pivot_at = self.column(&input, &pivot.value)?;
        if input.columns[pivot_at].kind == Type::Dynamic {
            return Err(self.wrong(
                "SEM0018",
                pivot.value.span.clone(),
                "pivot(): the column must not be dynamic".into(),
            ));
        }
        let aggregate = match rest.first() {
            Some(aggregate) => aggregate.clone(),
            None => count_of(&pivot.value),
        };
        if let ExpressionNode::Name(_) = aggregate.value.node {
            return Err(self.wrong(
                "SEM0097",
                aggregate.value.span.clone(),
                "pivot(): an aggregate is expected here".into(),
            ));
        }
        let mut used = vec![false; input.columns.len()];
        let collector = super::summarize::Collector::without_keys();
        let scope = Scope {
            aggregates: Some(&collector),
            ..Scope::of(&input.columns, "evaluate")
        };
        self.expression(scope, &aggregate.value)?;
        for call in collector.into_calls() {
            for argument in call.arguments.iter().chain(&call.condition) {
                argument.mark(&mut used);
            }
        }
        let keys: Vec<usize> = if rest.len() > 1 {
            let mut keys = Vec::new();
            for key in &rest[1..] {
                keys.push(self.column(&input, &key.value)?);
            }
            keys
        } else {
            (0..input.columns.len())
                .filter(|&index| {
                    index != pivot_at
                        && !used[index]
                        && input.columns[index].visibility == Visibility::Shown
                })
                .collect()
        };
        if self.rows.is_none() {
            return self.open(input, &keys);
        }
        let span = pivot.value.span.clone();
        let mut by: Vec<NamedExpression> = keys
            .iter()
            .map(|&index| column_named(&input.columns[index].name, &span))
            .collect();
        by.push(column_named(&input.columns[pivot_at].name, &span));
        let grouped = self.summarize(input, std::slice::from_ref(&aggregate), &by)?;
        let Some((data, rows)) = self.rows_of(&grouped)? else {
            return self.unsupported("pivot()", &span);
        };
        self.pivoted(&grouped, &data, rows, keys.len())
    }

    /// `grouped` has the keys, the pivot, then the value.
    fn pivoted(
        &mut self,
        grouped: &Relation,
        data: &[Column],
        rows: usize,
        keys: usize,
    ) -> Bound<Relation> {
        let value = keys + 1;
        let mut names: Vec<Arc<str>> = data[keys].iter().map(format_value).collect();
        names.sort();
        names.dedup();
        if names.len() > MAX_COLUMNS {
            return Err(too_many());
        }
        let place: HashMap<&str, usize> =
            (0..).zip(&names).map(|(at, name)| (&**name, at)).collect();
        let mut groups: indexmap::IndexMap<Key, Vec<Value>> = indexmap::IndexMap::new();
        let kind = grouped.columns[value].kind;
        // Nothing counted is zero.
        let nothing = match kind {
            Type::Long | Type::Int => Value::Long(0),
            _ => Value::Null,
        };
        for row in 0..rows {
            let key = Key((0..keys).map(|at| data[at].value(row).clone()).collect());
            let cells = groups
                .entry(key)
                .or_insert_with(|| vec![nothing.clone(); names.len()]);
            let name = format_value(data[keys].value(row));
            if let Some(&at) = place.get(&*name) {
                cells[at] = data[value].value(row).clone();
            }
        }
        let mut planned: Vec<PlanColumn> = grouped.columns[..keys].to_vec();
        planned.extend(names.iter().map(|name| shown(name.clone(), kind)));
        let mut builders: Vec<ColumnBuilder> = planned
            .iter()
            .map(|column| ColumnBuilder::new(column.kind))
            .collect();
        let count = groups.len();
        for (key, cells) in groups {
            for (builder, cell) in builders.iter_mut().zip(key.0.into_iter().chain(cells)) {
                builder.push(cell);
            }
        }
        let columns = builders.into_iter().map(ColumnBuilder::finish);
        self.written(planned.into_iter().zip(columns).collect(), count)
    }

    /// A row for each cell.
    fn narrow(&mut self, input: Relation) -> Bound<Relation> {
        let planned = [
            shown("Row", Type::Long),
            shown("Column", Type::String),
            shown("Value", Type::String),
        ];
        let mut builders = planned
            .each_ref()
            .map(|column| ColumnBuilder::new(column.kind));
        let (data, rows) = self.rows_of(&input)?.unwrap_or_default();
        let mut cells = 0;
        self.context
            .meter
            .keep(rows.saturating_mul(data.len()), planned.len());
        self.context.meter.check()?;
        for row in 0..rows {
            for (column, values) in input.columns.iter().zip(&data) {
                if column.visibility != Visibility::Shown {
                    continue;
                }
                cells += 1;
                builders[0].push(Value::Long(row as i64));
                builders[1].push(Value::String(column.name.clone()));
                builders[2].push(Value::String(format_value(values.value(row))));
            }
        }
        let columns = builders.map(ColumnBuilder::finish);
        self.written(planned.into_iter().zip(columns).collect(), cells)
    }
}

fn too_many() -> crate::kql::QueryError {
    crate::kql::QueryError::Limit(format!("a plugin may make {MAX_COLUMNS} columns"))
}

/// The type of all values, nulls aside; dynamic if they have several.
fn common_kind(values: &[Value]) -> Type {
    let mut kinds = values.iter().filter_map(Value::kind);
    let Some(first) = kinds.next() else {
        return Type::Dynamic;
    };
    kinds.fold(first, |common, kind| match (common, kind) {
        (common, kind) if common == kind => common,
        (Type::Long | Type::Real, Type::Long | Type::Real) => Type::Real,
        _ => Type::Dynamic,
    })
}

fn column_named(name: &Arc<str>, span: &Span) -> NamedExpression {
    NamedExpression {
        names: Vec::new(),
        value: Expression {
            node: ExpressionNode::Name(name.clone()),
            span: span.clone(),
            height: 1,
        },
    }
}

/// `count()`
fn count_of(at: &Expression) -> NamedExpression {
    NamedExpression {
        names: Vec::new(),
        value: Expression {
            node: ExpressionNode::Call {
                name: Name {
                    text: "count".into(),
                    span: at.span.clone(),
                },
                arguments: Vec::new(),
            },
            span: at.span.clone(),
            height: 1,
        },
    }
}
