//! Runs a plan. Rows flow from scans upwards in chunks of columns; an operator hands each chunk on
//! as it comes, unless it needs all rows (sort, summarize, join).

mod apply;
mod chunk;
mod expand;
mod expressions;
mod join;
mod parse;
mod scan;
mod series;
mod sort;
mod summarize;
mod tops;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use chunk::{Chunk, concatenate};
pub use expressions::constant;

use super::batch::Column;
use super::budget::Meter;
use super::functions::Context;
use super::order::Key;
use super::plan::{Node, Plan, Relation, Visibility};
use super::value::{Type, Value};
use super::{Database, Partial, QueryError, QueryOptions, QueryResult};

/// Rows made or looked at between two looks at the time.
const CHUNK_ROWS: usize = 8192;

type Done<T> = Result<T, QueryError>;

/// Whether whoever takes the rows wants more of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    More,
    Enough,
}

type Sink<'s> = &'s mut dyn FnMut(Chunk) -> Done<Flow>;

/// # Errors
/// [`QueryError::Cancelled`], or [`QueryError::Limit`] where the query's budget is used up.
pub fn run(
    database: &dyn Database,
    plan: &Plan,
    options: &QueryOptions<'_>,
    meter: &Rc<Meter>,
) -> Done<QueryResult> {
    Evaluator::ready(database, plan, options, meter)?
        .result(plan.max_rows.unwrap_or(options.max_rows))
}

/// All of a plan's rows: its columns, hidden ones too, and how many rows they have.
///
/// # Errors
/// As [`run`].
pub fn rows(
    database: &dyn Database,
    plan: &Plan,
    options: &QueryOptions<'_>,
    meter: &Rc<Meter>,
) -> Done<(Vec<Column>, usize)> {
    let all = Evaluator::ready(database, plan, options, meter)?.collect(&plan.result)?;
    Ok((all.columns, all.rows))
}

struct Evaluator<'a> {
    database: &'a dyn Database,
    options: &'a QueryOptions<'a>,
    context: Context,
    plan: &'a Plan,
    /// The answers so far, in the plan's order.
    subqueries: RefCell<Vec<Rc<Answer>>>,
    /// The rows that are kept, once they have been asked for.
    shared: RefCell<Vec<Option<Rc<Vec<Chunk>>>>>,
    /// The rows that each slot is at.
    applied: RefCell<HashMap<usize, Chunk>>,
}

/// The first column of a subquery.
struct Answer {
    kind: Type,
    first: Value,
    members: HashSet<Key>,
    lower_case: HashSet<Arc<str>>,
}

impl<'a> Evaluator<'a> {
    /// With the subqueries answered.
    fn ready(
        database: &'a dyn Database,
        plan: &'a Plan,
        options: &'a QueryOptions<'a>,
        meter: &Rc<Meter>,
    ) -> Done<Self> {
        let evaluator = Self {
            database,
            options,
            context: Context::metered(options.now, meter),
            plan,
            subqueries: RefCell::default(),
            shared: RefCell::new(vec![None; plan.shared.len()]),
            applied: RefCell::default(),
        };
        for subquery in &plan.subqueries {
            let answer = evaluator.subquery(subquery)?;
            evaluator.subqueries.borrow_mut().push(Rc::new(answer));
        }
        Ok(evaluator)
    }
}

