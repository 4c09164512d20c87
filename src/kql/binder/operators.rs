//! The tabular operators, but for `summarize` and those that bring tables together.

use std::sync::Arc;

use super::naming::{Names, suggested};
use super::sources::shown;
use super::{Binder, Binding, Bound, Scope};
use crate::kql::batch::ColumnBuilder;
use crate::kql::functions::{self, Naming, Returns, json};
use crate::kql::plan::{Expr, Node, OrderBy, PlanColumn, Relation, Visibility, find};
use crate::kql::syntax::{
    ColumnDeclaration, Expression, ExpressionNode, NamedExpression, Operator, OperatorNode,
    SortKey, Span,
};
use crate::kql::value::{Type, Value};

/// A column of a projection under way.
type Output = (PlanColumn, Expr);

/// One of the columns that a call of a function of several values makes.
pub(super) struct Part {
    /// The name that the query gives it.
    pub given: Option<Arc<str>>,
    /// The name that it has otherwise.
    pub suggestion: String,
    pub value: Expr,
}

impl Binder<'_> {
    pub(super) fn operator(&mut self, input: Relation, operator: &Operator) -> Bound<Relation> {
        let name = &*operator.name.text;
        match &operator.node {
            OperatorNode::Where(predicate) => self.filter(input, name, predicate),
            OperatorNode::Project(values) => self.project(input, name, values),
            OperatorNode::Extend(values) => self.extend(input, name, values),
            OperatorNode::Serialize(values) if values.is_empty() => Ok(input),
            OperatorNode::Serialize(values) => self.extend(input, name, values),
            OperatorNode::ProjectAway(patterns) => self.choose(input, name, patterns, false),
            OperatorNode::ProjectKeep(patterns) => self.choose(input, name, patterns, true),
            OperatorNode::ProjectRename(renames) => self.rename(input, name, renames),
            OperatorNode::ProjectReorder(patterns) => self.reorder(input, name, patterns),
            OperatorNode::Summarize { aggregates, by } => self.summarize(input, aggregates, by),
            OperatorNode::Count(name) => self.count_rows(input, name.as_ref()),
            OperatorNode::Distinct(values) => self.distinct(input, values, &operator.name.span),
            OperatorNode::Take(count) => {
                let count = self.count(count, name)?;
                self.over(input, |input| Node::Take { input, count })
            }
            OperatorNode::Sort(keys) => self.sort(input, name, keys, None),
            OperatorNode::Top { count, keys } => {
                let count = self.count(count, name)?;
                self.sort(input, name, keys, Some(count))
            }
            OperatorNode::Union(union) => self.union(Some(input), union),
            OperatorNode::Join(join) => self.join(input, join, false),
            OperatorNode::Lookup(join) => self.join(input, join, true),
            OperatorNode::MvExpand(expansion) => self.mv_expand(input, name, expansion),
            OperatorNode::MvApply { expansion, body } => {
                self.mv_apply(input, name, expansion, body)
            }
            OperatorNode::Partition { by, body } => self.partition(input, by, body),
            OperatorNode::Parse(parse) => self.parse(input, name, parse),
            OperatorNode::ParseKeys {
                value,
                columns,
                options,
            } => self.parse_keys(input, value, columns, options),
            OperatorNode::MakeSeries(series) => self.make_series(input, series),
            OperatorNode::TopNested(levels) => self.top_nested(input, levels),
            OperatorNode::TopHitters { count, of, by } => {
                self.top_hitters(input, count, of, by.as_ref())
            }
            OperatorNode::Sample(count) => {
                let count = self.count(count, name)?;
                self.over(input, |input| Node::Take { input, count })
            }
            OperatorNode::SampleDistinct { count, of } => self.sample_distinct(input, count, of),
            OperatorNode::Search(search) => self.search_piped(input, search),
            OperatorNode::Evaluate(plugin, arguments) => self.evaluate(input, plugin, arguments),
            OperatorNode::AssertSchema(columns) => {
                self.assert_schema(input, columns, &operator.name.span)
            }
            OperatorNode::Consume => {
                let none = self.over(input, |input| Node::Take { input, count: 0 })?;
                self.projection(none, Vec::new())
            }
            OperatorNode::GetSchema => self.get_schema(&input),
            OperatorNode::As(alias) => {
                self.names
                    .push((alias.text.clone(), Binding::Table(input.clone())));
                Ok(input)
            }
            OperatorNode::Render(chart) => {
                if CHARTS.contains(&&*chart.text) {
                    return Ok(input);
                }
                Err(self.wrong(
                    "SEM0021",
                    chart.span.clone(),
                    format!("'render' operator: there is no chart '{}'", chart.text),
                ))
            }
            OperatorNode::Invoke(call) => self.invoke(input, call),
            OperatorNode::Unsupported => {
                self.unsupported(format!("the operator '{name}'"), &operator.name.span)
            }
        }
    }

    /// An operator that leaves the columns as they are.
    pub(super) fn over(
        &mut self,
        input: Relation,
        node: impl FnOnce(Box<Relation>) -> Node,
    ) -> Bound<Relation> {
        let (columns, height) = (input.columns.clone(), input.height);
        self.relation(node(Box::new(input)), columns, height)
    }

    pub(super) fn filter(
        &mut self,
        input: Relation,
        name: &str,
        predicate: &Expression,
    ) -> Bound<Relation> {
        let expr = self.expression(Scope::of(&input.columns, name), predicate)?;
        let predicate = self.condition(expr, &predicate.span, &format!("'{name}' operator"))?;
        self.over(input, |input| Node::Filter { input, predicate })
    }

    /// Makes the outputs a relation; the rows' arrival comes along.
    pub(super) fn projection(
        &mut self,
        input: Relation,
        mut outputs: Vec<Output>,
    ) -> Bound<Relation> {
        let kept = outputs
            .iter()
            .any(|(column, _)| column.visibility == Visibility::Ingestion);
        if !kept
            && let Some(index) = input
                .columns
                .iter()
                .position(|column| column.visibility == Visibility::Ingestion)
        {
            outputs.push((
                input.columns[index].clone(),
                Expr::column(index, Type::DateTime),
            ));
        }
        let height = input.height;
        let (columns, outputs): (Vec<_>, Vec<_>) = outputs.into_iter().unzip();
        let node = Node::Project {
            whole: outputs.iter().any(Expr::has_window),
            input: Box::new(input),
            outputs,
        };
        self.relation(node, columns, height)
    }

    fn project(
        &mut self,
        input: Relation,
        operator: &str,
        values: &[NamedExpression],
    ) -> Bound<Relation> {
        let mut names = Names::default();
        let explicit = self.explicit_names(values)?;
        explicit.iter().for_each(|name| {
            names.claim(name);
        });
        let mut outputs = Vec::new();
        for value in values {
            let expr = self.expression(Scope::of(&input.columns, operator), &value.value)?;
            if let Some(parts) = self.parts(value, &expr) {
                for part in parts {
                    let (given, suggestion, expr) = (part.given, part.suggestion, part.value);
                    let name = given.unwrap_or_else(|| names.unique(&suggestion));
                    outputs.push((shown(name, expr.kind), expr));
                }
                continue;
            }
            self.single_name(value)?;
            let name = match explicit_name(value) {
                Some(name) => name,
                None => names.suggest(suggestion(&input.columns, &value.value)),
            };
            outputs.push((shown(name, expr.kind), expr));
        }
        self.projection(input, outputs)
    }

    /// The columns that a call of a function of several values makes; `None` if the expression is no
    /// such call.
    pub(super) fn parts(&self, value: &NamedExpression, expr: &Expr) -> Option<Vec<Part>> {
        let ExpressionNode::Call { name, arguments } = &value.value.node else {
            return None;
        };
        let function = functions::scalar_function(&name.text)?;
        let Returns::Parts(parts) = function.returns else {
            return None;
        };
        let of = arguments
            .first()
            .and_then(|argument| suggested(&argument.value))
            .unwrap_or_default();
        let parts = parts.iter().enumerate().map(|(at, (part, kind))| {
            let given = value.names.get(at).map(|name| name.text.clone());
            let place = Expr::constant(Value::Long(at as i64), Type::Long);
            let part_of = Expr::call(json::index, vec![expr.clone(), place], Type::Dynamic);
            let part_of = self.converted(self.fold(part_of), *kind);
            Part {
                given,
                suggestion: format!("{}_{of}_{part}", name.text),
                value: part_of,
            }
        });
        Some(parts.collect())
    }

    fn extend(
        &mut self,
        input: Relation,
        operator: &str,
        values: &[NamedExpression],
    ) -> Bound<Relation> {
        self.explicit_names(values)?;
        let mut outputs: Vec<Output> = pass(&input.columns);
        let mut names = Names::new(input.columns.iter().map(|column| &column.name));
        for value in values {
            let expr = self.expression(Scope::of(&input.columns, operator), &value.value)?;
            if let Some(parts) = self.parts(value, &expr) {
                for part in parts {
                    let (given, suggestion, expr) = (part.given, part.suggestion, part.value);
                    let at = given.as_ref().and_then(|name| find(&input.columns, name));
                    let name = given.unwrap_or_else(|| names.unique(&suggestion));
                    let output = (shown(name, expr.kind), expr);
                    match at {
                        Some(index) => outputs[index] = output,
                        None => outputs.push(output),
                    }
                }
                continue;
            }
            self.single_name(value)?;
            let explicit = explicit_name(value);
            let suggestion = suggestion(&input.columns, &value.value);
            // A column that an expression is called after is replaced by it, the first time.
            let replaced = suggestion.as_deref().filter(|_| explicit.is_none());
            let replaced = replaced.and_then(|name| find(&input.columns, name));
            if let Some(index) = replaced
                && outputs[index].1.is_column(index)
            {
                let name = input.columns[index].name.clone();
                outputs[index] = (shown(name, expr.kind), expr);
                continue;
            }
            let at = explicit
                .as_ref()
                .and_then(|name| find(&input.columns, name));
            let name = match explicit {
                Some(name) => {
                    names.claim(&name);
                    name
                }
                None => names.suggest(suggestion),
            };
            let output = (shown(name, expr.kind), expr);
            match at {
                Some(index) => outputs[index] = output,
                None => outputs.push(output),
            }
        }
        // The arrival stays last.
        outputs.sort_by_key(|(column, _)| column.visibility == Visibility::Ingestion);
        self.projection(input, outputs)
    }

    /// The names that are given, each once.
    pub(super) fn explicit_names(&self, values: &[NamedExpression]) -> Bound<Vec<Arc<str>>> {
        let mut names: Vec<Arc<str>> = Vec::new();
        for value in values {
            let Some(name) = explicit_name(value) else {
                continue;
            };
            if names.contains(&name) {
                let span = value
                    .names
                    .first()
                    .map_or(&value.value.span, |name| &name.span);
                return Err(self.twice(&name, span));
            }
            names.push(name);
        }
        Ok(names)
    }

    pub(super) fn single_name(&self, value: &NamedExpression) -> Bound<()> {
        match value.names.as_slice() {
            [_, second, ..] => self.unsupported("several names for one expression", &second.span),
            _ => Ok(()),
        }
    }

    pub(super) fn sort(
        &mut self,
        input: Relation,
        operator: &str,
        keys: &[SortKey],
        limit: Option<usize>,
    ) -> Bound<Relation> {
        let mut bound = Vec::new();
        for key in keys {
            let value = self.expression(Scope::of(&input.columns, operator), &key.value.value)?;
            if value.kind == Type::Dynamic && limit.is_none() {
                return Err(self.wrong(
                    "SEM0013",
                    key.value.value.span.clone(),
                    format!("'{operator}' operator: a dynamic value has no order (Hint: tostring(), toreal())"),
                ));
            }
            bound.push(OrderBy {
                value,
                descending: key.descending,
                nulls_first: key.nulls_first,
            });
        }
        self.over(input, |input| Node::Sort {
            input,
            keys: bound,
            limit,
        })
    }

    /// The columns must be these, in this order; only a run can tell.
    fn assert_schema(
        &self,
        input: Relation,
        columns: &[ColumnDeclaration],
        span: &Span,
    ) -> Bound<Relation> {
        let shown = || {
            let columns = input.columns.iter();
            columns.filter(|column| column.visibility == Visibility::Shown)
        };
        let same = shown().count() == columns.len()
            && shown()
                .zip(columns)
                .all(|(has, wanted)| has.name == wanted.name.text && has.kind == wanted.kind);
        if same || self.rows.is_none() {
            return Ok(input);
        }
        Err(self.wrong(
            "SEM0019",
            span.clone(),
            "'assert-schema' operator: the rows have other columns".into(),
        ))
    }

    fn get_schema(&mut self, input: &Relation) -> Bound<Relation> {
        let kinds = [Type::String, Type::Long, Type::String, Type::String];
        let mut builders = kinds.map(ColumnBuilder::new);
        let mut rows = 0;
        for column in &input.columns {
            if column.visibility != Visibility::Shown {
                continue;
            }
            let cells = [
                Value::String(column.name.clone()),
                Value::Long(rows),
                Value::string(runtime_type(column.kind)),
                Value::string(column.kind.as_str()),
            ];
            for (builder, cell) in builders.iter_mut().zip(cells) {
                builder.push(cell);
            }
            rows += 1;
        }
        let names = ["ColumnName", "ColumnOrdinal", "DataType", "ColumnType"];
        let columns = names
            .into_iter()
            .zip(kinds)
            .map(|(name, kind)| shown(name, kind))
            .collect();
        let node = Node::Rows {
            columns: builders.into_iter().map(ColumnBuilder::finish).collect(),
            rows: usize::try_from(rows).unwrap_or(0),
        };
        self.relation(node, columns, 0)
    }

    /// `T | invoke f(x)` is `f(T, x)`.
    fn invoke(&mut self, input: Relation, call: &Expression) -> Bound<Relation> {
        let ExpressionNode::Call { name, arguments } = &call.node else {
            return Err(self.wrong(
                "SEM0011",
                call.span.clone(),
                "'invoke' operator: a call of a function is expected".into(),
            ));
        };
        if self.lookup(&name.text).is_none() {
            if self.unknown_table == super::UnknownTable::Wrong {
                return Err(self.unknown_function(name));
            }
            return self.unsupported(format!("invoke of {}()", name.text), &name.span);
        }
        // A name that no query can write.
        let piped: Arc<str> = "$invoked".into();
        self.own.push((piped.clone(), Binding::Table(input)));
        let mut all = vec![NamedExpression {
            names: Vec::new(),
            value: Expression {
                node: ExpressionNode::Name(piped),
                span: name.span.clone(),
                height: 1,
            },
        }];
        all.extend(arguments.iter().cloned());
        let bound = self.with_user_function(
            Scope::of(&[], "invoke"),
            &name.text,
            &all,
            &call.span,
            |binder, result| binder.table(result, "invoke"),
        );
        self.own.pop();
        bound
    }
}

