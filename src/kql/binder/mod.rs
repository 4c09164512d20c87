//! From the syntax tree to a plan: resolves names, gives every expression a type, works out
//! constants. The first fault ends it.

mod calls;
mod columns;
mod expressions;
mod joins;
mod naming;
mod operators;
mod parsing;
mod plugins;
mod search;
mod series;
mod sources;
mod subpipes;
mod summarize;
mod tops;
mod user_functions;

use std::rc::Rc;
use std::sync::Arc;

use super::batch::Column;
use super::budget::Meter;
use super::functions::Context;
use super::plan::{Expr, Node, Plan, PlanColumn, Relation};
use super::syntax::{
    Expression, Function, LetValue, Name, Parameter, ParameterKind, Script, Span, Statement,
};
use super::value::{DateTime, Value};
use super::{Diagnostic, QueryError, Schema};

/// The deepest plan, and the deepest nesting of functions' bodies within expressions.
const MAX_DEPTH: usize = 200;
/// The most relations of a plan: functions that call functions can grow without bound.
const MAX_RELATIONS: usize = 10_000;

type Bound<T> = Result<T, QueryError>;

/// What a table that is not in the schema is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownTable {
    /// An error of the query.
    Wrong,
    /// A table that only the workspace knows.
    NotKnown,
}

/// What a query's meaning depends on beside its text and the tables' columns.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    pub now: DateTime,
    /// Charged for what is worked out already.
    pub meter: &'a Rc<Meter>,
    pub unknown_table: UnknownTable,
    /// The rows of a plan, for operators whose columns depend on them; none where the query is
    /// judged and not run.
    pub rows: Option<&'a Rows<'a>>,
}

/// Gives a plan's columns (all of them, hidden ones too) and how many rows they have.
pub type Rows<'a> = dyn Fn(Plan) -> Result<(Vec<Column>, usize), QueryError> + 'a;

/// # Errors
/// [`QueryError::Semantic`] where the query is wrong, [`QueryError::Unsupported`] where it goes
/// beyond this engine, [`QueryError::Limit`] where it is too large.
pub fn bind(schema: &Schema, text: &str, script: &Script, setting: Setting<'_>) -> Bound<Plan> {
    let mut binder = Binder {
        schema,
        text,
        unknown_table: setting.unknown_table,
        rows: setting.rows,
        context: Context::metered(setting.now, setting.meter),
        names: Vec::new(),
        visible: usize::MAX,
        own: Vec::new(),
        depth: 0,
        query: 0,
        queries: 0,
        relations: 0,
        slots: 0,
        applying: 0,
        subqueries: Vec::new(),
        shared: Vec::new(),
        max_rows: None,
    };
    let result = binder.script(script)?;
    setting.meter.check()?;
    Ok(Plan {
        result,
        subqueries: binder.subqueries,
        shared: binder.shared,
        max_rows: binder.max_rows,
    })
}

struct Binder<'a> {
    schema: &'a Schema,
    text: &'a str,
    unknown_table: UnknownTable,
    rows: Option<&'a Rows<'a>>,
    context: Context,
    /// What the text's `let`s (and `as`es) name, in order.
    names: Vec<(Arc<str>, Binding)>,
    /// How many of `names` a function's body sees.
    visible: usize,
    /// What the body of the function that is being called names: parameters and its own `let`s.
    own: Vec<(Arc<str>, Binding)>,
    depth: usize,
    /// The query that is being bound, by number, and how many have been begun.
    query: usize,
    queries: usize,
    relations: usize,
    /// Slots of applied rows so far, and how many of their bodies are being bound.
    slots: usize,
    applying: usize,
    subqueries: Vec<Relation>,
    shared: Vec<Relation>,
    max_rows: Option<usize>,
}

#[derive(Clone)]
enum Binding {
    /// With the query it belongs to: the columns that it may name are that query's.
    Scalar(Expr, usize),
    Table(Relation),
    Function(Arc<Function>, Frame),
}

/// The names that a function's body sees.
#[derive(Clone)]
struct Frame {
    visible: usize,
    own: Vec<(Arc<str>, Binding)>,
}

/// Where an expression stands.
#[derive(Clone, Copy)]
struct Scope<'s> {
    /// The row's columns.
    columns: &'s [PlanColumn],
    /// The operator, as errors call it.
    operator: &'s str,
    /// Set where aggregates may stand: they are gathered here, and columns may not be named.
    aggregates: Option<&'s summarize::Collector>,
}

impl<'s> Scope<'s> {
    fn of(columns: &'s [PlanColumn], operator: &'s str) -> Self {
        Self {
            columns,
            operator,
            aggregates: None,
        }
    }
}

