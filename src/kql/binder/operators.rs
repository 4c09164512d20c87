//! The tabular operators, but for `summarize` and those that bring tables together.

use std::sync::Arc;

use super::naming::{Names, suggested};
use super::sources::shown;
use super::{Binder, Binding, Bound, Scope};
use crate::kql::batch::ColumnBuilder;
use crate::kql::plan::{Expr, Node, OrderBy, PlanColumn, Relation, Visibility, find};
use crate::kql::syntax::{
    ColumnPattern, Expression, ExpressionNode, Name, NamedExpression, Operator, OperatorNode,
    ParsePart, PatternOrder, SortKey,
};
use crate::kql::value::{Type, Value};

/// A column of a projection under way.
type Output = (PlanColumn, Expr);

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
            OperatorNode::Count => self.count_rows(input),
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
            OperatorNode::MvExpand {
                index,
                columns,
                limit,
            } => self.mv_expand(input, name, index.as_ref(), columns, limit.as_ref()),
            OperatorNode::Parse {
                value,
                relaxed,
                pattern,
            } => self.parse(input, name, value, *relaxed, pattern),
            OperatorNode::GetSchema => self.get_schema(&input),
            OperatorNode::As(alias) => {
                self.names
                    .push((alias.text.clone(), Binding::Table(input.clone())));
                Ok(input)
            }
            OperatorNode::Render => Ok(input),
            OperatorNode::Invoke(call) => self.invoke(input, call),
            OperatorNode::Unsupported => {
                self.unsupported(format!("the operator '{name}'"), &operator.name.span)
            }
        }
    }

    /// An operator that leaves the columns as they are.
    fn over(
        &mut self,
        input: Relation,
        node: impl FnOnce(Box<Relation>) -> Node,
    ) -> Bound<Relation> {
        let (columns, height) = (input.columns.clone(), input.height);
        self.relation(node(Box::new(input)), columns, height)
    }

    fn filter(&mut self, input: Relation, name: &str, predicate: &Expression) -> Bound<Relation> {
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
        let explicit = self.explicit_names(operator, values)?;
        explicit.iter().for_each(|name| {
            names.claim(name);
        });
        let mut outputs = Vec::new();
        for value in values {
            let expr = self.expression(Scope::of(&input.columns, operator), &value.value)?;
            self.single_name(value)?;
            let name = match explicit_name(value) {
                Some(name) => name,
                None => names.suggest(suggested(&value.value)),
            };
            outputs.push((shown(name, expr.kind), expr));
        }
        self.projection(input, outputs)
    }

    fn extend(
        &mut self,
        input: Relation,
        operator: &str,
        values: &[NamedExpression],
    ) -> Bound<Relation> {
        self.explicit_names(operator, values)?;
        let mut outputs: Vec<Output> = pass(&input.columns);
        let mut names = Names::new(input.columns.iter().map(|column| &column.name));
        for value in values {
            let expr = self.expression(Scope::of(&input.columns, operator), &value.value)?;
            self.single_name(value)?;
            let explicit = explicit_name(value);
            let at = explicit
                .as_ref()
                .and_then(|name| find(&input.columns, name));
            let name = match explicit {
                Some(name) => {
                    names.claim(&name);
                    name
                }
                None => names.suggest(suggested(&value.value)),
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
    fn explicit_names(&self, operator: &str, values: &[NamedExpression]) -> Bound<Vec<Arc<str>>> {
        let mut names: Vec<Arc<str>> = Vec::new();
        for value in values {
            let Some(name) = explicit_name(value) else {
                continue;
            };
            if names.contains(&name) {
                return self.unsupported(
                    format!("'{operator}' with column '{name}' twice"),
                    &value.value.span,
                );
            }
            names.push(name);
        }
        Ok(names)
    }

    fn single_name(&self, value: &NamedExpression) -> Bound<()> {
        match value.names.as_slice() {
            [_, second, ..] => self.unsupported("several names for one expression", &second.span),
            _ => Ok(()),
        }
    }

    /// The columns that the patterns name, in their order.
    fn matching(
        &self,
        columns: &[PlanColumn],
        operator: &str,
        pattern: &ColumnPattern,
    ) -> Bound<Vec<usize>> {
        if !pattern.wild {
            return match find(columns, &pattern.text) {
                Some(index) => Ok(vec![index]),
                None => {
                    Err(self.unresolved(operator, "column", &pattern.text, pattern.span.clone()))
                }
            };
        }
        Ok(columns
            .iter()
            .enumerate()
            .filter(|(_, column)| {
                column.visibility != Visibility::Ingestion && like(&column.name, &pattern.text)
            })
            .map(|(index, _)| index)
            .collect())
    }

    fn choose(
        &mut self,
        input: Relation,
        operator: &str,
        patterns: &[ColumnPattern],
        keep: bool,
    ) -> Bound<Relation> {
        let mut named = vec![false; input.columns.len()];
        for pattern in patterns {
            for index in self.matching(&input.columns, operator, pattern)? {
                named[index] = true;
            }
        }
        let outputs = pass(&input.columns)
            .into_iter()
            .zip(named)
            .filter(|(_, named)| *named == keep)
            .map(|(output, _)| output)
            .collect();
        self.projection(input, outputs)
    }

    fn rename(
        &mut self,
        input: Relation,
        operator: &str,
        renames: &[NamedExpression],
    ) -> Bound<Relation> {
        let mut outputs = pass(&input.columns);
        for rename in renames {
            let ([new], ExpressionNode::Name(old)) = (rename.names.as_slice(), &rename.value.node)
            else {
                return Err(self.wrong(
                    "SEM0011",
                    rename.value.span.clone(),
                    format!("'{operator}' operator: expected NewName = OldName"),
                ));
            };
            let Some(index) = find(&input.columns, old) else {
                return Err(self.unresolved(operator, "column", old, rename.value.span.clone()));
            };
            outputs[index].0.name = new.text.clone();
            outputs[index].0.visibility = Visibility::Shown;
        }
        for (at, (column, _)) in outputs.iter().enumerate() {
            let twice = outputs[..at]
                .iter()
                .any(|(other, _)| other.name == column.name);
            if twice {
                return Err(self.wrong(
                    "SEM0012",
                    renames[0].value.span.clone(),
                    format!(
                        "'{operator}' operator: there is a column named '{}' already",
                        column.name
                    ),
                ));
            }
        }
        self.projection(input, outputs)
    }

    fn reorder(
        &mut self,
        input: Relation,
        operator: &str,
        patterns: &[(ColumnPattern, Option<PatternOrder>)],
    ) -> Bound<Relation> {
        let mut order: Vec<usize> = Vec::new();
        for (pattern, sorted) in patterns {
            let mut found = self.matching(&input.columns, operator, pattern)?;
            let name = |index: &usize| input.columns[*index].name.clone();
            match sorted {
                Some(PatternOrder::Ascending) => found.sort_by_key(name),
                Some(PatternOrder::Descending) => {
                    found.sort_by_key(name);
                    found.reverse();
                }
                None => {}
            }
            for index in found {
                if !order.contains(&index) {
                    order.push(index);
                }
            }
        }
        for index in 0..input.columns.len() {
            if !order.contains(&index) {
                order.push(index);
            }
        }
        let all = pass(&input.columns);
        let outputs = order.into_iter().map(|index| all[index].clone()).collect();
        self.projection(input, outputs)
    }

    fn sort(
        &mut self,
        input: Relation,
        operator: &str,
        keys: &[SortKey],
        limit: Option<usize>,
    ) -> Bound<Relation> {
        let mut bound = Vec::new();
        for key in keys {
            let value = self.expression(Scope::of(&input.columns, operator), &key.value.value)?;
            if value.kind == Type::Dynamic {
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

    fn mv_expand(
        &mut self,
        input: Relation,
        operator: &str,
        index: Option<&Name>,
        values: &[(NamedExpression, Option<Type>)],
        limit: Option<&Expression>,
    ) -> Bound<Relation> {
        let mut columns = input.columns.clone();
        let arrival = columns
            .iter()
            .position(|column| column.visibility == Visibility::Ingestion);
        let arrival = arrival.map(|index| columns.remove(index));
        let mut names = Names::new(columns.iter().map(|column| &column.name));
        let mut expanded = Vec::new();
        for (value, kind) in values {
            let expr = self.expression(Scope::of(&input.columns, operator), &value.value)?;
            if expr.kind != Type::Dynamic {
                return Err(self.wrong(
                    "SEM0014",
                    value.value.span.clone(),
                    format!("'{operator}' operator: expanded expression expected to have dynamic type, this one is {}", expr.kind),
                ));
            }
            let kind = kind.unwrap_or(Type::Dynamic);
            let name = match explicit_name(value) {
                Some(name) => name,
                None => match suggested(&value.value) {
                    Some(name) => name.into(),
                    None => names.suggest(None),
                },
            };
            let at = match find(&columns, &name) {
                Some(at) => at,
                None => {
                    columns.push(shown(name.clone(), kind));
                    columns.len() - 1
                }
            };
            columns[at] = shown(name, kind);
            expanded.push((at, expr, kind));
        }
        if let Some(name) = index {
            columns.push(shown(names.unique(&name.text), Type::Long));
        }
        columns.extend(arrival);
        let limit = match limit {
            Some(limit) => self.count(limit, operator)?,
            None => usize::MAX,
        };
        let height = input.height;
        let node = Node::MvExpand {
            input: Box::new(input),
            expanded,
            index: index.is_some(),
            limit,
        };
        self.relation(node, columns, height)
    }

    fn parse(
        &mut self,
        input: Relation,
        operator: &str,
        value: &Expression,
        relaxed: bool,
        pattern: &[ParsePart],
    ) -> Bound<Relation> {
        let expr = self.expression(Scope::of(&input.columns, operator), value)?;
        let value = self.converted(expr, Type::String);
        let mut columns = input.columns.clone();
        let arrival = columns
            .iter()
            .position(|column| column.visibility == Visibility::Ingestion);
        let arrival = arrival.map(|index| columns.remove(index));
        let mut targets = Vec::new();
        for part in pattern {
            let ParsePart::Column(name, kind) = part else {
                continue;
            };
            let at = find(&columns, &name.text).unwrap_or_else(|| {
                columns.push(shown(name.text.clone(), *kind));
                columns.len() - 1
            });
            columns[at] = shown(name.text.clone(), *kind);
            targets.push(at);
        }
        columns.extend(arrival);
        let height = input.height;
        let node = Node::Parse {
            input: Box::new(input),
            value,
            pattern: pattern.to_vec(),
            targets,
            relaxed,
        };
        self.relation(node, columns, height)
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

/// Whether the name fits a pattern whose `*` stand for any characters.
fn like(name: &str, pattern: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else {
        return rest.is_empty();
    };
    for piece in middle {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

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