/// As [`suggested`]; of a column that may not be there, the name only if it is.
fn suggestion(columns: &[PlanColumn], value: &Expression) -> Option<String> {
    let name = suggested(value)?;
    let uncertain = matches!(&value.node, ExpressionNode::Call { name, .. }
        if functions::scalar_function(&name.text)
            .is_some_and(|function| function.naming == Naming::FirstText));
    (!uncertain || find(columns, &name).is_some()).then_some(name)
}

/// All columns as they are.
pub(super) fn pass(columns: &[PlanColumn]) -> Vec<Output> {
    columns
        .iter()
        .enumerate()
        .map(|(index, column)| (column.clone(), Expr::column(index, column.kind)))
        .collect()
}

/// The name that is given, or that of a column that stands alone.
pub(super) fn explicit_name(value: &NamedExpression) -> Option<Arc<str>> {
    match (value.names.first(), &value.value.node) {
        (Some(name), _) => Some(name.text.clone()),
        (None, ExpressionNode::Name(name)) => Some(name.clone()),
        _ => None,
    }
}

/// How `render` draws.
const CHARTS: [&str; 21] = [
    "3Dchart",
    "anomalychart",
    "areachart",
    "barchart",
    "card",
    "columnchart",
    "graph",
    "ladderchart",
    "linechart",
    "list",
    "piechart",
    "pivotchart",
    "plotly",
    "sankey",
    "scatterchart",
    "stackedareachart",
    "table",
    "timechart",
    "timeline",
    "timepivot",
    "treemap",
];

/// What `getschema` calls the type of the runtime.
fn runtime_type(kind: Type) -> &'static str {
    match kind {
        Type::Bool => "System.SByte",
        Type::Int => "System.Int32",
        Type::Long => "System.Int64",
        Type::Real => "System.Double",
        Type::Decimal => "System.Data.SqlTypes.SqlDecimal",
        Type::String => "System.String",
        Type::DateTime => "System.DateTime",
        Type::TimeSpan => "System.TimeSpan",
        Type::Guid => "System.Guid",
        Type::Dynamic => "System.Object",
    }
}
