//! The query's own functions, and what is a table and what a scalar.

use super::{Binder, Binding, Bound, Scope};
use crate::kql::functions::Accepts;
use crate::kql::plan::Expr;
use crate::kql::syntax::{
    self, Expression, ExpressionNode, NamedExpression, ParameterKind, Span, Statement,
};
use crate::kql::value::Type;

impl Binder<'_> {
    /// Calls a function of the query that gives a scalar.
    pub(super) fn call_user_scalar(
        &mut self,
        scope: Scope<'_>,
        name: &str,
        arguments: &[NamedExpression],
        span: &Span,
    ) -> Bound<Expr> {
        self.with_user_function(scope, name, arguments, span, |binder, result| {
            binder.expression(Scope::of(&[], scope.operator), result)
        })
    }

    /// Binds the arguments, then the body with `bind`.
    pub(super) fn with_user_function<T>(
        &mut self,
        scope: Scope<'_>,
        name: &str,
        arguments: &[NamedExpression],
        span: &Span,
        bind: impl FnOnce(&mut Self, &Expression) -> Bound<T>,
    ) -> Bound<T> {
        let Some(Binding::Function(function, frame)) = self.lookup(name) else {
            return Err(self.wrong(
                "SEM0260",
                span.clone(),
                format!("Unknown function: '{name}'"),
            ));
        };
        let (function, mut frame) = (function.clone(), frame.clone());
        if arguments.len() > function.parameters.len() {
            return Err(self.user_arity(name, &function, arguments.len(), span));
        }
        for given in arguments.iter().flat_map(|argument| &argument.names) {
            let mut known = function.parameters.iter();
            if !known.any(|parameter| parameter.name.text == given.text) {
                return Err(self.wrong(
                    "SEM0219",
                    given.span.clone(),
                    format!("{name}(): there is no parameter '{}'", given.text),
                ));
            }
        }
        for (at, parameter) in function.parameters.iter().enumerate() {
            let given = arguments
                .iter()
                .find(|argument| {
                    argument
                        .names
                        .first()
                        .is_some_and(|name| name.text == parameter.name.text)
                })
                .or_else(|| {
                    arguments
                        .get(at)
                        .filter(|argument| argument.names.is_empty())
                });
            let binding = match (&parameter.kind, given, &parameter.default) {
                (ParameterKind::Table(columns), Some(argument), _) => {
                    let relation = self.table(&argument.value, name)?;
                    for column in columns {
                        let has = relation
                            .column(&column.name.text)
                            .is_some_and(|index| relation.columns[index].kind == column.kind);
                        if !has {
                            return Err(self.wrong(
                                "SEM0220",
                                argument.value.span.clone(),
                                format!(
                                    "{name}(): the table has no column '{}' of type {}",
                                    column.name.text, column.kind
                                ),
                            ));
                        }
                    }
                    Binding::Table(relation)
                }
                (ParameterKind::Scalar(kind), Some(argument), _) => {
                    let expr = self.expression(scope, &argument.value)?;
                    Binding::Scalar(
                        self.argument(name, at, *kind, expr, &argument.value.span)?,
                        self.query,
                    )
                }
                (ParameterKind::Scalar(kind), None, Some(default)) => {
                    let expr = self.expression(Scope::of(&[], name), default)?;
                    Binding::Scalar(
                        self.argument(name, at, *kind, expr, &default.span)?,
                        self.query,
                    )
                }
                _ => return Err(self.user_arity(name, &function, arguments.len(), span)),
            };
            frame.own.push((parameter.name.text.clone(), binding));
        }
        self.within(frame, |binder| {
            for statement in &function.lets {
                match statement {
                    Statement::Let { name, value } => binder.bind_let(name, value, true)?,
                    Statement::Set { .. } | Statement::Declare(_) | Statement::Query(_) => {}
                }
            }
            bind(binder, &function.result)
        })
    }

    fn argument(&self, name: &str, at: usize, kind: Type, expr: Expr, span: &Span) -> Bound<Expr> {
        if expr.kind.is_numeric() && kind.is_numeric() {
            return Ok(self.converted(expr, kind));
        }
        self.accept(name, at, Accepts::Is(kind), expr, span)
    }

    fn user_arity(
        &self,
        name: &str,
        function: &syntax::Function,
        count: usize,
        span: &Span,
    ) -> crate::kql::QueryError {
        self.wrong(
            "SEM0219",
            span.clone(),
            format!(
                "{name}(): function expects {} argument(s), got {count}",
                function.parameters.len()
            ),
        )
    }

    /// Whether the expression is a table, without binding it.
    pub(super) fn is_tabular(&self, expression: &Expression) -> bool {
        match &expression.node {
            ExpressionNode::Query(_) | ExpressionNode::Tables(_) => true,
            ExpressionNode::Name(name) => match self.lookup(name) {
                Some(Binding::Table(_)) => true,
                Some(Binding::Function(function, _)) => self.is_tabular_body(function),
                Some(Binding::Scalar(..)) => false,
                None => self.schema.table(name).is_some(),
            },
            ExpressionNode::Call { name, .. } => match self.lookup(&name.text) {
                Some(Binding::Function(function, _)) => self.is_tabular_body(function),
                _ => TABULAR.contains(&&*name.text),
            },
            ExpressionNode::Member { of, .. } => self.is_tabular(of),
            _ => false,
        }
    }

    fn is_tabular_body(&self, function: &syntax::Function) -> bool {
        match &function.result.node {
            ExpressionNode::Query(_) => true,
            ExpressionNode::Name(name) => {
                let parameter = function
                    .parameters
                    .iter()
                    .find(|parameter| parameter.name.text == *name);
                match parameter {
                    Some(parameter) => matches!(parameter.kind, ParameterKind::Table(_)),
                    None => self.schema.table(name).is_some(),
                }
            }
            ExpressionNode::Call { name, .. } => TABULAR.contains(&&*name.text),
            _ => false,
        }
    }

    /// Whether the expression is a lone name that nothing bears.
    pub(super) fn names_nothing(&self, expression: &Expression) -> bool {
        match &expression.node {
            ExpressionNode::Name(name) => self.lookup(name).is_none(),
            _ => false,
        }
    }
}

/// Functions that give tables.
const TABULAR: [&str; 13] = [
    "totable",
    "materialize",
    "table",
    "workspace",
    "app",
    "resource",
    "database",
    "cluster",
    "adx",
    "arg",
    "external_table",
    "materialized_view",
    "stored_query_result",
];
