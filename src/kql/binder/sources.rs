//! Where rows come from: tables, written-out rows, ranges, and the names that queries give.

use std::sync::Arc;

use super::naming::Names;
use super::{Binder, Binding, Bound, Scope};
use crate::kql::batch::ColumnBuilder;
use crate::kql::functions::{self, Accepts};
use crate::kql::names;
use crate::kql::plan::{Expr, Node, PlanColumn, Relation, Visibility};
use crate::kql::syntax::{
    ColumnDeclaration, Expression, ExpressionNode, Name, NamedExpression, Query, Source, Span,
};
use crate::kql::value::{Type, Value};

use super::UnknownTable;

pub(super) fn shown(name: impl Into<Arc<str>>, kind: Type) -> PlanColumn {
    PlanColumn {
        name: name.into(),
        kind,
        visibility: Visibility::Shown,
    }
}

impl Binder<'_> {
    /// A tabular expression; `consumer` is the operator that takes its rows, `""` for none.
    pub(super) fn table(&mut self, expression: &Expression, consumer: &str) -> Bound<Relation> {
        self.queries += 1;
        let outer = std::mem::replace(&mut self.query, self.queries);
        let bound = self.deeper(|binder| binder.table_node(expression, consumer));
        self.query = outer;
        bound
    }

    fn table_node(&mut self, expression: &Expression, consumer: &str) -> Bound<Relation> {
        let span = &expression.span;
        match &expression.node {
            ExpressionNode::Query(query) => self.query(query),
            ExpressionNode::Name(name) => self.named_table(name, span, consumer),
            ExpressionNode::Call { name, arguments } => {
                self.called_table(name, arguments, span, consumer)
            }
            ExpressionNode::Member { of, .. } if self.is_tabular(of) => {
                // workspace("…").Table
                self.table(of, consumer)
            }
            _ => Err(self.not_a_table(span, consumer)),
        }
    }

    fn not_a_table(&self, span: &Span, consumer: &str) -> crate::kql::QueryError {
        self.wrong(
            "SEM0009",
            span.clone(),
            format!("'{consumer}' operator: a tabular expression is expected here"),
        )
    }

    fn named_table(&mut self, name: &Arc<str>, span: &Span, consumer: &str) -> Bound<Relation> {
        match self.lookup(name) {
            Some(Binding::Table(relation)) => {
                let relation = relation.clone();
                let height = relation.height;
                return self.relation(relation.node, relation.columns, height - 1);
            }
            Some(Binding::Function(..)) => {
                return self.with_user_function(
                    Scope::of(&[], consumer),
                    name,
                    &[],
                    span,
                    |binder, result| binder.table(result, consumer),
                );
            }
            Some(Binding::Scalar(..)) => return Err(self.not_a_table(span, consumer)),
            None => {}
        }
        if let Some(table) = self.schema.table(name) {
            let mut columns: Vec<PlanColumn> = table
                .columns
                .iter()
                .map(|column| PlanColumn {
                    name: column.name.clone(),
                    kind: column.kind,
                    visibility: if column.hidden {
                        Visibility::Hidden
                    } else {
                        Visibility::Shown
                    },
                })
                .collect();
            columns.push(ingestion());
            let node = Node::Scan {
                table: table.name.clone(),
                needed: vec![false; columns.len()],
                since: None,
            };
            return self.relation(node, columns, 0);
        }
        if self.unknown_table == UnknownTable::NotKnown {
            return self.unsupported(format!("the table {name}"), span);
        }
        let what = if consumer.is_empty() {
            "table or column or scalar"
        } else {
            "table or column"
        };
        Err(self.unresolved(consumer, what, name, span.clone()))
    }

    fn called_table(
        &mut self,
        name: &Name,
        arguments: &[NamedExpression],
        span: &Span,
        consumer: &str,
    ) -> Bound<Relation> {
        if let Some(Binding::Function(..)) = self.lookup(&name.text) {
            return self.with_user_function(
                Scope::of(&[], consumer),
                &name.text,
                arguments,
                span,
                |binder, result| binder.table(result, consumer),
            );
        }
        match (&*name.text, arguments) {
            ("materialize", [argument]) => {
                let relation = self.table(&argument.value, consumer)?;
                let columns = relation.columns.clone();
                self.shared.push(relation);
                let node = Node::Shared(self.shared.len() - 1);
                self.relation(node, columns, 0)
            }
            ("totable", [argument]) => self.table(&argument.value, consumer),
            ("table", [argument, ..]) => {
                let table = self.expression(Scope::of(&[], consumer), &argument.value)?;
                match table.as_constant() {
                    Some(Value::String(table)) => {
                        let table = table.clone();
                        self.named_table(&table, span, consumer)
                    }
                    _ => Err(self.not_a_table(&argument.value.span, consumer)),
                }
            }
            ("materialize" | "table" | "totable", _) => Err(self.wrong(
                "SEM0219",
                span.clone(),
                format!(
                    "{}(): function expects 1 argument(s), got {}",
                    name.text,
                    arguments.len()
                ),
            )),
            (known, _) if functions::scalar_function(known).is_some() => {
                Err(self.not_a_table(span, consumer))
            }
            (known, _) if names::FUNCTIONS.contains(&known) => {
                self.unsupported(format!("the function {known}()"), &name.span)
            }
            // A function that only the workspace knows.
            _ if self.unknown_table == UnknownTable::NotKnown => {
                self.unsupported(format!("the function {}()", name.text), &name.span)
            }
            _ => Err(self.unknown_function(name)),
        }
    }

    fn query(&mut self, query: &Query) -> Bound<Relation> {
        let first = query.operators.first();
        let consumer = first.map_or("", |operator| &*operator.name.text);
        let mut relation = match &query.source {
            Source::Expression(expression) => self.table(expression, consumer)?,
            Source::DataTable { columns, values } => self.data_table(columns, values)?,
            Source::Print(values) => self.print(values)?,
            Source::Range {
                name,
                from,
                to,
                step,
            } => self.range(name, from, to, step)?,
            Source::Union(union) => self.union(None, union)?,
            Source::Search(search) => self.search(search)?,
            Source::Find(find) => self.find(find)?,
            Source::ExternalData(name, declared) => {
                // Right, but no answer: the engine does no I/O.
                if self.rows.is_some() {
                    return self.unsupported("externaldata, which reads from a URL,", &name.span);
                }
                self.data_table(declared, &[])?
            }
            Source::Unsupported(name) => {
                return self.unsupported(format!("the operator '{}'", name.text), &name.span);
            }
        };
        for operator in &query.operators {
            relation = self.operator(relation, operator)?;
        }
        Ok(relation)
    }

    fn data_table(
        &mut self,
        declared: &[ColumnDeclaration],
        values: &[Expression],
    ) -> Bound<Relation> {
        let width = declared.len();
        for (at, column) in declared.iter().enumerate() {
            if declared[..at]
                .iter()
                .any(|other| other.name.text == column.name.text)
            {
                return Err(self.twice(&column.name.text, &column.name.span));
            }
        }
        let mut builders: Vec<ColumnBuilder> = declared
            .iter()
            .map(|column| ColumnBuilder::new(column.kind))
            .collect();
        if let Some(first) = values.first()
            && (width == 0 || !values.len().is_multiple_of(width))
        {
            return Err(self.wrong(
                "SEM0010",
                first.span.clone(),
                format!(
                    "'datatable' operator: {} values do not fill rows of {width} columns",
                    values.len()
                ),
            ));
        }
        for (at, value) in values.iter().enumerate() {
            let kind = declared[at % width].kind;
            let bound = self.expression(Scope::of(&[], "datatable"), value)?;
            match self.converted(bound, kind).as_constant() {
                Some(constant) => builders[at % width].push(constant.clone()),
                None => {
                    return self.unsupported("a datatable value that is not constant", &value.span);
                }
            }
        }
        let columns = declared
            .iter()
            .map(|column| shown(column.name.text.clone(), column.kind))
            .collect();
        let node = Node::Rows {
            columns: builders.into_iter().map(ColumnBuilder::finish).collect(),
            rows: values.len().checked_div(width).unwrap_or(0),
        };
        self.relation(node, columns, 0)
    }

    fn print(&mut self, values: &[NamedExpression]) -> Bound<Relation> {
        let mut names = Names::default();
        let mut columns = Vec::new();
        let mut outputs = Vec::new();
        for (at, value) in values.iter().enumerate() {
            let expr = self.expression(Scope::of(&[], "print"), &value.value)?;
            if let Some(parts) = self.parts(value, &expr) {
                for part in parts {
                    let name = part.given.unwrap_or_else(|| part.suggestion.into());
                    columns.push(shown(names.unique(&name), part.value.kind));
                    outputs.push(part.value);
                }
                continue;
            }
            let name = match value.names.first() {
                Some(name) => names.unique(&name.text),
                None => names.unique(&format!("print_{at}")),
            };
            columns.push(shown(name, expr.kind));
            outputs.push(expr);
        }
        let one_row = self.relation(
            Node::Rows {
                columns: Vec::new(),
                rows: 1,
            },
            Vec::new(),
            0,
        )?;
        let node = Node::Project {
            whole: outputs.iter().any(Expr::has_window),
            input: Box::new(one_row),
            outputs,
        };
        self.relation(node, columns, 1)
    }

    fn range(
        &mut self,
        name: &Name,
        from: &Expression,
        to: &Expression,
        step: &Expression,
    ) -> Bound<Relation> {
        let scope = Scope::of(&[], "range");
        let mut bound = Vec::new();
        for part in [from, to, step] {
            let expr = self.expression(scope, part)?;
            bound.push(self.accept("range", bound.len(), Accepts::Measure, expr, &part.span)?);
        }
        let kinds: Vec<Type> = bound.iter().map(|expr| expr.kind).collect();
        let kind = match kinds.as_slice() {
            [Type::DateTime, Type::DateTime, Type::TimeSpan] => Type::DateTime,
            [Type::TimeSpan, Type::TimeSpan, Type::TimeSpan] => Type::TimeSpan,
            kinds if kinds.iter().all(|kind| kind.is_numeric()) => {
                if kinds
                    .iter()
                    .any(|kind| matches!(kind, Type::Real | Type::Decimal))
                {
                    Type::Real
                } else {
                    Type::Long
                }
            }
            _ => {
                return Err(self.wrong(
                    "SEM0220",
                    step.span.clone(),
                    format!(
                        "'range' operator: cannot go from {} to {} by {}",
                        kinds[0], kinds[1], kinds[2]
                    ),
                ));
            }
        };
        let mut constants = Vec::new();
        for (at, expr) in bound.into_iter().enumerate() {
            let step_of_moments = at == 2 && kind == Type::DateTime;
            let wanted = if step_of_moments {
                Type::TimeSpan
            } else {
                kind
            };
            match self.converted(expr, wanted).as_constant() {
                Some(value) => constants.push(value.clone()),
                None => {
                    return self
                        .unsupported("range with bounds that a subquery works out", &from.span);
                }
            }
        }
        let mut constants = constants.into_iter();
        let mut next = || constants.next().unwrap_or(Value::Null);
        let node = Node::Range {
            from: next(),
            to: next(),
            step: next(),
        };
        self.relation(node, vec![shown(name.text.clone(), kind)], 0)
    }
}

pub(super) fn ingestion() -> PlanColumn {
    PlanColumn {
        name: "$IngestionTime".into(),
        kind: Type::DateTime,
        visibility: Visibility::Ingestion,
    }
}
