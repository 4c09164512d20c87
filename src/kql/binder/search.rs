//! `search`, `find`, and `*` before a test: all columns of all tables.

use std::sync::Arc;

use super::columns::like;
use super::operators::pass;
use super::sources::shown;
use super::{Binder, Bound, Scope};
use crate::kql::functions::pack_all;
use crate::kql::plan::{Expr, ExprNode, Node, PlanColumn, Relation, Visibility, find};
use crate::kql::syntax::{
    BinaryOperator, ColumnPattern, Expression, ExpressionNode, Find, Name, Search, Span,
    TextOperator, TextTest, Union,
};
use crate::kql::value::{Type, Value};

impl Binder<'_> {
    /// `search in (tables) predicate`: the rows of all tables, those of which it holds.
    pub(super) fn search(&mut self, search: &Search) -> Bound<Relation> {
        let source = Name {
            text: "$table".into(),
            span: search.name.span.clone(),
        };
        let rows = self.all_of(&search.name, &search.tables, source)?;
        self.searched(rows, search)
    }

    /// `T | search predicate`: the rows' table comes first.
    pub(super) fn search_piped(&mut self, input: Relation, search: &Search) -> Bound<Relation> {
        let table = super::joins::source_name(&input, 0);
        let mut outputs = pass(&input.columns);
        outputs.retain(|(column, _)| &*column.name != "$table");
        outputs.insert(
            0,
            (
                shown("$table", Type::String),
                Expr::constant(Value::String(table), Type::String),
            ),
        );
        let rows = self.projection(input, outputs)?;
        self.searched(rows, search)
    }

    fn searched(&mut self, rows: Relation, search: &Search) -> Bound<Relation> {
        let predicate = self.search_predicate(&rows, &search.predicate, search.case_sensitive)?;
        self.over(rows, |input| Node::Filter { input, predicate })
    }

    /// The union of the tables, all if none is named, with a column for the name of each row's.
    fn all_of(&mut self, name: &Name, tables: &[Expression], source: Name) -> Bound<Relation> {
        let everything = Expression {
            node: ExpressionNode::Tables(ColumnPattern {
                text: "*".into(),
                wild: true,
                span: name.span.clone(),
            }),
            span: name.span.clone(),
            height: 1,
        };
        let union = Union {
            name: name.clone(),
            inner: false,
            source_column: Some(source),
            fuzzy: false,
            tables: if tables.is_empty() {
                vec![everything]
            } else {
                tables.to_vec()
            },
        };
        self.union(None, &union)
    }

    /// A text alone, and `*: "text"`, is sought in all columns.
    fn search_predicate(
        &mut self,
        rows: &Relation,
        predicate: &Expression,
        case_sensitive: bool,
    ) -> Bound<Expr> {
        match &predicate.node {
            ExpressionNode::Literal {
                value: Value::String(term),
                ..
            } => {
                let (operator, term) = term_test(term, case_sensitive);
                let term = Expr::constant(Value::string(term), Type::String);
                self.any_column(&rows.columns, operator, &predicate.span, &term)
            }
            ExpressionNode::Logic {
                operator, operands, ..
            } => {
                let mut bound = Vec::with_capacity(operands.len());
                for operand in operands {
                    bound.push(self.search_predicate(rows, operand, case_sensitive)?);
                }
                Ok(self.fold(Expr {
                    node: ExprNode::Logic {
                        and: *operator == crate::kql::syntax::LogicOperator::And,
                        operands: bound,
                    },
                    kind: Type::Bool,
                }))
            }
            _ => {
                let expr = self.expression(Scope::of(&rows.columns, "search"), predicate)?;
                self.condition(expr, &predicate.span, "'search' operator")
            }
        }
    }

    /// `* operator right`: whether any column passes that can.
    pub(super) fn any_column(
        &mut self,
        columns: &[PlanColumn],
        operator: BinaryOperator,
        span: &Span,
        right: &Expr,
    ) -> Bound<Expr> {
        let mut operands = Vec::new();
        for (index, column) in columns.iter().enumerate() {
            let fits = match operator {
                BinaryOperator::Text(_) => matches!(column.kind, Type::String | Type::Dynamic),
                _ => column.kind == right.kind,
            };
            if column.visibility == Visibility::Shown && fits && &*column.name != "$table" {
                let left = Expr::column(index, column.kind);
                operands.push(self.binary(operator, span, left, right.clone())?);
            }
        }
        Ok(match operands.len() {
            0 => Expr::constant(Value::Bool(false), Type::Bool),
            _ => Expr {
                node: ExprNode::Logic {
                    and: false,
                    operands,
                },
                kind: Type::Bool,
            },
        })
    }

    /// `find in (tables) where predicate project columns`
    pub(super) fn find(&mut self, query: &Find) -> Bound<Relation> {
        let source = query.source_column.clone().unwrap_or_else(|| Name {
            text: "source_".into(),
            span: query.name.span.clone(),
        });
        let rows = self.all_of(&query.name, &query.tables, source)?;
        let predicate = self.search_predicate(&rows, &query.predicate, false)?;
        let mut mentioned = vec![false; rows.columns.len()];
        if !matches!(query.predicate.node, ExpressionNode::Literal { .. }) {
            predicate.mark(&mut mentioned);
        }
        let common = self.common_columns(&rows);
        let filtered = self.over(rows, |input| Node::Filter { input, predicate })?;
        let all = pass(&filtered.columns);
        let mut outputs = vec![all[0].clone()];
        if let Some(columns) = &query.columns {
            for name in columns {
                match find(&filtered.columns, &name.text) {
                    Some(index) => outputs.push(all[index].clone()),
                    None => {
                        return Err(self.unresolved(
                            "find",
                            "column",
                            &name.text,
                            name.span.clone(),
                        ));
                    }
                }
            }
            return self.projection(filtered, outputs);
        }
        let mut rest = Vec::new();
        for index in 1..all.len() {
            let (column, expr) = &all[index];
            if !column.visibility.is_named() {
                continue;
            }
            if common[index] || mentioned[index] {
                outputs.push(all[index].clone());
            } else if column.visibility == Visibility::Shown {
                let name = Expr::constant(Value::String(column.name.clone()), Type::String);
                rest.extend([name, expr.clone()]);
            }
        }
        if !rest.is_empty() {
            // As pack_all(true): what is null or empty is left out.
            rest.insert(0, Expr::constant(Value::Bool(true), Type::Bool));
            let bag = Expr::call(pack_all, rest, Type::Dynamic);
            outputs.push((shown("pack_", Type::Dynamic), bag));
        }
        self.projection(filtered, outputs)
    }

    /// Which of a union's columns come from all its inputs.
    fn common_columns(&self, union: &Relation) -> Vec<bool> {
        let Node::Union(inputs) = &union.node else {
            return vec![true; union.columns.len()];
        };
        (0..union.columns.len())
            .map(|index| {
                inputs.iter().all(|(_, outputs)| {
                    outputs
                        .get(index)
                        .is_some_and(|output| matches!(output.node, ExprNode::Column(_)))
                })
            })
            .collect()
    }

    /// The tables whose names fit the pattern.
    pub(super) fn tables(&self, pattern: &ColumnPattern) -> Vec<Arc<str>> {
        self.schema
            .tables()
            .map(|table| table.name.clone())
            .filter(|name| like(name, &pattern.text))
            .collect()
    }
}

/// `term`, `term*`, `*term` or `*term*`: how a search looks for it, and what is left of it.
fn term_test(term: &str, case_sensitive: bool) -> (BinaryOperator, &str) {
    let (start, end) = (term.starts_with('*'), term.len() > 1 && term.ends_with('*'));
    let bare = term.strip_prefix('*').unwrap_or(term);
    let bare = if end {
        bare.strip_suffix('*').unwrap_or(bare)
    } else {
        bare
    };
    let test = match (start, end) {
        (false, false) => TextTest::Has,
        (false, true) => TextTest::HasPrefix,
        (true, false) => TextTest::HasSuffix,
        (true, true) => TextTest::Contains,
    };
    let test = if bare.is_empty() {
        TextTest::Contains
    } else {
        test
    };
    let operator = BinaryOperator::Text(TextOperator {
        test,
        case_sensitive,
        negated: false,
    });
    (operator, bare)
}
