//! `summarize`, and `distinct` and `count`, which are forms of it.

use std::cell::RefCell;

use super::naming::{Names, suggested};
use super::operators::{explicit_name, pass};
use super::sources::shown;
use super::{Binder, Bound, Scope};
use crate::kql::functions::Accepts;
use crate::kql::functions::aggregates::{self, Aggregate, Shape};
use crate::kql::plan::{AggregateCall, Expr, Node, PlanColumn, Relation, Visibility};
use crate::kql::syntax::{Expression, ExpressionNode, Name, NamedExpression, Span};
use crate::kql::text::format_value;
use crate::kql::value::{Type, Value};

/// The aggregates met so far in one `summarize`.
pub(super) struct Collector {
    calls: RefCell<Vec<AggregateCall>>,
    /// Columns that the aggregates' results follow: the keys.
    keys: usize,
}

impl Collector {
    /// For aggregates of rows that are grouped in another way.
    pub(super) fn without_keys() -> Self {
        Self {
            calls: RefCell::default(),
            keys: 0,
        }
    }

    pub(super) fn into_calls(self) -> Vec<AggregateCall> {
        self.calls.into_inner()
    }

    /// Takes the aggregate in; where its first column stands.
    fn add(&self, call: AggregateCall) -> usize {
        let mut calls = self.calls.borrow_mut();
        let at = self.keys + calls.iter().map(|call| call.width).sum::<usize>();
        calls.push(call);
        at
    }
}

