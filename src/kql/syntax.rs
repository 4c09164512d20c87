//! A query as written: the tree that the parser makes and the binder reads. Names are not resolved
//! here and nothing has a type.

use std::ops::Range;
use std::sync::Arc;

use super::value::{Type, Value};

pub type Span = Range<usize>;

/// A whole text: statements, of which those that are queries give results.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    pub statements: Vec<Statement>,
    /// The end of the text, empty.
    pub end: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// `set option = value`
    Set {
        name: Name,
        value: Option<Value>,
    },
    Let {
        name: Name,
        value: LetValue,
    },
    /// `declare query_parameters(name: type = default)`
    Declare(Vec<Parameter>),
    Query(Expression),
}

#[derive(Clone, Debug, PartialEq)]
pub enum LetValue {
    Expression(Expression),
    Function(Arc<Function>),
}

/// `(parameters) { body }`; `view () { … }` is one too.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    pub parameters: Vec<Parameter>,
    /// The statements before the last.
    pub lets: Vec<Statement>,
    pub result: Expression,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    pub name: Name,
    pub kind: ParameterKind,
    pub default: Option<Expression>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ParameterKind {
    Scalar(Type),
    /// A table with at least these columns; `(*)` asks for none.
    Table(Vec<ColumnDeclaration>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct ColumnDeclaration {
    pub name: Name,
    pub kind: Type,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub text: Arc<str>,
    pub span: Span,
}

/// An expression, scalar or tabular: which of the two, the binder finds out.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    pub node: ExpressionNode,
    pub span: Span,
    /// Levels of the tree from here down, which the parser bounds.
    pub height: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ExpressionNode {
    Literal {
        value: Value,
        kind: Type,
    },
    Name(Arc<str>),
    /// `*` as an argument.
    Star,
    /// `typeof(long)`
    TypeOf(Type),
    Call {
        name: Name,
        arguments: Vec<NamedExpression>,
    },
    /// `of.name`
    Member {
        of: Box<Expression>,
        name: Name,
    },
    /// `of[index]`
    Index {
        of: Box<Expression>,
        index: Box<Expression>,
        /// Of the bracket.
        bracket: Span,
    },
    Negate(Box<Expression>),
    Binary {
        operator: BinaryOperator,
        operator_span: Span,
        left: Box<Expression>,
        right: Box<Expression>,
    },
    /// `a and b and c`, `a or b or c`
    Logic {
        operator: LogicOperator,
        operands: Vec<Expression>,
        /// Of the words between the operands.
        words: Vec<Span>,
    },
    /// `value in (list)`, `value has_any (list)`
    List {
        operator: ListOperator,
        value: Box<Expression>,
        list: Vec<Expression>,
    },
    /// `value between (low .. high)`
    Between {
        negated: bool,
        operator_span: Span,
        value: Box<Expression>,
        low: Box<Expression>,
        high: Box<Expression>,
    },
    Query(Box<Query>),
    /// All tables whose names fit: `VM*`.
    Tables(ColumnPattern),
}

/// `a = expression`, `(a, b) = expression`, or the expression alone.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedExpression {
    pub names: Vec<Name>,
    pub value: Expression,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogicOperator {
    And,
    Or,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOperator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    /// One of the string operators, `=~` and `matches regex` among them.
    Text(TextOperator),
}

/// How a string operator looks for its right side in its left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextOperator {
    pub test: TextTest,
    pub case_sensitive: bool,
    pub negated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextTest {
    Equals,
    Contains,
    StartsWith,
    EndsWith,
    Has,
    HasPrefix,
    HasSuffix,
    Regex,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListOperator {
    pub test: ListTest,
    pub case_sensitive: bool,
    pub negated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListTest {
    In,
    HasAny,
    HasAll,
}

/// A source and what its rows go through.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub source: Source,
    pub operators: Vec<Operator>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    Expression(Expression),
    DataTable {
        columns: Vec<ColumnDeclaration>,
        values: Vec<Expression>,
    },
    Print(Vec<NamedExpression>),
    Range {
        name: Name,
        from: Expression,
        to: Expression,
        step: Expression,
    },
    Union(Union),
    Search(Search),
    Find(Find),
    /// Rows from elsewhere, with these columns.
    ExternalData(Name, Vec<ColumnDeclaration>),
    /// Known to KQL, not to this engine.
    Unsupported(Name),
}

/// `| name …`
#[derive(Clone, Debug, PartialEq)]
pub struct Operator {
    pub name: Name,
    pub node: OperatorNode,
}

#[derive(Clone, Debug, PartialEq)]
pub enum OperatorNode {
    Where(Expression),
    Project(Vec<NamedExpression>),
    ProjectAway(Vec<ColumnPattern>),
    ProjectKeep(Vec<ColumnPattern>),
    ProjectRename(Vec<NamedExpression>),
    ProjectReorder(Vec<(ColumnPattern, Option<PatternOrder>)>),
    Extend(Vec<NamedExpression>),
    Summarize {
        aggregates: Vec<NamedExpression>,
        by: Vec<NamedExpression>,
    },
    /// The column's name, if it is not `Count`.
    Count(Option<Name>),
    Distinct(Vec<NamedExpression>),
    Take(Expression),
    Sort(Vec<SortKey>),
    Top {
        count: Expression,
        keys: Vec<SortKey>,
    },
    Union(Union),
    Join(Join),
    Lookup(Join),
    MvExpand(Expansion),
    MvApply {
        expansion: Expansion,
        body: Vec<Operator>,
    },
    Parse(Parse),
    ParseKeys {
        value: Expression,
        columns: Vec<ColumnDeclaration>,
        options: Vec<(Name, Name)>,
    },
    MakeSeries(MakeSeries),
    /// With the columns' names where they are given: `(name, value) = …` has no place here.
    TopNested(Vec<NestedTop>),
    TopHitters {
        count: Expression,
        of: NamedExpression,
        by: Option<Expression>,
    },
    Sample(Expression),
    SampleDistinct {
        count: Expression,
        of: NamedExpression,
    },
    Search(Search),
    Partition {
        by: Expression,
        body: Vec<Operator>,
    },
    /// A plugin's name and arguments.
    Evaluate(Name, Vec<NamedExpression>),
    AssertSchema(Vec<ColumnDeclaration>),
    Consume,
    GetSchema,
    Serialize(Vec<NamedExpression>),
    As(Name),
    /// How to draw it: no part of the answer.
    Render(Name),
    Invoke(Expression),
    Unsupported,
}

/// What `mv-expand` and `mv-apply` take apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Expansion {
    /// `kind=array`: a bag's properties become arrays of key and value.
    pub pairs: bool,
    pub index: Option<Name>,
    pub columns: Vec<(NamedExpression, Option<Type>)>,
    pub limit: Option<Expression>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Parse {
    pub value: Expression,
    pub kind: ParseKind,
    pub pattern: Vec<ParsePart>,
    /// `parse-where`: rows that do not fit are left out.
    pub filter: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseKind {
    Simple,
    Relaxed,
    /// With its flags.
    Regex(Arc<str>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct MakeSeries {
    /// Each with what stands for bins without rows.
    pub aggregates: Vec<(NamedExpression, Option<Expression>)>,
    pub on: NamedExpression,
    pub from: Option<Expression>,
    pub to: Option<Expression>,
    pub step: Expression,
    /// `in range (…)`: the last bin may begin at `to` itself.
    pub inclusive: bool,
    pub by: Vec<NamedExpression>,
}

/// `top-nested N of key with others = "rest" by aggregate`
#[derive(Clone, Debug, PartialEq)]
pub struct NestedTop {
    pub count: Option<Expression>,
    pub of: NamedExpression,
    pub others: Option<Expression>,
    pub by: NamedExpression,
    pub descending: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    pub name: Name,
    pub case_sensitive: bool,
    /// None for all, or for those that are piped in.
    pub tables: Vec<Expression>,
    pub predicate: Expression,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Find {
    pub name: Name,
    pub source_column: Option<Name>,
    pub tables: Vec<Expression>,
    pub predicate: Expression,
    /// None for those that all tables have, and the rest in a bag.
    pub columns: Option<Vec<Name>>,
}

/// A column's name, `*` standing for any characters.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnPattern {
    pub text: Arc<str>,
    pub wild: bool,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternOrder {
    Ascending,
    Descending,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SortKey {
    pub value: NamedExpression,
    pub descending: bool,
    pub nulls_first: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Union {
    pub name: Name,
    pub inner: bool,
    pub source_column: Option<Name>,
    pub fuzzy: bool,
    pub tables: Vec<Expression>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    pub name: Name,
    /// None where what the query gives is no kind.
    pub kind: Option<JoinKind>,
    pub kind_span: Span,
    pub right: Expression,
    /// Never empty in a right query.
    pub on: Vec<Expression>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    InnerUnique,
    Inner,
    LeftOuter,
    RightOuter,
    FullOuter,
    LeftAnti,
    LeftSemi,
    RightAnti,
    RightSemi,
}

/// A piece of what `parse` looks for.
#[derive(Clone, Debug, PartialEq)]
pub enum ParsePart {
    /// `*`
    Skip,
    Text(Arc<str>),
    Column(Name, Type),
}
