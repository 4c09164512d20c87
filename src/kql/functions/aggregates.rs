//! Aggregates: what `summarize` works out over a group's rows.

use std::cmp::Ordering;

use super::Accepts::{self, Any, Integer, Is, Measure, Number};
use super::accumulators::{
    Accumulator, AnyRow, Average, Bag, Count, Distinct, Extreme, List, Percentiles, Set, Spread,
    Sum,
};
use crate::kql::value::Type;

/// One aggregate.
pub struct Aggregate {
    pub name: &'static str,
    /// What an unnamed column begins with: `count` gives `count_`.
    pub prefix: &'static str,
    pub least: usize,
    pub parameters: &'static [Accepts],
    pub shape: Shape,
    /// Of the first argument's type.
    pub returns: fn(Type) -> Type,
    /// From the first argument's type.
    pub start: fn(Type) -> Box<dyn Accumulator>,
    /// The last argument is a condition: rows where it does not hold are passed over.
    pub conditional: bool,
    /// What it gives, in a line.
    pub about: &'static str,
}

/// How many columns an aggregate makes, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One value.
    Value,
    /// The row with the greatest (least) first argument: that and the other arguments' values.
    Extreme,
    /// One value for each argument, of any one row.
    AnyRow,
    /// One value for each argument behind the first, a constant percentage.
    Percentiles,
}

const fn row(
    name: &'static str,
    parameters: &'static [Accepts],
    returns: fn(Type) -> Type,
    start: fn(Type) -> Box<dyn Accumulator>,
    about: &'static str,
) -> Aggregate {
    Aggregate {
        name,
        prefix: name,
        least: parameters.len(),
        parameters,
        shape: Shape::Value,
        returns,
        start,
        conditional: false,
        about,
    }
}

impl Aggregate {
    const fn prefix(mut self, prefix: &'static str) -> Self {
        self.prefix = prefix;
        self
    }

    const fn optional_from(mut self, least: usize) -> Self {
        self.least = least;
        self
    }

    const fn when(mut self) -> Self {
        self.conditional = true;
        self
    }

    const fn shape(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }
}

const IF: Accepts = Is(Type::Bool);
const LONG: fn(Type) -> Type = |_| Type::Long;
const DYNAMIC: fn(Type) -> Type = |_| Type::Dynamic;
const REAL: fn(Type) -> Type = |_| Type::Real;
const SAME: fn(Type) -> Type = |kind| kind;
const SUM: fn(Type) -> Type = |kind| match kind {
    Type::Int => Type::Long,
    Type::Dynamic => Type::Real,
    kind => kind,
};
const AVERAGE: fn(Type) -> Type = |kind| match kind {
    Type::Int | Type::Long | Type::Dynamic => Type::Real,
    kind => kind,
};

