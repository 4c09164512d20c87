//! Scalar expressions.

use super::{Binder, Binding, Bound, Scope};
use crate::kql::QueryError;
use crate::kql::functions::{Accepts, convert_to, json};
use crate::kql::operators;
use crate::kql::plan::{self, Expr, ExprNode, Function};
use crate::kql::syntax::{
    BinaryOperator, Expression, ExpressionNode, ListOperator, ListTest, LogicOperator, Span,
};
use crate::kql::value::{Type, Value};

impl Binder<'_> {
    pub(super) fn expression(&mut self, scope: Scope<'_>, expression: &Expression) -> Bound<Expr> {
        self.deeper(|binder| binder.expression_node(scope, expression))
    }

    fn expression_node(&mut self, scope: Scope<'_>, expression: &Expression) -> Bound<Expr> {
        let span = &expression.span;
        match &expression.node {
            ExpressionNode::Literal { value, kind } => Ok(Expr::constant(value.clone(), *kind)),
            ExpressionNode::TypeOf(kind) => {
                Ok(Expr::constant(Value::string(kind.as_str()), Type::String))
            }
            ExpressionNode::Name(name) => self.name(scope, name, span),
            ExpressionNode::Star => Err(self.wrong(
                "SEM0005",
                span.clone(),
                format!("'{}' operator: '*' is not allowed here", scope.operator),
            )),
            ExpressionNode::Call { name, arguments } => {
                self.call(scope, name, arguments, span)
            }
            ExpressionNode::Member { of, name } => {
                let of = self.expression(scope, of)?;
                let key = Expr::constant(Value::String(name.text.clone()), Type::String);
                self.index(scope, of, key, &name.span)
            }
            ExpressionNode::Index { of, index, bracket } => {
                let of = self.expression(scope, of)?;
                let index = self.expression(scope, index)?;
                self.index(scope, of, index, bracket)
            }
            ExpressionNode::Negate(operand) => {
                let mut operand = self.expression(scope, operand)?;
                if operand.kind == Type::Int && operand.as_constant().is_none() {
                    operand = self.converted(operand, Type::Long);
                }
                let kind = operand.kind;
                if !(kind.is_numeric() || matches!(kind, Type::TimeSpan | Type::Dynamic)) {
                    return Err(self.wrong(
                        "SEM0064",
                        span.clone(),
                        format!("The operator '-' is not defined for type {kind}"),
                    ));
                }
                Ok(self.fold(Expr::call(operators::negate, vec![operand], kind)))
            }
            ExpressionNode::Binary {
                operator,
                operator_span,
                left,
                right,
            } => {
                if left.node == ExpressionNode::Star {
                    let right = self.expression(scope, right)?;
                    return self.any_column(scope.columns, *operator, operator_span, &right);
                }
                let left = self.expression(scope, left)?;
                let right = self.expression(scope, right)?;
                self.binary(*operator, operator_span, left, right)
            }
            ExpressionNode::Logic {
                operator,
                operands,
                words,
            } => {
                let word = match operator {
                    LogicOperator::And => "and",
                    LogicOperator::Or => "or",
                };
                let mut bound = Vec::with_capacity(operands.len());
                for (at, operand) in operands.iter().enumerate() {
                    let expr = self.expression(scope, operand)?;
                    bound.push(match expr.kind {
                        Type::Bool => expr,
                        Type::Dynamic => self.converted(expr, Type::Bool),
                        other => {
                            let place = words.get(at.saturating_sub(1)).unwrap_or(&operand.span);
                            return Err(self.wrong(
                                "SEM0007",
                                place.clone(),
                                format!("The operator '{word}' is not defined for type {other}"),
                            ));
                        }
                    });
                }
                Ok(self.fold(Expr {
                    node: ExprNode::Logic {
                        and: *operator == LogicOperator::And,
                        operands: bound,
                    },
                    kind: Type::Bool,
                }))
            }
            ExpressionNode::List {
                operator,
                value,
                list,
            } => self.list(scope, *operator, value, list),
            ExpressionNode::Between {
                negated,
                operator_span,
                value,
                low,
                high,
            } => {
                let value = self.expression(scope, value)?;
                let (low_span, high_span) = (&low.span, &high.span);
                let low = self.expression(scope, low)?;
                let high = self.expression(scope, high)?;
                let sides = [(low, low_span), (high, high_span)];
                self.between(*negated, operator_span, value, sides)
            }
            ExpressionNode::Query(_) | ExpressionNode::Tables(_) => Err(self.wrong(
                "SEM0006",
                span.clone(),
                format!(
                    "'{}' operator: a scalar expression is expected here, not a table (Hint: toscalar())",
                    scope.operator
                ),
            )),
        }
    }

    fn between(
        &self,
        negated: bool,
        operator_span: &Span,
        value: Expr,
        [(low, low_span), (mut high, high_span)]: [(Expr, &Span); 2],
    ) -> Bound<Expr> {
        if value.kind == Type::DateTime && high.kind == Type::TimeSpan {
            // `between (start .. 5h)`: the end is so long after the start.
            high = self.fold(Expr::call(
                operators::add,
                vec![low.clone(), high],
                Type::DateTime,
            ));
        }
        for (side, span) in [(&low, low_span), (&high, high_span)] {
            if !operators::ordered(value.kind, side.kind) {
                // Of moments and dynamic values the side is wrong, else the operation is.
                let place = match value.kind {
                    Type::DateTime | Type::TimeSpan | Type::Dynamic => span,
                    number if number.is_numeric() && low.kind != high.kind => span,
                    _ => operator_span,
                };
                return Err(self.wrong(
                    "SEM0062",
                    place.clone(),
                    format!(
                        "The operator 'between' is not defined for types {} and {}",
                        value.kind, side.kind
                    ),
                ));
            }
        }
        let kernel = if negated {
            operators::not_between
        } else {
            operators::between
        };
        Ok(self.fold(Expr::call(kernel, vec![value, low, high], Type::Bool)))
    }

    fn name(&mut self, scope: Scope<'_>, name: &str, span: &Span) -> Bound<Expr> {
        if let Some(index) = plan::find(scope.columns, name) {
            if scope.aggregates.is_some() {
                return Err(self.wrong(
                    "SEM0097",
                    span.clone(),
                    format!("'summarize' operator: '{name}' is not within an aggregate and not among the 'by' expressions"),
                ));
            }
            return Ok(Expr::column(index, scope.columns[index].kind));
        }
        match self.lookup(name) {
            Some(Binding::Scalar(expr, query)) => {
                if *query != self.query && expr.names_column() {
                    return self.unsupported("a row's value within another query", span);
                }
                Ok(expr.clone())
            }
            Some(Binding::Table(_)) => Err(self.wrong(
                "SEM0006",
                span.clone(),
                format!(
                    "'{}' operator: '{name}' is a table, a scalar expression is expected here",
                    scope.operator
                ),
            )),
            Some(Binding::Function(..)) => self.call_user_scalar(scope, name, &[], span),
            None if scope
                .columns
                .iter()
                .any(|column| column.visibility == plan::Visibility::Open) =>
            {
                self.unsupported("a column that only the rows tell", span)
            }
            None => Err(self.unresolved(scope.operator, "scalar", name, span.clone())),
        }
    }

    fn index(&mut self, scope: Scope<'_>, of: Expr, index: Expr, span: &Span) -> Bound<Expr> {
        if of.kind != Type::Dynamic {
            return Err(self.wrong(
                "SEM0063",
                span.clone(),
                format!(
                    "'{}' operator: only a dynamic value has elements, this one is {} (Hint: todynamic())",
                    scope.operator, of.kind
                ),
            ));
        }
        if !matches!(
            index.kind,
            Type::String | Type::Int | Type::Long | Type::Dynamic
        ) {
            return Err(self.wrong(
                "SEM0063",
                span.clone(),
                format!(
                    "An element is named by a string or an integer, not by {}",
                    index.kind
                ),
            ));
        }
        Ok(self.fold(Expr::call(json::index, vec![of, index], Type::Dynamic)))
    }

    pub(super) fn binary(
        &mut self,
        operator: BinaryOperator,
        span: &Span,
        mut left: Expr,
        mut right: Expr,
    ) -> Bound<Expr> {
        let Some((kind, function)) = operators::binary(operator, left.kind, right.kind) else {
            let (left, right) = (left.kind, right.kind);
            let arithmetic = matches!(
                operator,
                BinaryOperator::Add
                    | BinaryOperator::Subtract
                    | BinaryOperator::Multiply
                    | BinaryOperator::Divide
                    | BinaryOperator::Modulo
            );
            return Err(self.wrong(
                if arithmetic { "SEM0064" } else { "SEM0062" },
                span.clone(),
                format!(
                    "The operator '{}' is not defined for types {left} and {right}",
                    operators::symbol(operator)
                ),
            ));
        };
        match operator {
            BinaryOperator::Text(_) => {
                left = self.converted(left, Type::String);
                right = self.converted(right, Type::String);
            }
            BinaryOperator::Add
            | BinaryOperator::Subtract
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo => match (left.kind, right.kind) {
                (Type::Dynamic, Type::Dynamic) => {
                    let plain = self.fold(Expr::applied(function, vec![left, right], Type::Real));
                    return Ok(self.converted(plain, Type::Dynamic));
                }
                // A length of time is added to a moment, a moment taken from it.
                (Type::Dynamic, Type::DateTime) if operator == BinaryOperator::Add => {
                    left = self.converted(left, Type::TimeSpan);
                }
                (Type::DateTime, Type::Dynamic) if operator == BinaryOperator::Add => {
                    right = self.converted(right, Type::TimeSpan);
                }
                (Type::Dynamic, other) => left = self.converted(left, other),
                (other, Type::Dynamic) => right = self.converted(right, other),
                _ => {}
            },
            _ => {}
        }
        Ok(self.fold(Expr::applied(function, vec![left, right], kind)))
    }

    fn list(
        &mut self,
        scope: Scope<'_>,
        operator: ListOperator,
        value: &Expression,
        list: &[Expression],
    ) -> Bound<Expr> {
        let value_span = &value.span;
        let mut value = self.expression(scope, value)?;
        if operator.test != ListTest::In {
            let test = if operator.test == ListTest::HasAny {
                "has_any"
            } else {
                "has_all"
            };
            value = self.accept(test, 0, Accepts::Text, value, value_span)?;
        }
        if let [one] = list
            && self.is_tabular(one)
        {
            let relation = self.table(one, scope.operator)?;
            let index = self.subqueries.len();
            self.subqueries.push(relation);
            return Ok(Expr {
                node: ExprNode::Call {
                    function: Function::InSubquery(operator, index),
                    arguments: vec![value],
                },
                kind: Type::Bool,
            });
        }
        let mut arguments = vec![value];
        for element in list {
            arguments.push(self.expression(scope, element)?);
        }
        Ok(self.fold(Expr {
            node: ExprNode::Call {
                function: Function::List(operator),
                arguments,
            },
            kind: Type::Bool,
        }))
    }

    /// The expression, if it is a truth value; `place` says for whom in an error.
    pub(super) fn condition(&self, expr: Expr, span: &Span, place: &str) -> Bound<Expr> {
        if expr.kind == Type::Bool {
            return Ok(expr);
        }
        Err(self.wrong(
            "SEM0007",
            span.clone(),
            format!(
                "{place}: the expression must be bool, this one is {}",
                expr.kind
            ),
        ))
    }

    /// The expression as another type, if it is not of that type already.
    pub(super) fn converted(&self, expr: Expr, kind: Type) -> Expr {
        if expr.kind == kind {
            return expr;
        }
        self.fold(Expr::call(convert_to(kind), vec![expr], kind))
    }

    /// Works the expression out now if all it depends on is known.
    pub(super) fn fold(&self, expr: Expr) -> Expr {
        if !expr
            .children()
            .iter()
            .all(|child| child.as_constant().is_some())
        {
            return expr;
        }
        match crate::kql::eval::constant(&self.context, &expr) {
            Some(value) => Expr::constant(value, expr.kind),
            None => expr,
        }
    }

    /// A constant whole number that is not negative: of `take`, `top`, `limit`.
    pub(super) fn count(&mut self, expression: &Expression, operator: &str) -> Bound<usize> {
        let expr = self.expression(Scope::of(&[], operator), expression)?;
        match expr.as_constant() {
            Some(Value::Long(count)) => Ok(usize::try_from(*count).unwrap_or(0)),
            Some(Value::Int(count)) => Ok(usize::try_from(*count).unwrap_or(0)),
            Some(_) => Err(self.wrong(
                "SEM0008",
                expression.span.clone(),
                format!(
                    "'{operator}' operator: the number of rows must be an integer, this is {}",
                    expr.kind
                ),
            )),
            None => Err(QueryError::Unsupported {
                what: format!("'{operator}' with a number of rows that a subquery works out"),
                span: expression.span.clone(),
            }),
        }
    }
}
