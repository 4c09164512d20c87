//! Calls of functions: the engine's own and the query's.

use super::{Binder, Binding, Bound, Scope};
use crate::kql::functions::{self, Accepts, Kernel, Returns, ScalarFunction, Special, aggregates};
use crate::kql::names;
use crate::kql::operators;
use crate::kql::plan::{Expr, ExprNode, Function, Visibility};
use crate::kql::syntax::{Name, NamedExpression, Span};
use crate::kql::value::{Type, Value};

impl Binder<'_> {
    pub(super) fn call(
        &mut self,
        scope: Scope<'_>,
        name: &Name,
        arguments: &[NamedExpression],
        span: &Span,
    ) -> Bound<Expr> {
        if let Some(Binding::Function(..)) = self.lookup(&name.text) {
            return self.call_user_scalar(scope, &name.text, arguments, span);
        }
        if let (Some(collector), Some(aggregate)) =
            (scope.aggregates, aggregates::aggregate(&name.text))
        {
            return self.aggregate(scope, collector, aggregate, name, arguments);
        }
        // Of one argument it is a conversion.
        let called = match (&*name.text, arguments.len()) {
            ("make_datetime", 1) => "todatetime",
            ("make_timespan", 1) => "totimespan",
            (name, _) => name,
        };
        if let Some(function) = functions::scalar_function(called) {
            return self.call_function(scope, function, name, arguments, span);
        }
        if aggregates::aggregate(&name.text).is_some()
            || names::AGGREGATES.contains(&&*name.text) && !names::FUNCTIONS.contains(&&*name.text)
        {
            if scope.aggregates.is_some() {
                return self.unsupported(format!("the aggregate {}()", name.text), &name.span);
            }
            return Err(self.wrong(
                "SEM0098",
                name.span.clone(),
                format!(
                    "'{}' operator: the aggregate function '{}' is not allowed here",
                    scope.operator, name.text
                ),
            ));
        }
        if names::FUNCTIONS.contains(&&*name.text) || names::AGGREGATES.contains(&&*name.text) {
            return self.unsupported(format!("the function {}()", name.text), &name.span);
        }
        Err(self.unknown_function(name))
    }

    pub(super) fn unknown_function(&self, name: &Name) -> crate::kql::QueryError {
        self.wrong(
            "SEM0260",
            name.span.clone(),
            format!("Unknown function: '{}'", name.text),
        )
    }

    fn call_function(
        &mut self,
        scope: Scope<'_>,
        function: &'static ScalarFunction,
        name: &Name,
        arguments: &[NamedExpression],
        span: &Span,
    ) -> Bound<Expr> {
        let count = arguments.len();
        let uneven = match function.kernel {
            // Conditions and values in turn, and one value more.
            Kernel::Special(Special::Case) => count.is_multiple_of(2),
            _ => function.name == "bag_pack" && count % 2 == 1,
        };
        if count < function.least
            || function.parameter(count.max(1) - 1).is_none() && count > 0
            || uneven
        {
            return Err(self.wrong(
                "SEM0219",
                span.clone(),
                format!(
                    "{}(): function expects {}, got {count}",
                    name.text,
                    function.arity()
                ),
            ));
        }
        if let Kernel::Special(special) = function.kernel
            && let Some(expr) = self.special(scope, special, name, arguments)?
        {
            return Ok(expr);
        }
        let mut bound = Vec::with_capacity(count);
        for (at, argument) in arguments.iter().enumerate() {
            let expr = self.expression(scope, &argument.value)?;
            let accepts = match function.kernel {
                Kernel::Special(Special::Case) if at % 2 == 0 && at + 1 < count => {
                    Accepts::Is(Type::Bool)
                }
                Kernel::Special(Special::Case) => Accepts::Any,
                _ => function.parameter(at).unwrap_or(Accepts::Any),
            };
            if let Some(parts) = function.parts
                && at == 0
                && let Some(Value::String(part)) = expr.as_constant()
                && !parts.iter().any(|known| part.eq_ignore_ascii_case(known))
            {
                return Err(self.wrong(
                    "SEM0220",
                    argument.value.span.clone(),
                    format!("{}(): there is no part '{part}'", name.text),
                ));
            }
            // Beside a moment another signature may be meant; beside a number it is the argument.
            let rounded = function.name.starts_with("bin");
            let moments = bound
                .first()
                .is_some_and(|one: &Expr| matches!(one.kind, Type::DateTime | Type::TimeSpan));
            let at_fault = if function.overloaded && (!rounded || moments) {
                &name.span
            } else {
                &argument.value.span
            };
            if function.constants.contains(&at) && expr.as_constant().is_none() {
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
            bound.push(self.accept(&name.text, at, accepts, expr, at_fault)?);
        }
        if function.name == "coalesce" && bound.iter().any(|one| one.kind == Type::Dynamic) {
            let mut all = bound.iter().zip(arguments);
            if let Some((_, argument)) = all.find(|(one, _)| one.kind != Type::Dynamic) {
                return Err(self.wrong(
                    "SEM0221",
                    argument.value.span.clone(),
                    format!(
                        "{}(): beside a dynamic value all must be dynamic",
                        name.text
                    ),
                ));
            }
        }
        let kind = self.result_type(function, name, &mut bound, span)?;
        // The default becomes of the column's type, which is the result's.
        if matches!(function.name, "prev" | "next")
            && let Some(default) = bound.pop_if(|_| arguments.len() == 3)
        {
            bound.push(self.converted(default, kind));
        }
        let node = match function.kernel {
            Kernel::Rows(_) if function.name == "iff" => ExprNode::Call {
                function: Function::Case,
                arguments: bound,
            },
            Kernel::Special(Special::Case) => ExprNode::Call {
                function: Function::Case,
                arguments: bound,
            },
            Kernel::Rows(kernel) => ExprNode::Call {
                function: if function.varying {
                    Function::Varying(kernel)
                } else {
                    Function::Kernel(kernel)
                },
                arguments: bound,
            },
            Kernel::Window(kernel) => ExprNode::Window {
                kernel,
                arguments: bound,
            },
            Kernel::Special(_) => {
                return self.unsupported(format!("{}() in this place", name.text), span);
            }
        };
        Ok(self.fold(Expr { node, kind }))
    }

    /// The argument as the parameter wants it.
    pub(super) fn accept(
        &self,
        function: &str,
        at: usize,
        accepts: Accepts,
        expr: Expr,
        span: &Span,
    ) -> Bound<Expr> {
        let kind = expr.kind;
        let (fits, wanted) = match accepts {
            Accepts::Any => (true, None),
            Accepts::Is(wanted) => (
                kind == wanted || kind == Type::Dynamic && wanted == Type::String,
                Some(wanted),
            ),
            Accepts::Integer => (matches!(kind, Type::Int | Type::Long), None),
            Accepts::Number => (kind.is_numeric(), None),
            Accepts::Measure => (
                kind.is_numeric() || matches!(kind, Type::DateTime | Type::TimeSpan),
                None,
            ),
            Accepts::Length => (kind.is_numeric() || kind == Type::TimeSpan, None),
            Accepts::SeriesOrNumber => (kind.is_numeric() || kind == Type::Dynamic, None),
            Accepts::Ordered => (!matches!(kind, Type::Dynamic | Type::Guid), None),
            Accepts::NotDynamic => (kind != Type::Dynamic, None),
            Accepts::Text => (
                matches!(kind, Type::String | Type::Dynamic),
                Some(Type::String),
            ),
            Accepts::AnyText => (true, Some(Type::String)),
            Accepts::TextOrDynamic => (matches!(kind, Type::String | Type::Dynamic), None),
            Accepts::TypeName => (kind == Type::String && expr.as_constant().is_some(), None),
        };
        if !fits {
            let expected = match accepts {
                Accepts::Is(kind) => kind.to_string(),
                Accepts::Integer => "an integer".into(),
                Accepts::Number => "a number".into(),
                Accepts::Measure => "a number, datetime or timespan".into(),
                Accepts::TypeName => "typeof(…)".into(),
                Accepts::Length => "a number or timespan".into(),
                Accepts::SeriesOrNumber => "a dynamic value or a number".into(),
                Accepts::NotDynamic => "no dynamic value".into(),
                Accepts::Ordered => "a number, datetime, timespan, string or bool".into(),
                Accepts::Text => "a string".into(),
                _ => "a string or dynamic value".into(),
            };
            return Err(self.wrong(
                "SEM0220",
                span.clone(),
                format!(
                    "{function}(): argument #{} was expected to be {expected}, got {kind}",
                    at + 1
                ),
            ));
        }
        Ok(match wanted {
            Some(wanted) => self.converted(expr, wanted),
            None => expr,
        })
    }

    fn result_type(
        &self,
        function: &ScalarFunction,
        name: &Name,
        bound: &mut [Expr],
        span: &Span,
    ) -> Bound<Type> {
        Ok(match function.returns {
            Returns::Is(kind) => kind,
            Returns::Parts(_) => Type::Dynamic,
            Returns::Argument(at) => bound.get(at).map_or(Type::Dynamic, |expr| expr.kind),
            Returns::Of(of) => {
                let kinds: Vec<Type> = bound.iter().map(|expr| expr.kind).collect();
                if function.name.starts_with("bin") {
                    self.check_bin(name, &kinds)?;
                }
                let kind = of(&kinds);
                if kind.is_numeric()
                    && let Some(first) = bound.first_mut()
                    && function.name.starts_with("bin")
                {
                    let value = std::mem::replace(first, Expr::constant(Value::Null, kind));
                    *first = self.converted(value, kind);
                }
                kind
            }
            Returns::TypeOf(at) => match bound.get(at).and_then(Expr::as_constant) {
                Some(Value::String(kind)) => Type::from_name(kind).unwrap_or(Type::String),
                _ => Type::String,
            },
            Returns::Common(from) => {
                let case = matches!(function.kernel, Kernel::Special(Special::Case));
                let last = bound.len() - 1;
                let values: Vec<usize> = (0..bound.len())
                    .filter(|at| *at >= from && (!case || at % 2 == 1 || *at == last))
                    .collect();
                let mut common = bound[values[0]].kind;
                for &at in &values[1..] {
                    common = match common_type(common, bound[at].kind) {
                        Some(kind) => kind,
                        None if function.name == "iff" || case => Type::Dynamic,
                        None => {
                            return Err(self.wrong(
                                "SEM0221",
                                span.clone(),
                                format!(
                                    "{}(): the arguments have no common type: {common} and {}",
                                    name.text, bound[at].kind
                                ),
                            ));
                        }
                    };
                }
                for at in values {
                    let value =
                        std::mem::replace(&mut bound[at], Expr::constant(Value::Null, common));
                    bound[at] = self.converted(value, common);
                }
                common
            }
        })
    }

    fn check_bin(&self, name: &Name, kinds: &[Type]) -> Bound<()> {
        let fits = match kinds {
            [Type::DateTime, Type::DateTime | Type::TimeSpan] => true,
            [of @ (Type::DateTime | Type::TimeSpan), size, from] => {
                (size.is_numeric() || *size == Type::TimeSpan) && from == of
            }
            [Type::TimeSpan, Type::TimeSpan] => true,
            [value, rest @ ..] => value.is_numeric() && rest.iter().all(|kind| kind.is_numeric()),
            [] => false,
        };
        if fits {
            return Ok(());
        }
        Err(self.wrong(
            "SEM0220",
            name.span.clone(),
            format!(
                "{}(): a value of type {} cannot be rounded to one of type {}",
                name.text,
                kinds.first().map_or("nothing", |kind| kind.as_str()),
                kinds.get(1).map_or("nothing", |kind| kind.as_str()),
            ),
        ))
    }

    /// The calls that are not what they seem; `None` to go on as with any other.
    fn special(
        &mut self,
        scope: Scope<'_>,
        special: Special,
        name: &Name,
        arguments: &[NamedExpression],
    ) -> Bound<Option<Expr>> {
        Ok(Some(match special {
            Special::Case => return Ok(None),
            Special::Now => {
                let now = Expr::constant(Value::DateTime(self.context.now), Type::DateTime);
                match arguments.first() {
                    None => now,
                    Some(offset) => {
                        let span = &offset.value.span;
                        let offset = self.expression(scope, &offset.value)?;
                        let offset =
                            self.accept(&name.text, 0, Accepts::Is(Type::TimeSpan), offset, span)?;
                        self.fold(Expr::call(
                            operators::add,
                            vec![now, offset],
                            Type::DateTime,
                        ))
                    }
                }
            }
            Special::IngestionTime => {
                let slot = scope
                    .columns
                    .iter()
                    .position(|column| column.visibility == Visibility::Ingestion);
                match slot {
                    Some(index) if scope.aggregates.is_none() => {
                        Expr::column(index, Type::DateTime)
                    }
                    _ => Expr::constant(Value::Null, Type::DateTime),
                }
            }
            Special::ColumnIfExists => {
                let column = self.expression(scope, &arguments[0].value)?;
                let Some(Value::String(column)) = column.as_constant() else {
                    return Err(self.wrong(
                        "SEM0220",
                        arguments[0].value.span.clone(),
                        format!(
                            "{}(): argument #1 was expected to be a constant string",
                            name.text
                        ),
                    ));
                };
                match crate::kql::plan::find(scope.columns, column) {
                    Some(index) => Expr::column(index, scope.columns[index].kind),
                    None => self.expression(scope, &arguments[1].value)?,
                }
            }
            Special::ToScalar => {
                let argument = &arguments[0].value;
                if !self.is_tabular(argument) {
                    return self.expression(scope, argument).map(Some);
                }
                let relation = self.table(argument, "toscalar")?;
                let Some(first) = relation
                    .columns
                    .iter()
                    .find(|column| column.visibility != Visibility::Ingestion)
                else {
                    return self.unsupported("toscalar() of a query without columns", &name.span);
                };
                let kind = first.kind;
                self.subqueries.push(relation);
                Expr {
                    node: ExprNode::Subquery(self.subqueries.len() - 1),
                    kind,
                }
            }
            Special::PackAll | Special::PackColumns => {
                let mut without_empty = false;
                let mut packed = Vec::new();
                if special == Special::PackAll {
                    if let Some(flag) = arguments.first() {
                        let flag = self.expression(Scope::of(&[], &name.text), &flag.value)?;
                        without_empty = flag.as_constant() == Some(&Value::Bool(true));
                    }
                    let columns = (0..).zip(scope.columns);
                    let shown = columns.filter(|(_, one)| one.visibility == Visibility::Shown);
                    packed.extend(shown.map(|(at, _)| at));
                } else {
                    for argument in arguments {
                        let column = self.expression(scope, &argument.value)?;
                        let ExprNode::Column(at) = column.node else {
                            return Err(self.wrong(
                                "SEM0011",
                                argument.value.span.clone(),
                                format!("{}(): a column is expected here", name.text),
                            ));
                        };
                        packed.push(at);
                    }
                }
                let mut values = vec![Expr::constant(Value::Bool(without_empty), Type::Bool)];
                for at in packed {
                    let column = &scope.columns[at];
                    values.push(Expr::constant(
                        Value::String(column.name.clone()),
                        Type::String,
                    ));
                    values.push(Expr::column(at, column.kind));
                }
                Expr::call(functions::pack_all, values, Type::Dynamic)
            }
            Special::Materialize => {
                return Err(self.wrong(
                    "SEM0006",
                    name.span.clone(),
                    "materialize() returns a table, a scalar expression is expected here".into(),
                ));
            }
        }))
    }
}

/// The type that values of both types are converted to; `None` if there is none.
fn common_type(left: Type, right: Type) -> Option<Type> {
    if left == right {
        return Some(left);
    }
    match (left, right) {
        (Type::Dynamic, other) | (other, Type::Dynamic) => Some(other),
        (left, right) if left.is_numeric() && right.is_numeric() => {
            Some(operators::wider(left, right))
        }
        _ => None,
    }
}