impl Binder<'_> {
    pub(super) fn summarize(
        &mut self,
        input: Relation,
        values: &[NamedExpression],
        by: &[NamedExpression],
    ) -> Bound<Relation> {
        self.explicit_names(by)?;
        let mut names = Names::default();
        let mut keys = Vec::new();
        let mut outputs: Vec<(PlanColumn, Expr)> = Vec::new();
        for key in by {
            let expr = match self.expression(Scope::of(&input.columns, "summarize"), &key.value) {
                Ok(expr) => expr,
                Err(error) => {
                    // What is wrong before it comes first.
                    if !values.is_empty() {
                        self.summarize(input, values, &[])?;
                    }
                    return Err(error);
                }
            };
            if expr.has_window() {
                return self.unsupported("a window function in 'by'", &key.value.span);
            }
            self.check_key("summarize", expr.kind, &key.value.span)?;
            let name = match explicit_name(key) {
                Some(name) => names.unique(&name),
                None => names.suggest(suggested(&key.value)),
            };
            outputs.push((shown(name, expr.kind), Expr::column(keys.len(), expr.kind)));
            keys.push(expr);
        }
        let collector = Collector {
            calls: RefCell::default(),
            keys: keys.len(),
        };
        for value in values {
            let by_columns = &outputs[..keys.len()];
            let several = self.several(&input, by_columns, &collector, value)?;
            if !several.is_empty() {
                for (at, (suggestion, expr)) in several.into_iter().enumerate() {
                    let name = match value.names.get(at) {
                        Some(name) => names.unique(&name.text),
                        None => names.unique(&suggestion),
                    };
                    outputs.push((shown(name, expr.kind), expr));
                }
                continue;
            }
            let scope = Scope {
                columns: &input.columns,
                operator: "summarize",
                aggregates: Some(&collector),
            };
            let before = collector.calls.borrow().len();
            let expr = self.expression(scope, &value.value)?;
            if collector.calls.borrow().len() == before && expr.as_constant().is_none() {
                return Err(self.wrong(
                    "SEM0097",
                    value.value.span.clone(),
                    "'summarize' operator: the expression has no aggregate".into(),
                ));
            }
            let name = match value.names.first() {
                Some(name) if names.claim(&name.text) => name.text.clone(),
                Some(name) => return Err(self.twice(&name.text, &name.span)),
                None => names.suggest(suggested(&value.value)),
            };
            outputs.push((shown(name, expr.kind), expr));
        }
        self.grouped(input, keys, collector.calls.into_inner(), outputs)
    }

    fn grouped(
        &mut self,
        input: Relation,
        keys: Vec<Expr>,
        aggregates: Vec<AggregateCall>,
        outputs: Vec<(PlanColumn, Expr)>,
    ) -> Bound<Relation> {
        let height = input.height;
        let mut columns: Vec<PlanColumn> = keys.iter().map(|key| shown("", key.kind)).collect();
        for call in &aggregates {
            // Of several columns each has the type of its own argument.
            for at in 0..call.width {
                let kind = match call.aggregate.shape {
                    Shape::Extreme | Shape::AnyRow => call.arguments[at].kind,
                    _ => result_type(call),
                };
                columns.push(shown("", kind));
            }
        }
        let node = Node::Summarize {
            input: Box::new(input),
            keys,
            aggregates,
        };
        let grouped = self.relation(node, columns, height)?;
        self.projection(grouped, outputs)
    }

    pub(super) fn aggregate(
        &mut self,
        scope: Scope<'_>,
        collector: &Collector,
        aggregate: &'static Aggregate,
        name: &Name,
        arguments: &[NamedExpression],
    ) -> Bound<Expr> {
        let call = self.aggregate_call(scope, aggregate, name, arguments, &[])?;
        let kind = result_type(&call);
        if call.width != 1 {
            return self.unsupported(
                format!("{}() of several columns within an expression", name.text),
                &name.span,
            );
        }
        let at = collector.add(call);
        Ok(Expr::column(at, kind))
    }

    /// `star`: what `*` stands for.
    fn aggregate_call(
        &mut self,
        scope: Scope<'_>,
        aggregate: &'static Aggregate,
        name: &Name,
        arguments: &[NamedExpression],
        star: &[usize],
    ) -> Bound<AggregateCall> {
        let scope = Scope {
            aggregates: None,
            ..scope
        };
        let count = arguments.len();
        let open = matches!(aggregate.shape, Shape::Extreme | Shape::AnyRow)
            || aggregate.shape == Shape::PercentileArray
            || aggregate.shape == Shape::Percentiles && name.text.starts_with("percentiles");
        if aggregate.name == "count" && count == 1 {
            // Not documented, and taken all the same.
            if let Some(conditional) = aggregates::aggregate("countif") {
                return self.aggregate_call(scope, conditional, name, arguments, star);
            }
        }
        if count < aggregate.least || !open && count > aggregate.parameters.len() {
            let expected = aggregate.least;
            return Err(self.wrong(
                "SEM0219",
                name.span.clone(),
                format!(
                    "{}(): function expects {expected} argument(s), got {count}",
                    name.text
                ),
            ));
        }
        let condition_at = aggregate
            .parameters
            .iter()
            .position(|accepts| *accepts == Accepts::Is(Type::Bool))
            .filter(|_| aggregate.conditional);
        let mut bound = Vec::new();
        let mut condition = None;
        for (at, argument) in arguments.iter().enumerate() {
            if argument.value.node == ExpressionNode::Star && open {
                for &index in star {
                    bound.push(Expr::column(index, scope.columns[index].kind));
                }
                continue;
            }
            let expr = self.expression(scope, &argument.value)?;
            let last = aggregate.parameters.len().saturating_sub(1);
            let accepts = match aggregate.shape {
                Shape::AnyRow => Accepts::Any,
                Shape::Extreme if at > 0 => Accepts::Any,
                _ => aggregate.parameters[at.min(last)],
            };
            // avg() has a signature for each type.
            let overloaded = aggregate.name.starts_with("avg") && at == 0;
            let fault = if overloaded {
                &name.span
            } else {
                &argument.value.span
            };
            let expr = self.accept(&name.text, at, accepts, expr, fault)?;
            let expr = match (aggregate.shape, expr.kind) {
                (Shape::Percentiles | Shape::PercentileArray, Type::Int) => {
                    self.converted(expr, Type::Long)
                }
                _ => expr,
            };
            if Some(at) == condition_at {
                condition = Some(expr);
                continue;
            }
            let ranked = matches!(aggregate.shape, Shape::Percentiles | Shape::PercentileArray);
            if ranked && at >= aggregate.ranks_from && expr.as_constant().is_none() {
                return Err(self.wrong(
                    "SEM0220",
                    argument.value.span.clone(),
                    format!(
                        "{}(): argument #{} was expected to be constant",
                        name.text,
                        at + 1
                    ),
                ));
            }
            bound.push(expr);
        }
        let width = match aggregate.shape {
            Shape::Value | Shape::PercentileArray => 1,
            Shape::Extreme | Shape::AnyRow => bound.len(),
            Shape::Percentiles => bound.len().saturating_sub(aggregate.ranks_from),
        };
        Ok(AggregateCall {
            aggregate,
            arguments: bound,
            condition,
            width,
        })
    }

    /// The columns of an aggregate that makes several, with the names it suggests; none if the
    /// expression is no such aggregate.
    fn several(
        &mut self,
        input: &Relation,
        keys: &[(PlanColumn, Expr)],
        collector: &Collector,
        value: &NamedExpression,
    ) -> Bound<Vec<(String, Expr)>> {
        let ExpressionNode::Call { name, arguments } = &value.value.node else {
            return Ok(Vec::new());
        };
        let aggregate = match aggregates::aggregate(&name.text) {
            Some(aggregate)
                if !matches!(aggregate.shape, Shape::Value | Shape::PercentileArray) =>
            {
                aggregate
            }
            _ => return Ok(Vec::new()),
        };
        let named: Vec<String> = arguments
            .iter()
            .filter_map(|argument| suggested(&argument.value))
            .collect();
        let star: Vec<usize> = (0..input.columns.len())
            .filter(|&index| {
                let column = &input.columns[index];
                column.visibility == Visibility::Shown
                    && !named.iter().any(|name| **name == *column.name)
                    && !keys.iter().any(|(key, _)| key.name == column.name)
            })
            .collect();
        let scope = Scope::of(&input.columns, "summarize");
        let call = self.aggregate_call(scope, aggregate, name, arguments, &star)?;
        let mut suggestions = Vec::new();
        match aggregate.shape {
            Shape::Percentiles => {
                let of = suggested_argument(arguments.first().map(|argument| &argument.value));
                for rank in call.arguments.iter().skip(aggregate.ranks_from) {
                    let rank =
                        rank.as_constant()
                            .map_or_else(Default::default, |rank| match rank {
                                Value::Real(number) => {
                                    crate::kql::text::format_real(*number).into()
                                }
                                rank => format_value(rank),
                            });
                    suggestions.push(format!("percentile_{of}_{}", rank.replace('.', "_")));
                }
            }
            _ => {
                for argument in arguments {
                    if argument.value.node == ExpressionNode::Star {
                        suggestions.extend(
                            star.iter()
                                .map(|&index| input.columns[index].name.to_string()),
                        );
                    } else if let Some(name) = argument.names.first() {
                        suggestions.push(name.text.to_string());
                    } else {
                        suggestions.push(suggested_argument(Some(&argument.value)));
                    }
                }
                name_extremes(aggregate, &name.text, &mut suggestions);
            }
        }
        let kinds: Vec<Type> = match aggregate.shape {
            Shape::Percentiles => vec![result_type(&call); call.width],
            _ => call
                .arguments
                .iter()
                .map(|argument| argument.kind)
                .collect(),
        };
        let at = collector.add(call);
        Ok(suggestions
            .into_iter()
            .zip(kinds)
            .enumerate()
            .map(|(offset, (name, kind))| (name, Expr::column(at + offset, kind)))
            .collect())
    }

    pub(super) fn count_rows(&mut self, input: Relation, name: Option<&Name>) -> Bound<Relation> {
        let Some(aggregate) = aggregates::aggregate("count") else {
            return Err(crate::kql::QueryError::Limit("there is no count()".into()));
        };
        let call = AggregateCall {
            aggregate,
            arguments: Vec::new(),
            condition: None,
            width: 1,
        };
        let name = name.map_or_else(|| "Count".into(), |name| name.text.clone());
        let outputs = vec![(shown(name, Type::Long), Expr::column(0, Type::Long))];
        self.grouped(input, Vec::new(), vec![call], outputs)
    }

    fn check_key(&self, operator: &str, kind: Type, span: &Span) -> Bound<()> {
        if kind != Type::Dynamic {
            return Ok(());
        }
        Err(self.wrong(
            "SEM0018",
            span.clone(),
            format!("'{operator}' operator: rows cannot be grouped by a dynamic value (Hint: tostring())"),
        ))
    }

    /// Without values: of all columns.
    pub(super) fn distinct(
        &mut self,
        input: Relation,
        values: &[NamedExpression],
        span: &Span,
    ) -> Bound<Relation> {
        self.explicit_names(values)?;
        let mut names = Names::default();
        let mut keys = Vec::new();
        let mut outputs = Vec::new();
        if values.is_empty() {
            for (column, expr) in pass(&input.columns) {
                if column.visibility == Visibility::Shown {
                    self.check_key("distinct", column.kind, span)?;
                    outputs.push((column.clone(), Expr::column(keys.len(), column.kind)));
                    keys.push(expr);
                }
            }
        }
        for value in values {
            let expr = self.expression(Scope::of(&input.columns, "distinct"), &value.value)?;
            self.check_key("distinct", expr.kind, &value.value.span)?;
            let name = match explicit_name(value) {
                Some(name) => names.unique(&name),
                None => names.suggest(suggested(&value.value)),
            };
            outputs.push((shown(name, expr.kind), Expr::column(keys.len(), expr.kind)));
            keys.push(expr);
        }
        self.grouped(input, keys, Vec::new(), outputs)
    }
}

