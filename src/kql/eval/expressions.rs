//! Expressions over a chunk, a column at a time.

use std::sync::Arc;

use super::chunk::Chunk;
use super::{Answer, Evaluator, column};
use crate::kql::batch::Column;
use crate::kql::budget::Meter;
use crate::kql::functions::Context;
use crate::kql::operators;
use crate::kql::order::Key;
use crate::kql::plan::{Expr, ExprNode, Function};
use crate::kql::syntax::{ListOperator, ListTest};
use crate::kql::text::format_value;
use crate::kql::value::{Type, Value};

/// The value of an expression over constants; `None` if it depends on rows or subqueries.
pub fn constant(context: &Context, expr: &Expr) -> Option<Value> {
    let values: Vec<&Value> = expr
        .children()
        .iter()
        .map(Expr::as_constant)
        .collect::<Option<_>>()?;
    match &expr.node {
        ExprNode::Constant(value) => Some(value.clone()),
        ExprNode::Call { function, .. } => match function {
            Function::Kernel(kernel) => Some(context.admit(kernel(context, &values))),
            Function::Compare(operator) => {
                Some(operators::comparison(*operator, values[0], values[1]))
            }
            Function::List(operator) => Some(operators::list(*operator, values[0], &values[1..])),
            Function::Case => Some(case(&values)),
            Function::InSubquery(..) | Function::Varying(_) => None,
        },
        ExprNode::Logic { and, .. } => {
            let decided = Value::Bool(!and);
            Some(if values.contains(&&decided) {
                decided
            } else if values.iter().any(|value| value.is_null()) {
                Value::Null
            } else {
                Value::Bool(*and)
            })
        }
        _ => None,
    }
}

/// The value behind the first condition that holds, else the last.
fn case(values: &[&Value]) -> Value {
    for pair in values.chunks_exact(2) {
        if pair[0] == &Value::Bool(true) {
            return pair[1].clone();
        }
    }
    values.last().map_or(Value::Null, |value| (*value).clone())
}

fn is_member(meter: &Meter, answer: &Answer, operator: ListOperator, value: &Value) -> Value {
    let found = match operator.test {
        ListTest::In if operator.case_sensitive => {
            answer.members.contains(&Key(vec![value.clone()]))
        }
        ListTest::In => answer
            .lower_case
            .contains(format_value(value).to_lowercase().as_str()),
        ListTest::HasAny | ListTest::HasAll => {
            // Each member is looked for: the work grows with both sides.
            meter.pass(answer.members.len());
            if !meter.lasts() {
                return Value::Null;
            }
            let members: Vec<&Value> = answer.members.iter().flat_map(|key| &key.0).collect();
            return operators::list(operator, value, &members);
        }
    };
    Value::Bool(found != operator.negated)
}

impl Evaluator<'_> {
    /// The expression's value in every row.
    pub(super) fn evaluate(&self, expr: &Expr, chunk: &Chunk) -> Column {
        match &expr.node {
            ExprNode::Constant(value) => Column::Constant(value.clone(), chunk.rows),
            ExprNode::Column(index) => chunk.columns[*index].clone(),
            ExprNode::Call {
                function,
                arguments,
            } => {
                let arguments = self.columns(arguments, chunk);
                self.called(*function, &arguments, chunk.rows, expr.kind)
            }
            ExprNode::Window { kernel, arguments } => {
                let arguments = self.columns(arguments, chunk);
                column(kernel(&arguments, chunk.rows), expr.kind)
            }
            ExprNode::Logic { and, operands } => self.logic(*and, operands, chunk),
            ExprNode::Subquery(index) => {
                let answer = self.subqueries.borrow()[*index].clone();
                let value = match (&answer.first, answer.kind) {
                    (Value::Null, Type::String) => Value::string(""),
                    (value, _) => value.clone(),
                };
                Column::Constant(value, chunk.rows)
            }
        }
    }

    pub(super) fn columns(&self, exprs: &[Expr], chunk: &Chunk) -> Vec<Column> {
        exprs
            .iter()
            .map(|expr| self.evaluate(expr, chunk))
            .collect()
    }

    /// The rows in which the expression is true.
    pub(super) fn select(&self, expr: &Expr, chunk: &Chunk) -> Vec<u32> {
        if let ExprNode::Logic {
            and: true,
            operands,
        } = &expr.node
        {
            let mut rows = all_rows(chunk);
            for operand in operands {
                if rows.is_empty() {
                    break;
                }
                let narrowed = narrow(chunk, &rows, operand);
                let held = self.select(operand, &narrowed);
                rows = held.into_iter().map(|at| rows[at as usize]).collect();
            }
            return rows;
        }
        truths(&self.evaluate(expr, chunk))
    }

    fn called(&self, function: Function, arguments: &[Column], rows: usize, kind: Type) -> Column {
        match function {
            Function::Kernel(kernel) => map(arguments, rows, kind, |values| {
                self.context.admit(kernel(&self.context, values))
            }),
            Function::Varying(kernel) => {
                let values = (0..rows).map(|row| {
                    let values: Vec<&Value> = arguments.iter().map(|one| one.value(row)).collect();
                    kernel(&self.context, &values)
                });
                column(values.collect(), kind)
            }
            Function::Compare(operator) => map(arguments, rows, kind, |values| {
                operators::comparison(operator, values[0], values[1])
            }),
            Function::List(operator) => map(arguments, rows, kind, |values| {
                operators::list(operator, values[0], &values[1..])
            }),
            Function::Case => map(arguments, rows, kind, case),
            Function::InSubquery(operator, index) => {
                let answer = self.subqueries.borrow()[index].clone();
                map(arguments, rows, kind, |values| {
                    is_member(self.meter(), &answer, operator, values[0])
                })
            }
        }
    }

    /// An operand is looked at only in the rows that those before it leave open.
    fn logic(&self, and: bool, operands: &[Expr], chunk: &Chunk) -> Column {
        let decided = Value::Bool(!and);
        let mut result = vec![Value::Bool(and); chunk.rows];
        let mut open = all_rows(chunk);
        for operand in operands {
            if open.is_empty() {
                break;
            }
            let values = self.evaluate(operand, &narrow(chunk, &open, operand));
            let mut still_open = Vec::with_capacity(open.len());
            for (value, &row) in values.iter().zip(&open) {
                if *value == decided {
                    result[row as usize] = decided.clone();
                } else {
                    if value.is_null() {
                        result[row as usize] = Value::Null;
                    }
                    still_open.push(row);
                }
            }
            open = still_open;
        }
        Column::Plain(result.into())
    }
}