impl Evaluator<'_> {
    fn result(&self, max_rows: usize) -> Done<QueryResult> {
        let relation = &self.plan.result;
        let shown: Vec<usize> = (0..relation.columns.len())
            .filter(|&index| relation.columns[index].visibility == Visibility::Shown)
            .collect();
        let mut chunks: Vec<Chunk> = Vec::new();
        let mut rows = 0;
        let mut more = false;
        let mut seen = self.meter().made_so_far();
        self.run(relation, &mut |chunk| {
            let mut chunk = Chunk {
                columns: shown
                    .iter()
                    .map(|&index| chunk.columns[index].clone())
                    .collect(),
                rows: chunk.rows,
            };
            if chunk.rows > max_rows - rows {
                more = true;
                chunk = chunk.head(max_rows - rows);
            }
            self.keep_rows(chunk.rows, shown.len(), &mut seen)?;
            rows += chunk.rows;
            chunks.push(chunk);
            Ok(if more { Flow::Enough } else { Flow::More })
        })?;
        self.check()?;
        let columns = self.plan.result_columns();
        let kinds: Vec<Type> = columns.iter().map(|column| column.kind).collect();
        let all = concatenate(chunks, &kinds);
        Ok(QueryResult {
            columns,
            data: all.columns,
            row_count: all.rows,
            partial: more.then(|| Partial {
                code: "-2133196797".into(),
                message: format!(
                    "Query result set has exceeded the internal record count limit {max_rows} (E_QUERY_RESULT_SET_TOO_LARGE; see https://aka.ms/kustoquerylimits)"
                ),
            }),
        })
    }

    fn subquery(&self, relation: &Relation) -> Done<Answer> {
        let column = relation
            .columns
            .iter()
            .position(|column| column.visibility != Visibility::Ingestion);
        let kind = column.map_or(Type::Dynamic, |index| relation.columns[index].kind);
        let mut answer = Answer {
            kind,
            first: Value::Null,
            members: HashSet::new(),
            lower_case: HashSet::new(),
        };
        let mut first = true;
        let mut seen = self.meter().made_so_far();
        self.run(relation, &mut |chunk| {
            let Some(column) = column.map(|index| &chunk.columns[index]) else {
                return Ok(Flow::Enough);
            };
            self.keep_rows(0, 0, &mut seen)?;
            for row in 0..chunk.rows {
                let value = column.value(row);
                if std::mem::take(&mut first) {
                    answer.first = value.clone();
                }
                if answer.members.insert(Key(vec![value.clone()])) {
                    self.keep(1, 2)?;
                    if let Value::String(text) = value {
                        answer.lower_case.insert(text.to_lowercase().into());
                    }
                }
            }
            Ok(Flow::More)
        })?;
        Ok(answer)
    }

    /// Hands the relation's chunks to `sink`, none of them empty; each is charged.
    fn run(&self, relation: &Relation, sink: Sink<'_>) -> Done<Flow> {
        self.node(relation, &mut |chunk| {
            self.meter().pass(chunk.rows);
            self.meter().passing(|| sink(chunk))
        })
    }

    fn node(&self, relation: &Relation, sink: Sink<'_>) -> Done<Flow> {
        match &relation.node {
            Node::Scan {
                table,
                needed,
                since,
            } => self.scan((table, *since), needed, relation, sink),
            Node::Rows { columns, rows } => {
                if *rows == 0 {
                    return Ok(Flow::More);
                }
                sink(Chunk {
                    columns: columns.clone(),
                    rows: *rows,
                })
            }
            Node::Range { from, to, step } => self.range(from, to, step, sink),
            Node::Filter { input, predicate } => self.run(input, &mut |chunk| {
                self.check()?;
                let rows = self.select(predicate, &chunk);
                if rows.is_empty() {
                    return Ok(Flow::More);
                }
                sink(chunk.take(rows))
            }),
            Node::Project {
                input,
                outputs,
                whole,
            } => {
                let mut project = |chunk: Chunk| {
                    self.check()?;
                    sink(Chunk {
                        columns: outputs
                            .iter()
                            .map(|output| self.evaluate(output, &chunk))
                            .collect(),
                        rows: chunk.rows,
                    })
                };
                if *whole {
                    let all = self.collect(input)?;
                    if all.rows == 0 {
                        return Ok(Flow::More);
                    }
                    project(all)
                } else {
                    self.run(input, &mut project)
                }
            }
            Node::Summarize {
                input,
                keys,
                aggregates,
            } => {
                let chunk = self.summarize(input, keys, aggregates, relation)?;
                if chunk.rows == 0 {
                    return Ok(Flow::More);
                }
                sink(chunk)
            }
            Node::Take { input, count } => {
                let mut left = *count;
                if left == 0 {
                    return Ok(Flow::More);
                }
                let mut downstream = Flow::More;
                self.run(input, &mut |chunk| {
                    let chunk = chunk.head(left);
                    left -= chunk.rows;
                    downstream = sink(chunk)?;
                    Ok(if left == 0 { Flow::Enough } else { downstream })
                })?;
                Ok(downstream)
            }
            Node::Sort { input, keys, limit } => {
                let chunk = self.sort(input, keys, *limit)?;
                if chunk.rows == 0 {
                    return Ok(Flow::More);
                }
                sink(chunk)
            }
            Node::Union(inputs) => {
                for (input, outputs) in inputs {
                    let flow = self.run(input, &mut |chunk| {
                        self.check()?;
                        sink(Chunk {
                            columns: outputs
                                .iter()
                                .map(|output| self.evaluate(output, &chunk))
                                .collect(),
                            rows: chunk.rows,
                        })
                    })?;
                    if flow == Flow::Enough {
                        return Ok(flow);
                    }
                }
                Ok(Flow::More)
            }
            Node::Join(join) => self.join(join, relation, sink),
            Node::MvExpand { input, expansion } => self.run(input, &mut |chunk| {
                self.expand_chunk(&chunk, expansion, &relation.columns, sink)
            }),
            Node::Parse(parse) => self.parse(parse, &relation.columns, sink),
            Node::Apply(apply) => self.apply(apply, relation, sink),
            Node::Partition {
                input,
                key,
                slot,
                body,
            } => self.partition(input, key, *slot, body, sink),
            Node::Applied(slot) => {
                let rows = self.applied.borrow().get(slot).cloned();
                match rows {
                    Some(chunk) if chunk.rows > 0 => sink(chunk),
                    _ => Ok(Flow::More),
                }
            }
            Node::Series(series) => self.series(series, sink),
            Node::TopNested { input, levels } => self.top_nested(input, levels, relation, sink),
            Node::Shared(index) => {
                for chunk in self.shared(*index)?.iter() {
                    if sink(chunk.clone())? == Flow::Enough {
                        return Ok(Flow::Enough);
                    }
                }
                Ok(Flow::More)
            }
        }
    }

    fn shared(&self, index: usize) -> Done<Rc<Vec<Chunk>>> {
        if let Some(chunks) = &self.shared.borrow()[index] {
            return Ok(chunks.clone());
        }
        let relation = &self.plan.shared[index];
        let mut chunks = Vec::new();
        let mut seen = self.meter().made_so_far();
        self.run(relation, &mut |chunk| {
            self.keep_rows(chunk.rows, chunk.columns.len(), &mut seen)?;
            chunks.push(chunk);
            Ok(Flow::More)
        })?;
        let chunks = Rc::new(chunks);
        self.shared.borrow_mut()[index] = Some(chunks.clone());
        Ok(chunks)
    }

    /// All the relation's rows in one chunk.
    fn collect(&self, relation: &Relation) -> Done<Chunk> {
        let mut chunks = Vec::new();
        let mut seen = self.meter().made_so_far();
        self.run(relation, &mut |chunk| {
            self.check()?;
            self.keep_rows(chunk.rows, chunk.columns.len(), &mut seen)?;
            chunks.push(chunk);
            Ok(Flow::More)
        })?;
        let kinds: Vec<Type> = relation.columns.iter().map(|column| column.kind).collect();
        Ok(concatenate(chunks, &kinds))
    }

    fn meter(&self) -> &Meter {
        &self.context.meter
    }

    /// Charges cells that are kept.
    fn keep(&self, rows: usize, columns: usize) -> Done<()> {
        self.meter().keep(rows, columns);
        self.meter().check()
    }

    /// Charges rows that are kept, with what has been made for them: what is new since `seen`.
    fn keep_rows(&self, rows: usize, columns: usize, seen: &mut u64) -> Done<()> {
        self.meter().keep_made(seen);
        self.keep(rows, columns)
    }

    fn check(&self) -> Done<()> {
        if (self.options.cancelled)() {
            return Err(QueryError::Cancelled);
        }
        self.meter().check_time((self.options.elapsed)())?;
        self.meter().check()
    }

    /// As [`Self::check`], once in a while of a loop over rows.
    fn check_at(&self, row: usize) -> Done<()> {
        if row % CHUNK_ROWS == CHUNK_ROWS - 1 {
            return self.check();
        }
        Ok(())
    }
}

/// A column of these values; a null string is empty.
fn column(values: Vec<Value>, kind: Type) -> Column {
    let mut values = values;
    if kind == Type::String {
        for value in &mut values {
            if value.is_null() {
                *value = Value::string("");
            }
        }
    }
    Column::Plain(values.into())
}

#[cfg(test)]
#[path = "eval_tests.rs"]
mod tests;