fn suggested_argument(argument: Option<&Expression>) -> String {
    argument.and_then(suggested).unwrap_or_default()
}

fn result_type(call: &AggregateCall) -> Type {
    let of = call
        .arguments
        .first()
        .map_or(Type::Long, |argument| argument.kind);
    (call.aggregate.returns)(of)
}

/// The names that come of an aggregate of several columns beside those of its arguments.
fn name_extremes(aggregate: &Aggregate, called: &str, suggestions: &mut [String]) {
    if aggregate.shape == Shape::AnyRow {
        let several = suggestions.len() > 1;
        for (at, suggestion) in suggestions.iter_mut().enumerate() {
            if suggestion.is_empty() && (several || aggregate.name != "any") {
                *suggestion = format!("any_arg{at}");
            } else if aggregate.name == "any" {
                suggestion.insert_str(0, "any_");
            }
        }
        return;
    }
    let extreme = aggregate.name.trim_start_matches("arg_");
    // The old spelling says of each column what it is.
    let old = called == "argmax" || called == "argmin";
    let Some((first, rest)) = suggestions.split_first_mut() else {
        return;
    };
    for (at, other) in (1..).zip(rest) {
        if other.is_empty() {
            *other = format!("{extreme}_{first}_arg{at}");
        } else if old {
            *other = format!("{extreme}_{first}_{other}");
        }
    }
    if old || first.is_empty() {
        *first = format!("{extreme}_{first}");
    }
}
