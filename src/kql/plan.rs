//! A query with its names resolved and its types known: what the binder makes and the evaluator
//! runs.

use std::sync::Arc;

use super::ResultColumn;
use super::batch::Column;
use super::functions::aggregates::Aggregate;
use super::functions::{RowKernel, WindowKernel};
use super::syntax::{BinaryOperator, JoinKind, ListOperator, ParsePart};
use super::value::{DateTime, Type, Value};

/// A whole query.
pub struct Plan {
    pub result: Relation,
    /// What `toscalar()` and `in (query)` ask for; one may refer to those before it.
    pub subqueries: Vec<Relation>,
    /// What `materialize()` keeps; one may refer to those before it.
    pub shared: Vec<Relation>,
    /// From `set truncationmaxrecords` and `set notruncation`.
    pub max_rows: Option<usize>,
}

impl Plan {
    /// What the query gives.
    pub fn result_columns(&self) -> Vec<ResultColumn> {
        self.result
            .columns
            .iter()
            .filter(|column| column.visibility == Visibility::Shown)
            .map(|column| ResultColumn {
                name: column.name.clone(),
                kind: column.kind,
            })
            .collect()
    }
}

/// Rows with these columns.
#[derive(Clone)]
pub struct Relation {
    pub node: Node,
    pub columns: Vec<PlanColumn>,
    /// Levels from here down.
    pub height: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanColumn {
    pub name: Arc<str>,
    pub kind: Type,
    pub visibility: Visibility,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    Shown,
    /// Found by name, not part of `*` or of a result.
    Hidden,
    /// When the row arrived: found by `ingestion_time()` only.
    Ingestion,
    /// No column: there are more, which only the rows tell (without running the query).
    Open,
}

impl Relation {
    pub fn column(&self, name: &str) -> Option<usize> {
        find(&self.columns, name)
    }
}

/// The column of this name that a query can name.
pub fn find(columns: &[PlanColumn], name: &str) -> Option<usize> {
    columns
        .iter()
        .position(|column| column.visibility.is_named() && &*column.name == name)
}

impl Visibility {
    /// Whether a query can name the column.
    pub fn is_named(self) -> bool {
        matches!(self, Self::Shown | Self::Hidden)
    }
}

#[derive(Clone)]
pub enum Node {
    /// A table: its columns in order, then the rows' arrival. Columns that `needed` does not mark
    /// are left null; batches whose last row arrived before `since` are passed over.
    Scan {
        table: Arc<str>,
        needed: Vec<bool>,
        since: Option<DateTime>,
    },
    /// Rows written out.
    Rows {
        columns: Vec<Column>,
        rows: usize,
    },
    /// `from`, `from + step`, … up to `to`.
    Range {
        from: Value,
        to: Value,
        step: Value,
    },
    Filter {
        input: Box<Relation>,
        predicate: Expr,
    },
    /// One output for each column.
    Project {
        input: Box<Relation>,
        outputs: Vec<Expr>,
        /// The rows must be seen as a whole: a window function is among the outputs.
        whole: bool,
    },
    /// Columns: the keys, then what the aggregates make.
    Summarize {
        input: Box<Relation>,
        keys: Vec<Expr>,
        aggregates: Vec<AggregateCall>,
    },
    Take {
        input: Box<Relation>,
        count: usize,
    },
    Sort {
        input: Box<Relation>,
        keys: Vec<OrderBy>,
        limit: Option<usize>,
    },
    /// Each input with, for every column of the union, where it comes from.
    Union(Vec<(Relation, Vec<Expr>)>),
    Join(Box<JoinNode>),
    MvExpand {
        input: Box<Relation>,
        expansion: Expansion,
    },
    Parse(Box<ParseNode>),
    /// Of each input row, expanded, what `body` makes.
    Apply(Box<ApplyNode>),
    /// `body` over the rows of each value of `key`.
    Partition {
        input: Box<Relation>,
        key: Expr,
        slot: usize,
        body: Box<Relation>,
    },
    /// The rows that the [`Node::Apply`] or [`Node::Partition`] with this slot is at.
    Applied(usize),
    Series(Box<SeriesNode>),
    TopNested {
        input: Box<Relation>,
        levels: Vec<NestedLevel>,
    },
    Shared(usize),
}

#[derive(Clone)]
pub struct ParseNode {
    pub input: Relation,
    pub value: Expr,
    pub pattern: Pattern,
    /// For each column of the pattern, which one it sets, and its type.
    pub targets: Vec<(usize, Type)>,
    /// A text of another type sets null, and not all columns of the row.
    pub relaxed: bool,
    /// Rows that do not fit are left out.
    pub filter: bool,
}

#[derive(Clone)]
pub enum Pattern {
    Parts(Vec<ParsePart>),
    /// A regular expression with a group for each column.
    Regex(Arc<str>),
}

/// Values that become rows, an element each.
#[derive(Clone)]
pub struct Expansion {
    /// Column that is set, array that it is set from, type of the element.
    pub values: Vec<(usize, Expr, Type)>,
    /// A bag's properties become arrays of key and value, not bags of one.
    pub pairs: bool,
    /// Whether the last column is the element's position.
    pub index: bool,
    /// The most rows of one.
    pub limit: usize,
}

#[derive(Clone)]
pub struct ApplyNode {
    pub input: Relation,
    pub expansion: Expansion,
    /// The columns once they are expanded.
    pub expanded_columns: Vec<PlanColumn>,
    pub slot: usize,
    pub body: Relation,
    /// Columns of the input that come out, then those of the body.
    pub outer: Vec<usize>,
    pub inner: Vec<usize>,
}

/// The input's rows, of which each is a bin of a series, as rows of arrays.
#[derive(Clone)]
pub struct SeriesNode {
    /// Columns: the keys, the bin, then the aggregates' values.
    pub input: Relation,
    pub keys: usize,
    /// What stands for bins without rows, an aggregate each.
    pub defaults: Vec<Value>,
    pub from: Option<Expr>,
    pub to: Option<Expr>,
    pub step: Expr,
    /// The last bin may begin at `to` itself.
    pub inclusive: bool,
}

#[derive(Clone)]
pub struct NestedLevel {
    pub key: Expr,
    pub calls: Vec<AggregateCall>,
    /// Over the columns that `calls` make.
    pub value: Expr,
    pub count: Option<usize>,
    /// The key of a row for all that is not among the top.
    pub others: Option<Value>,
    pub descending: bool,
}

#[derive(Clone)]
pub struct JoinNode {
    pub kind: JoinKind,
    pub left: Relation,
    pub right: Relation,
    pub left_keys: Vec<usize>,
    pub right_keys: Vec<usize>,
    /// Columns of the right side that come out, for kinds that give both.
    pub right_columns: Vec<usize>,
}

#[derive(Clone)]
pub struct OrderBy {
    pub value: Expr,
    pub descending: bool,
    pub nulls_first: bool,
}

#[derive(Clone)]
pub struct AggregateCall {
    pub aggregate: &'static Aggregate,
    pub arguments: Vec<Expr>,
    /// Rows for which it does not hold are passed over.
    pub condition: Option<Expr>,
    /// How many columns it makes.
    pub width: usize,
}

/// An expression over a row.
#[derive(Clone)]
pub struct Expr {
    pub node: ExprNode,
    pub kind: Type,
}

#[derive(Clone)]
pub enum ExprNode {
    Constant(Value),
    Column(usize),
    Call {
        function: Function,
        arguments: Vec<Expr>,
    },
    Window {
        kernel: WindowKernel,
        arguments: Vec<Expr>,
    },
    /// All (`and`) or any of the operands.
    Logic {
        and: bool,
        operands: Vec<Expr>,
    },
    /// The first cell of a subquery.
    Subquery(usize),
}

/// What a call applies to its arguments' values.
#[derive(Clone, Copy)]
pub enum Function {
    Kernel(RowKernel),
    /// Gives another value in each row, whatever its arguments are.
    Varying(RowKernel),
    /// `==`, `<` and so on: kept as such, since scans can make use of it.
    Compare(BinaryOperator),
    /// The first argument in the others.
    List(ListOperator),
    /// The argument in the first column of a subquery.
    InSubquery(ListOperator, usize),
    /// Condition, value, condition, value, …, default.
    Case,
}

impl Expr {
    pub fn constant(value: Value, kind: Type) -> Self {
        let value = match (value, kind) {
            (Value::Null, Type::String) => Value::string(""),
            (value, _) => value,
        };
        Self {
            node: ExprNode::Constant(value),
            kind,
        }
    }