pub const ROWS: &[Aggregate] = &[
    row(
        "count",
        &[],
        LONG,
        |_| Box::new(Count::default()),
        "How many rows.",
    ),
    row(
        "countif",
        &[IF],
        LONG,
        |_| Box::new(Count::default()),
        "How many rows hold.",
    )
    .when(),
    row(
        "dcount",
        &[Any, Integer],
        LONG,
        |_| Box::new(Distinct::default()),
        "How many distinct values, exactly.",
    )
    .optional_from(1),
    row(
        "dcountif",
        &[Any, IF, Integer],
        LONG,
        |_| Box::new(Distinct::default()),
        "How many distinct values among the rows that hold.",
    )
    .optional_from(2)
    .when(),
    row(
        "count_distinct",
        &[Any],
        LONG,
        |_| Box::new(Distinct::default()),
        "How many distinct values.",
    ),
    row(
        "count_distinctif",
        &[Any, IF],
        LONG,
        |_| Box::new(Distinct::default()),
        "How many distinct values among the rows that hold.",
    )
    .when(),
    row(
        "sum",
        &[Measure],
        SUM,
        |kind| Box::new(Sum::new(SUM(kind))),
        "The values' sum.",
    ),
    row(
        "sumif",
        &[Measure, IF],
        SUM,
        |kind| Box::new(Sum::new(SUM(kind))),
        "The sum over the rows that hold.",
    )
    .when(),
    row(
        "avg",
        &[Measure],
        AVERAGE,
        |kind| Box::new(Average::new(AVERAGE(kind))),
        "The values' mean; null without values.",
    ),
    row(
        "avgif",
        &[Measure, IF],
        AVERAGE,
        |kind| Box::new(Average::new(AVERAGE(kind))),
        "The mean over the rows that hold.",
    )
    .when(),
    row(
        "min",
        &[Any],
        SAME,
        |_| Box::new(Extreme::new(Ordering::Less)),
        "The least value; null without values.",
    ),
    row(
        "minif",
        &[Any, IF],
        SAME,
        |_| Box::new(Extreme::new(Ordering::Less)),
        "The least value of the rows that hold.",
    )
    .when(),
    row(
        "max",
        &[Any],
        SAME,
        |_| Box::new(Extreme::new(Ordering::Greater)),
        "The greatest value; null without values.",
    ),
    row(
        "maxif",
        &[Any, IF],
        SAME,
        |_| Box::new(Extreme::new(Ordering::Greater)),
        "The greatest value of the rows that hold.",
    )
    .when(),
    row(
        "arg_max",
        &[Any],
        SAME,
        |_| Box::new(Extreme::new(Ordering::Greater)),
        "The row with the greatest value.",
    )
    .shape(Shape::Extreme),
    row(
        "arg_min",
        &[Any],
        SAME,
        |_| Box::new(Extreme::new(Ordering::Less)),
        "The row with the least value.",
    )
    .shape(Shape::Extreme),
    row(
        "any",
        &[Any],
        SAME,
        |_| Box::new(AnyRow::default()),
        "The values of one row.",
    )
    .shape(Shape::AnyRow),
    row(
        "take_any",
        &[Any],
        SAME,
        |_| Box::new(AnyRow::default()),
        "The values of one row.",
    )
    .prefix("")
    .shape(Shape::AnyRow),
    row(
        "anyif",
        &[Any, IF],
        SAME,
        |_| Box::new(AnyRow::default()),
        "The value of one row that holds.",
    )
    .when(),
    row(
        "take_anyif",
        &[Any, IF],
        SAME,
        |_| Box::new(AnyRow::default()),
        "The value of one row that holds.",
    )
    .prefix("")
    .when(),
    row(
        "make_list",
        &[Any, Integer],
        DYNAMIC,
        |_| Box::new(List::new(1)),
        "The values in an array, nulls left out.",
    )
    .prefix("list")
    .optional_from(1),
    row(
        "makelist",
        &[Any, Integer],
        DYNAMIC,
        |_| Box::new(List::new(1)),
        "The values in an array, nulls left out.",
    )
    .prefix("list")
    .optional_from(1),
    row(
        "make_list_if",
        &[Any, IF, Integer],
        DYNAMIC,
        |_| Box::new(List::new(2)),
        "The values of the rows that hold, in an array.",
    )
    .prefix("list")
    .optional_from(2)
    .when(),
    row(
        "make_set",
        &[Any, Integer],
        DYNAMIC,
        |_| Box::new(Set::new(1)),
        "The distinct values in an array.",
    )
    .prefix("set")
    .optional_from(1),
    row(
        "makeset",
        &[Any, Integer],
        DYNAMIC,
        |_| Box::new(Set::new(1)),
        "The distinct values in an array.",
    )
    .prefix("set")
    .optional_from(1),
    row(
        "make_set_if",
        &[Any, IF, Integer],
        DYNAMIC,
        |_| Box::new(Set::new(2)),
        "The distinct values of the rows that hold.",
    )
    .prefix("set")
    .optional_from(2)
    .when(),
    row(
        "make_bag",
        &[Is(Type::Dynamic)],
        DYNAMIC,
        |_| Box::new(Bag::default()),
        "The bags in one; of equal keys the last counts.",
    )
    .prefix("bag"),
    row(
        "percentile",
        &[Measure, Number],
        SAME,
        |_| Box::new(Percentiles::default()),
        "The value that so many percent do not exceed.",
    )
    .shape(Shape::Percentiles),
    row(
        "percentiles",
        &[Measure, Number],
        SAME,
        |_| Box::new(Percentiles::default()),
        "The values that so many percent each do not exceed.",
    )
    .shape(Shape::Percentiles),
    row(
        "stdev",
        &[Number],
        REAL,
        |_| Box::new(Spread::new(true, true)),
        "The sample's standard deviation.",
    ),
    row(
        "stdevif",
        &[Number, IF],
        REAL,
        |_| Box::new(Spread::new(true, true)),
        "The standard deviation of the rows that hold.",
    )
    .when(),
    row(
        "stdevp",
        &[Number],
        REAL,
        |_| Box::new(Spread::new(false, true)),
        "The population's standard deviation.",
    ),
    row(
        "variance",
        &[Number],
        REAL,
        |_| Box::new(Spread::new(true, false)),
        "The sample's variance.",
    ),
    row(
        "varianceif",
        &[Number, IF],
        REAL,
        |_| Box::new(Spread::new(true, false)),
        "The variance of the rows that hold.",
    )
    .when(),
    row(
        "variancep",
        &[Number],
        REAL,
        |_| Box::new(Spread::new(false, false)),
        "The population's variance.",
    ),
];

/// The aggregate with this name or one of its old names.
pub fn aggregate(name: &str) -> Option<&'static Aggregate> {
    let name = match name {
        "argmax" => "arg_max",
        "argmin" => "arg_min",
        name => name,
    };
    ROWS.iter().find(|aggregate| aggregate.name == name)
}
