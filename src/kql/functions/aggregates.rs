//! Aggregates: what `summarize` works out over a group's rows.

use std::cmp::Ordering;

use super::Accepts::{self, Any, Integer, Is, Measure, NotDynamic, Number, Ordered};
use super::accumulators::{
    Accumulator, AnyRow, Average, Bag, Bits, Count, Covariance, Distinct, Extreme, List,
    Percentiles, Set, Spread, Sum,
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
    /// Where the percentages begin among the arguments.
    pub ranks_from: usize,
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
    /// One value for each constant percentage among the arguments.
    Percentiles,
    /// The same in an array.
    PercentileArray,
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
        ranks_from: 1,
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

    const fn weighted(mut self) -> Self {
        self.ranks_from = 2;
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
    kind => kind,
};
const AVERAGE: fn(Type) -> Type = |kind| match kind {
    Type::Int | Type::Long => Type::Real,
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
        &[NotDynamic],
        LONG,
        |_| Box::new(Distinct::default()),
        "How many distinct values.",
    ),
    row(
        "count_distinctif",
        &[NotDynamic, IF],
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
        &[Ordered],
        SAME,
        |_| Box::new(Extreme::new(Ordering::Less)),
        "The least value; null without values.",
    ),
    row(
        "minif",
        &[Ordered, IF],
        SAME,
        |_| Box::new(Extreme::new(Ordering::Less)),
        "The least value of the rows that hold.",
    )
    .when(),
    row(
        "max",
        &[Ordered],
        SAME,
        |_| Box::new(Extreme::new(Ordering::Greater)),
        "The greatest value; null without values.",
    ),
    row(
        "maxif",
        &[Ordered, IF],
        SAME,
        |_| Box::new(Extreme::new(Ordering::Greater)),
        "The greatest value of the rows that hold.",
    )
    .when(),
    row(
        "arg_max",
        &[Ordered],
        SAME,
        |_| Box::new(Extreme::new(Ordering::Greater)),
        "The row with the greatest value.",
    )
    .shape(Shape::Extreme),
    row(
        "arg_min",
        &[Ordered],
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
        &[Is(Type::Dynamic), Integer],
        DYNAMIC,
        |_| Box::new(Bag::default()),
        "The bags in one; of equal keys the last counts.",
    )
    .prefix("bag")
    .optional_from(1),
    row(
        "percentile",
        &[Any, Number],
        SAME,
        |_| Box::new(Percentiles::new(false, false)),
        "The value that so many percent do not exceed.",
    )
    .shape(Shape::Percentiles),
    row(
        "percentiles",
        &[Any, Number],
        SAME,
        |_| Box::new(Percentiles::new(false, false)),
        "The values that so many percent each do not exceed.",
    )
    .shape(Shape::Percentiles),
    row(
        "stdev",
        &[Measure],
        REAL,
        |_| Box::new(Spread::new(true, true)),
        "The sample's standard deviation.",
    ),
    row(
        "stdevif",
        &[Measure, IF],
        REAL,
        |_| Box::new(Spread::new(true, true)),
        "The standard deviation of the rows that hold.",
    )
    .when(),
    row(
        "stdevp",
        &[Measure],
        REAL,
        |_| Box::new(Spread::new(false, true)),
        "The population's standard deviation.",
    ),
    row(
        "variance",
        &[Measure],
        REAL,
        |_| Box::new(Spread::new(true, false)),
        "The sample's variance.",
    ),
    row(
        "varianceif",
        &[Measure, IF],
        REAL,
        |_| Box::new(Spread::new(true, false)),
        "The variance of the rows that hold.",
    )
    .when(),
    row(
        "variancep",
        &[Measure],
        REAL,
        |_| Box::new(Spread::new(false, false)),
        "The population's variance.",
    ),
    row(
        "cnt",
        &[],
        LONG,
        |_| Box::new(Count::default()),
        "How many rows.",
    ),
    row(
        "make_list_with_nulls",
        &[Any],
        DYNAMIC,
        |_| Box::new(List::with_nulls()),
        "The values in an array, nulls among them.",
    )
    .prefix("list"),
    row(
        "make_bag_if",
        &[Is(Type::Dynamic), IF, Integer],
        DYNAMIC,
        |_| Box::new(Bag::default()),
        "The bags of the rows that hold, in one.",
    )
    .prefix("bag")
    .optional_from(2)
    .when(),
    row(
        "make_dictionary",
        &[Is(Type::Dynamic), Integer],
        DYNAMIC,
        |_| Box::new(Bag::default()),
        "The bags in one; of equal keys the last counts.",
    )
    .prefix("dictionary")
    .optional_from(1),
    row(
        "percentilew",
        &[Any, Integer, Number],
        SAME,
        |_| Box::new(Percentiles::new(true, false)),
        "The value that so many percent do not exceed, each counted as often as its weight says.",
    )
    .shape(Shape::Percentiles)
    .weighted(),
    row(
        "percentilesw",
        &[Any, Integer, Number],
        SAME,
        |_| Box::new(Percentiles::new(true, false)),
        "The values that so many percent each do not exceed, by weight.",
    )
    .shape(Shape::Percentiles)
    .weighted(),
    row(
        "percentiles_array",
        &[Any, Any],
        DYNAMIC,
        |_| Box::new(Percentiles::new(false, true)),
        "The values that so many percent each do not exceed, in an array.",
    )
    .prefix("percentiles")
    .shape(Shape::PercentileArray),
    row(
        "percentilesw_array",
        &[Any, Integer, Any],
        DYNAMIC,
        |_| Box::new(Percentiles::new(true, true)),
        "The values that so many percent each do not exceed, by weight, in an array.",
    )
    .prefix("percentiles")
    .shape(Shape::PercentileArray)
    .weighted(),
    row(
        "variancepif",
        &[Measure, IF],
        REAL,
        |_| Box::new(Spread::new(false, false)),
        "The population's variance, of the rows that hold.",
    )
    .when(),
    row(
        "covariance",
        &[Measure, Measure],
        REAL,
        |_| Box::new(Covariance::new(true)),
        "The sample's covariance.",
    ),
    row(
        "covarianceif",
        &[Measure, Measure, IF],
        REAL,
        |_| Box::new(Covariance::new(true)),
        "The sample's covariance, of the rows that hold.",
    )
    .when(),
    row(
        "covariancep",
        &[Measure, Measure],
        REAL,
        |_| Box::new(Covariance::new(false)),
        "The population's covariance.",
    ),
    row(
        "covariancepif",
        &[Measure, Measure, IF],
        REAL,
        |_| Box::new(Covariance::new(false)),
        "The population's covariance, of the rows that hold.",
    )
    .when(),
    row(
        "binary_all_and",
        &[Measure],
        SAME,
        |_| Box::new(Bits::new(|all, bits| all & bits)),
        "The bits that all values have.",
    )
    .prefix(""),
    row(
        "binary_all_or",
        &[Measure],
        SAME,
        |_| Box::new(Bits::new(|all, bits| all | bits)),
        "The bits that any value has.",
    )
    .prefix(""),
    row(
        "binary_all_xor",
        &[Measure],
        SAME,
        |_| Box::new(Bits::new(|all, bits| all ^ bits)),
        "The bits that an odd number of values have.",
    )
    .prefix(""),
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
