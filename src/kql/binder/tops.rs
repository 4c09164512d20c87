//! `top-nested`, `top-hitters` and `sample-distinct`.

use super::naming::suggested;
use super::operators::explicit_name;
use super::sources::shown;
use super::summarize::Collector;
use super::{Binder, Bound, Scope};
use crate::kql::functions::Accepts;
use crate::kql::plan::{Expr, NestedLevel, Node, OrderBy, Relation};
use crate::kql::syntax::{Expression, ExpressionNode, Name, NamedExpression, NestedTop};
use crate::kql::value::Type;

impl Binder<'_> {
    pub(super) fn top_nested(&mut self, input: Relation, tops: &[NestedTop]) -> Bound<Relation> {
        let mut columns = Vec::new();
        let mut levels = Vec::new();
        for top in tops {
            let count = match &top.count {
                Some(count) => Some(self.count(count, "top-nested")?),
                None => None,
            };
            let scope = Scope::of(&input.columns, "top-nested");
            let key = self.expression(scope, &top.of.value)?;
            let others = match &top.others {
                Some(others) => {
                    let expr = self.expression(Scope::of(&[], "top-nested"), others)?;
                    let expr = self.converted(expr, key.kind);
                    match expr.as_constant() {
                        Some(value) => Some(value.clone()),
                        None => {
                            return self.unsupported("others that are not constant", &others.span);
                        }
                    }
                }
                None => None,
            };
            let collector = Collector::without_keys();
            let scope = Scope {
                aggregates: Some(&collector),
                ..scope
            };
            if let ExpressionNode::Name(name) = &top.by.value.node {
                return Err(self.wrong(
                    "SEM0097",
                    top.by.value.span.clone(),
                    format!("'top-nested' operator: '{name}' is no aggregate"),
                ));
            }
            let value = self.expression(scope, &top.by.value)?;
            let of = explicit_name(&top.of)
                .or_else(|| suggested(&top.of.value).map(Into::into))
                .unwrap_or_else(|| format!("Column{}", columns.len() / 2 + 1).into());
            let aggregated = match top.by.names.first() {
                Some(name) => name.text.clone(),
                None => format!("aggregated_{of}").into(),
            };
            columns.push(shown(of, key.kind));
            columns.push(shown(aggregated, value.kind));
            levels.push(NestedLevel {
                key,
                calls: collector.into_calls(),
                value,
                count,
                others,
                descending: top.descending,
            });
        }
        let height = input.height;
        let node = Node::TopNested {
            input: Box::new(input),
            levels,
        };
        self.relation(node, columns, height)
    }

    /// Exact, where the service estimates.
    pub(super) fn top_hitters(
        &mut self,
        input: Relation,
        count: &Expression,
        of: &NamedExpression,
        by: Option<&Expression>,
    ) -> Bound<Relation> {
        let limit = self.count(count, "top-hitters")?;
        let of_name = self.bare_column(&input, of, "top-hitters")?;
        let (aggregate, arguments, name) = match by {
            Some(by) => {
                let scope = Scope::of(&input.columns, "top-hitters");
                let bound = self.expression(scope, by)?;
                self.accept("top-hitters", 0, Accepts::Number, bound, &by.span)?;
                let measured = suggested(by).unwrap_or_default();
                let argument = NamedExpression {
                    names: Vec::new(),
                    value: by.clone(),
                };
                ("sum", vec![argument], format!("approximate_sum_{measured}"))
            }
            None => ("count", Vec::new(), format!("approximate_count_{of_name}")),
        };
        let span = by.map_or(&of.value.span, |by| &by.span).clone();
        let value = NamedExpression {
            names: vec![Name {
                text: name.into(),
                span: span.clone(),
            }],
            value: Expression {
                node: ExpressionNode::Call {
                    name: Name {
                        text: aggregate.into(),
                        span: span.clone(),
                    },
                    arguments,
                },
                height: by.map_or(1, |by| by.height + 1),
                span,
            },
        };
        let grouped = self.summarize(input, &[value], std::slice::from_ref(of))?;
        let keys = vec![OrderBy {
            value: Expr::column(1, grouped.columns[1].kind),
            descending: true,
            nulls_first: false,
        }];
        self.over(grouped, |input| Node::Sort {
            input,
            keys,
            limit: Some(limit),
        })
    }

    pub(super) fn sample_distinct(
        &mut self,
        input: Relation,
        count: &Expression,
        of: &NamedExpression,
    ) -> Bound<Relation> {
        let count = self.count(count, "sample-distinct")?;
        self.bare_column(&input, of, "sample-distinct")?;
        let distinct = self.distinct(input, std::slice::from_ref(of), &of.value.span)?;
        self.over(distinct, |input| Node::Take { input, count })
    }

    /// The name of the column that the expression must be.
    pub(super) fn bare_column(
        &mut self,
        input: &Relation,
        value: &NamedExpression,
        operator: &str,
    ) -> Bound<std::sync::Arc<str>> {
        let bound = self.expression(Scope::of(&input.columns, operator), &value.value)?;
        match &value.value.node {
            ExpressionNode::Name(name) if bound.kind != Type::Dynamic => Ok(name.clone()),
            _ => Err(self.wrong(
                "SEM0018",
                value.value.span.clone(),
                format!("'{operator}' operator: a column that is not dynamic is expected here"),
            )),
        }
    }
}