    pub fn column(index: usize, kind: Type) -> Self {
        Self {
            node: ExprNode::Column(index),
            kind,
        }
    }

    pub fn applied(function: Function, arguments: Vec<Expr>, kind: Type) -> Self {
        Self {
            node: ExprNode::Call {
                function,
                arguments,
            },
            kind,
        }
    }

    pub fn call(kernel: RowKernel, arguments: Vec<Expr>, kind: Type) -> Self {
        Self::applied(Function::Kernel(kernel), arguments, kind)
    }

    pub fn as_constant(&self) -> Option<&Value> {
        match &self.node {
            ExprNode::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// The expressions directly below.
    pub fn children(&self) -> &[Expr] {
        match &self.node {
            ExprNode::Call { arguments, .. } | ExprNode::Window { arguments, .. } => arguments,
            ExprNode::Logic { operands, .. } => operands,
            _ => &[],
        }
    }

    /// Marks the columns that the expression reads.
    pub fn mark(&self, needed: &mut [bool]) {
        if let ExprNode::Column(index) = self.node
            && let Some(mark) = needed.get_mut(index)
        {
            *mark = true;
        }
        for child in self.children() {
            child.mark(needed);
        }
    }

    /// Whether it is this column and nothing else.
    pub fn is_column(&self, index: usize) -> bool {
        matches!(self.node, ExprNode::Column(at) if at == index)
    }

    pub fn names_column(&self) -> bool {
        matches!(self.node, ExprNode::Column(_)) || self.children().iter().any(Self::names_column)
    }

    pub fn has_window(&self) -> bool {
        matches!(self.node, ExprNode::Window { .. }) || self.children().iter().any(Self::has_window)
    }
}
