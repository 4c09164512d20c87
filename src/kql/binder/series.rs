//! `make-series`: a `summarize` by bins of an axis, whose rows become arrays.

use super::naming::suggested;
use super::operators::explicit_name;
use super::sources::shown;
use super::{Binder, Bound, Scope};
use crate::kql::plan::{Expr, Node, Relation, SeriesNode};
use crate::kql::syntax::{Expression, ExpressionNode, MakeSeries, Name, NamedExpression};
use crate::kql::value::{Type, Value};

impl Binder<'_> {
    pub(super) fn make_series(&mut self, input: Relation, series: &MakeSeries) -> Bound<Relation> {
        let mut defaults = Vec::new();
        for (_, default) in &series.aggregates {
            defaults.push(match default {
                Some(default) => {
                    let expr = self.expression(Scope::of(&[], "make-series"), default)?;
                    match expr.as_constant() {
                        Some(value) => value.clone(),
                        None => {
                            return self
                                .unsupported("a default that is not constant", &default.span);
                        }
                    }
                }
                None => Value::Long(0),
            });
        }
        let scope = Scope::of(&input.columns, "make-series");
        let aggregates: Vec<NamedExpression> = series
            .aggregates
            .iter()
            .map(|(value, _)| value.clone())
            .collect();
        // A name that is wrong in the aggregates comes before one on the axis.
        let axis = match self.expression(scope, &series.on.value) {
            Ok(axis) => axis,
            Err(error) => {
                self.summarize(input.clone(), &aggregates, &series.by)?;
                return Err(error);
            }
        };
        let scope = Scope::of(&[], "make-series");
        let mut bounds = Vec::new();
        for bound in [&series.from, &series.to] {
            bounds.push(match bound {
                Some(bound) => {
                    let expr = self.expression(scope, bound)?;
                    let fits =
                        expr.kind == axis.kind || expr.kind.is_numeric() && axis.kind.is_numeric();
                    if !fits {
                        return Err(self.wrong(
                            "SEM0220",
                            bound.span.clone(),
                            format!(
                                "'make-series' operator: the axis is {}, its bound {}",
                                axis.kind, expr.kind
                            ),
                        ));
                    }
                    Some(self.converted(expr, axis.kind))
                }
                None => None,
            });
        }
        let to = bounds.pop().flatten();
        let from = bounds.pop().flatten();
        let step = self.expression(scope, &series.step)?;
        let step = self.step(axis.kind, step, &series.step)?;
        let keys = series.by.len();
        let mut by = series.by.clone();
        by.push(bins(series));
        let input = self.summarize(input, &aggregates, &by)?;
        let columns = input.columns.iter();
        let mut columns: Vec<_> = columns
            .filter(|column| column.visibility.is_named())
            .cloned()
            .collect();
        let axis = columns.remove(keys);
        for column in &mut columns[keys..] {
            column.kind = Type::Dynamic;
        }
        columns.push(shown(axis.name, Type::Dynamic));
        let several = columns.len() - keys - 1;
        // Aggregates of several columns have no default of their own.
        defaults.resize(several, Value::Long(0));
        let height = input.height;
        let node = Node::Series(Box::new(SeriesNode {
            input,
            keys,
            defaults,
            from,
            to,
            step,
            inclusive: series.inclusive,
        }));
        self.relation(node, columns, height)
    }

    /// The step as the axis needs it.
    fn step(&self, axis: Type, step: Expr, expression: &Expression) -> Bound<Expr> {
        let wanted = match axis {
            Type::DateTime | Type::TimeSpan => Type::TimeSpan,
            numeric if numeric.is_numeric() => step.kind,
            _ => Type::Dynamic,
        };
        let fits = wanted == Type::TimeSpan && step.kind == Type::TimeSpan
            || axis.is_numeric() && step.kind.is_numeric();
        // A text may be one that reads as a step.
        if fits || step.kind == Type::String && wanted == Type::TimeSpan {
            return Ok(self.converted(step, wanted));
        }
        Err(self.wrong(
            "SEM0220",
            expression.span.clone(),
            format!(
                "'make-series' operator: {} is no step of an axis of type {axis}",
                step.kind
            ),
        ))
    }
}

/// `axis = bin_at(on, step, from)`, or `bin(on, step)` without a start.
fn bins(series: &MakeSeries) -> NamedExpression {
    let on = &series.on.value;
    let step = match &series.step.node {
        ExpressionNode::Literal {
            value: Value::String(_),
            ..
        } => Expression {
            node: ExpressionNode::Call {
                name: word("totimespan", &series.step),
                arguments: vec![unnamed(&series.step)],
            },
            ..series.step.clone()
        },
        _ => series.step.clone(),
    };
    let (function, mut arguments) = match &series.from {
        Some(from) => ("bin_at", vec![unnamed(from)]),
        None => ("bin", Vec::new()),
    };
    arguments.insert(0, unnamed(&step));
    arguments.insert(0, unnamed(on));
    let name = explicit_name(&series.on).or_else(|| suggested(on).map(Into::into));
    NamedExpression {
        names: name
            .map(|text| Name {
                text,
                span: on.span.clone(),
            })
            .into_iter()
            .collect(),
        value: Expression {
            node: ExpressionNode::Call {
                name: word(function, on),
                arguments,
            },
            span: on.span.clone(),
            height: on.height.max(series.step.height) + 1,
        },
    }
}

fn word(text: &str, at: &Expression) -> Name {
    Name {
        text: text.into(),
        span: at.span.clone(),
    }
}

fn unnamed(value: &Expression) -> NamedExpression {
    NamedExpression {
        names: Vec::new(),
        value: value.clone(),
    }
}