pub(super) fn all_rows(chunk: &Chunk) -> Vec<u32> {
    // A chunk is far from 2^32 rows.
    (0..chunk.rows as u32).collect()
}

/// The rows with the columns that `expr` reads.
fn narrow(chunk: &Chunk, rows: &[u32], expr: &Expr) -> Chunk {
    let mut wanted = vec![false; chunk.columns.len()];
    expr.mark(&mut wanted);
    chunk.take_columns(rows, &wanted)
}

fn truths(column: &Column) -> Vec<u32> {
    let holds = |value: &Value| *value == Value::Bool(true);
    match column {
        Column::Constant(value, rows) if holds(value) => (0..*rows as u32).collect(),
        Column::Constant(..) => Vec::new(),
        Column::Dictionary { values, codes } => {
            let held: Vec<bool> = values.iter().map(holds).collect();
            (0..)
                .zip(codes.iter())
                .filter(|(_, code)| held[**code as usize])
                .map(|(row, _)| row)
                .collect()
        }
        Column::Plain(values) => (0..)
            .zip(values.iter())
            .filter(|(_, value)| holds(value))
            .map(|(row, _)| row)
            .collect(),
    }
}

/// Applies `function` to every row's arguments: once if all are constant, once for each entry of
/// the dictionary if all others stand in columns of one, else row by row.
fn map(
    arguments: &[Column],
    rows: usize,
    kind: Type,
    function: impl Fn(&[&Value]) -> Value,
) -> Column {
    let whole = |value| match (value, kind) {
        (Value::Null, Type::String) => Value::string(""),
        (value, _) => value,
    };
    let mut values: Vec<&Value> = Vec::with_capacity(arguments.len());
    match shape(arguments, rows) {
        Shape::Constant if rows == 0 => Column::Constant(whole(Value::Null), 0),
        Shape::Constant => {
            values.extend(arguments.iter().map(|argument| argument.value(0)));
            Column::Constant(whole(function(&values)), rows)
        }
        Shape::Dictionary(codes, entries) => {
            let results = (0..entries).map(|entry| {
                values.clear();
                values.extend(arguments.iter().map(|argument| match argument {
                    Column::Dictionary { values, .. } => &values[entry],
                    other => other.value(0),
                }));
                whole(function(&values))
            });
            Column::Dictionary {
                values: results.collect(),
                codes,
            }
        }
        Shape::Rows => {
            let results = (0..rows).map(|row| {
                values.clear();
                values.extend(arguments.iter().map(|argument| argument.value(row)));
                whole(function(&values))
            });
            Column::Plain(results.collect())
        }
    }
}

enum Shape {
    Constant,
    /// The codes that all dictionaries share, and how many entries there are.
    Dictionary(Arc<[u32]>, usize),
    Rows,
}

fn shape(arguments: &[Column], rows: usize) -> Shape {
    let mut shared: Option<(&Arc<[u32]>, usize)> = None;
    for argument in arguments {
        match (argument, shared) {
            (Column::Constant(..), _) => {}
            // A dictionary larger than the rows that are left of it saves nothing.
            (Column::Dictionary { values, codes }, None) if values.len() <= rows => {
                shared = Some((codes, values.len()));
            }
            (Column::Dictionary { values, codes }, Some((other, entries)))
                if Arc::ptr_eq(codes, other) && values.len() == entries => {}
            _ => return Shape::Rows,
        }
    }
    match shared {
        None => Shape::Constant,
        Some((codes, entries)) => Shape::Dictionary(codes.clone(), entries),
    }
}