impl Binder<'_> {
    fn script(&mut self, script: &Script) -> Bound<Relation> {
        let mut result = None;
        for statement in &script.statements {
            match statement {
                Statement::Set { name, value } => self.set(name, value.as_ref()),
                Statement::Let { name, value } => self.bind_let(name, value, false)?,
                Statement::Declare(parameters) => self.declare(parameters)?,
                Statement::Query(expression) => {
                    if result.is_some() {
                        return Err(QueryError::Unsupported {
                            what: "a text with several queries".into(),
                            span: expression.span.clone(),
                        });
                    }
                    result = Some(self.top_level(expression)?);
                }
            }
        }
        result.ok_or_else(|| {
            self.wrong(
                "SEM0003",
                script.end.clone(),
                "The query has no tabular expression statement".into(),
            )
        })
    }

    fn top_level(&mut self, expression: &Expression) -> Bound<Relation> {
        if self.is_tabular(expression) || self.names_nothing(expression) {
            return self.table(expression, "");
        }
        // Names that cannot be resolved come first.
        self.expression(Scope::of(&[], ""), expression)?;
        Err(self.wrong(
            "SEM0003",
            expression.span.clone(),
            "Top-level expressions must return tabular results. (Hint: use 'print' to return the value of a scalar expression)".into(),
        ))
    }

    fn set(&mut self, name: &Name, value: Option<&Value>) {
        match (&*name.text, value) {
            ("truncationmaxrecords", Some(Value::Long(rows))) => {
                self.max_rows = Some(usize::try_from(*rows).unwrap_or(0));
            }
            ("notruncation", None | Some(Value::Bool(true))) => {
                self.max_rows = Some(usize::MAX);
            }
            _ => {}
        }
    }

    /// The query's parameters, by their defaults: this engine is given no values.
    fn declare(&mut self, parameters: &[Parameter]) -> Bound<()> {
        for parameter in parameters {
            let ParameterKind::Scalar(kind) = parameter.kind else {
                return self.unsupported("a query parameter that is a table", &parameter.name.span);
            };
            let expr = match &parameter.default {
                Some(default) => {
                    let expr = self.expression(Scope::of(&[], "declare"), default)?;
                    self.converted(expr, kind)
                }
                None => Expr::constant(Value::Null, kind),
            };
            let binding = Binding::Scalar(expr, self.query);
            self.names.push((parameter.name.text.clone(), binding));
        }
        Ok(())
    }

    /// `own`: within a function's body.
    fn bind_let(&mut self, name: &Name, value: &LetValue, own: bool) -> Bound<()> {
        let binding = match value {
            LetValue::Function(function) => Binding::Function(function.clone(), self.frame()),
            LetValue::Expression(expression) if self.is_tabular(expression) => {
                Binding::Table(self.table(expression, "let")?)
            }
            LetValue::Expression(expression) => Binding::Scalar(
                self.expression(Scope::of(&[], "let"), expression)?,
                self.query,
            ),
        };
        let names = if own { &mut self.own } else { &mut self.names };
        if !own && names.iter().any(|(known, _)| *known == name.text) {
            return Err(self.wrong(
                "SEM0120",
                name.span.clone(),
                format!(
                    "'let' statement: a variable named '{}' is declared already",
                    name.text
                ),
            ));
        }
        names.push((name.text.clone(), binding));
        Ok(())
    }

    fn frame(&self) -> Frame {
        Frame {
            visible: self.visible.min(self.names.len()),
            own: self.own.clone(),
        }
    }

    fn lookup(&self, name: &str) -> Option<&Binding> {
        let seen = &self.names[..self.visible.min(self.names.len())];
        self.own
            .iter()
            .rev()
            .chain(seen.iter().rev())
            .find(|(known, _)| &**known == name)
            .map(|(_, binding)| binding)
    }

    /// Runs `bind` with only the names that `frame` sees.
    fn within<T>(&mut self, frame: Frame, bind: impl FnOnce(&mut Self) -> Bound<T>) -> Bound<T> {
        let visible = std::mem::replace(&mut self.visible, frame.visible);
        let own = std::mem::replace(&mut self.own, frame.own);
        let bound = self.deeper(bind);
        self.visible = visible;
        self.own = own;
        bound
    }

    fn deeper<T>(&mut self, bind: impl FnOnce(&mut Self) -> Bound<T>) -> Bound<T> {
        if self.depth >= MAX_DEPTH {
            return Err(self.too_deep());
        }
        self.context.meter.check()?;
        self.depth += 1;
        let bound = bind(self);
        self.depth -= 1;
        bound
    }

    fn too_deep(&self) -> QueryError {
        QueryError::Limit(format!("a query may nest {MAX_DEPTH} levels deep"))
    }

    /// A relation over inputs of at most this height.
    fn relation(&mut self, node: Node, columns: Vec<PlanColumn>, height: usize) -> Bound<Relation> {
        self.relations += 1;
        if height >= MAX_DEPTH {
            return Err(self.too_deep());
        }
        if self.relations > MAX_RELATIONS {
            return Err(QueryError::Limit(format!(
                "a query may have {MAX_RELATIONS} steps, its functions' bodies counted at each call"
            )));
        }
        Ok(Relation {
            node,
            columns,
            height: height + 1,
        })
    }

    fn wrong(&self, code: &'static str, span: Span, message: String) -> QueryError {
        QueryError::Semantic(Diagnostic::new(code, self.text, span, message))
    }

    fn unresolved(&self, operator: &str, what: &str, name: &str, span: Span) -> QueryError {
        self.wrong(
            "SEM0100",
            span,
            format!("'{operator}' operator: Failed to resolve {what} expression named '{name}'"),
        )
    }

    /// Two columns of one name.
    fn twice(&self, name: &str, span: &Span) -> QueryError {
        self.wrong(
            "SEM0012",
            span.clone(),
            format!("A column named '{name}' is declared already"),
        )
    }

    fn unsupported<T>(&self, what: impl Into<String>, span: &Span) -> Bound<T> {
        Err(QueryError::Unsupported {
            what: what.into(),
            span: span.clone(),
        })
    }
}

#[cfg(test)]
#[path = "binder_tests.rs"]
mod tests;
