//! The scalar functions and aggregates: one table each, a row for every function.
//!
//! Adding a function is a row and a kernel in the file of its kind.

pub mod accumulators;
pub mod aggregates;
mod arrays;
mod bags;
mod convert;
mod encoding;
mod filters;
mod fits;
mod formats;
mod geo;
mod ipv6;
pub mod json;
mod logic;
mod math;
mod network;
mod patterns;
mod series;
mod special_math;
mod strings;
mod terms;
mod time;
mod window;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::batch::Column;
use super::budget::{Budget, Meter};
use super::value::{DateTime, Type, Value};

pub use bags::{pack_all, parse_keys};

/// What a kernel may know beside its arguments.
pub struct Context {
    pub now: DateTime,
    /// Patterns seen so far; none where a pattern is malformed.
    regexes: RefCell<HashMap<Arc<str>, Option<Regex>>>,
    /// Charged for long results.
    pub meter: Rc<Meter>,
    /// Where the row of random numbers is at.
    seed: Cell<u64>,
}

/// Results up to so many bytes are not counted.
const SHORT: usize = 64;
/// The deepest dynamic value.
const MAX_DYNAMIC_DEPTH: usize = 256;
/// Compiled patterns that are kept, and the most that one may take, in bytes.
const MAX_PATTERNS: usize = 100;
const MAX_PATTERN_SIZE: usize = 1 << 20;

impl Context {
    /// For a computation of its own.
    pub fn new(now: DateTime) -> Self {
        Self::metered(now, &Rc::new(Meter::new(Budget::default())))
    }

    /// For one of many computations of a query.
    pub fn metered(now: DateTime, meter: &Rc<Meter>) -> Self {
        Self {
            now,
            regexes: RefCell::default(),
            meter: meter.clone(),
            seed: Cell::new(now.0.cast_unsigned()),
        }
    }

    /// The next of a row of numbers that look random (SplitMix64) and begin with the moment.
    pub fn random(&self) -> u64 {
        let seed = self.seed.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.seed.set(seed);
        let mixed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Lets a kernel's result pass, or null once the results take too much: the meter says so from
    /// then on. Texts and arrays can double with every call.
    pub fn admit(&self, value: Value) -> Value {
        let size = match &value {
            Value::String(text) => Some(text.len()),
            Value::Dynamic(json) => size(json, MAX_DYNAMIC_DEPTH),
            _ => return value,
        };
        match size {
            Some(size) if size <= SHORT => return value,
            Some(size) => self.meter.make(size),
            None => self.meter.make(usize::MAX),
        }
        if self.meter.lasts() {
            value
        } else {
            Value::Null
        }
    }

    /// Null if the pattern is no regular expression.
    pub fn with_regex(&self, pattern: &Arc<str>, apply: impl FnOnce(&Regex) -> Value) -> Value {
        let mut regexes = self.regexes.borrow_mut();
        if !regexes.contains_key(pattern) {
            if regexes.len() >= MAX_PATTERNS {
                regexes.clear();
            }
            let regex = RegexBuilder::new(pattern)
                .size_limit(MAX_PATTERN_SIZE)
                .build();
            regexes.insert(pattern.clone(), regex.ok());
        }
        match regexes.get(pattern) {
            Some(Some(regex)) => apply(regex),
            _ => Value::Null,
        }
    }
}

/// What a dynamic value takes, about, in bytes; none if it is too deep.
fn size(json: &serde_json::Value, depth: usize) -> Option<usize> {
    let depth = depth.checked_sub(1)?;
    Some(match json {
        serde_json::Value::String(text) => 32 + text.len(),
        serde_json::Value::Array(elements) => {
            let sizes = elements.iter().map(|element| size(element, depth));
            32 + sizes.sum::<Option<usize>>()?
        }
        serde_json::Value::Object(bag) => {
            let sizes = bag
                .iter()
                .map(|(key, value)| Some(32 + key.len() + size(value, depth)?));
            32 + sizes.sum::<Option<usize>>()?
        }
        _ => 32,
    })
}

/// The conversion to a type.
pub fn convert_to(kind: Type) -> RowKernel {
    convert::to(kind)
}

/// A row's arguments to its result. A null for a string result becomes `""`.
pub type RowKernel = fn(&Context, &[&Value]) -> Value;

/// All rows' arguments (columns of the given length) to all results.
pub type WindowKernel = fn(&[Column], usize) -> Vec<Value>;

/// What a parameter takes. Where it takes another type than the argument has, the argument is
/// converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    Any,
    Is(Type),
    /// int or long.
    Integer,
    /// int, long, real, decimal.
    Number,
    /// A number, a datetime or a timespan.
    Measure,
    /// A number or a timespan.
    Length,
    /// A dynamic value or a number.
    SeriesOrNumber,
    /// What has an order: all but dynamic values and guids.
    Ordered,
    /// All but dynamic values.
    NotDynamic,
    /// A string (or a dynamic value as its text).
    Text,
    /// Any scalar, as its text.
    AnyText,
    /// A string or a dynamic value.
    TextOrDynamic,
    /// `typeof(…)`.
    TypeName,
}

/// The type of a function's result.
#[derive(Clone, Copy)]
pub enum Returns {
    Is(Type),
    /// That of the argument at this position.
    Argument(usize),
    /// The one that all arguments from this position on are converted to.
    Common(usize),
    /// By the types of the arguments.
    Of(fn(&[Type]) -> Type),
    /// The type that the `typeof` argument at this position names, else a string.
    TypeOf(usize),
    /// An array, of which each element is a column of its own where a column is made.
    Parts(&'static [(&'static str, Type)]),
}

#[derive(Clone, Copy)]
pub enum Kernel {
    Rows(RowKernel),
    /// Needs the rows in order.
    Window(WindowKernel),
    /// The binder makes something else of the call.
    Special(Special),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    Now,
    Case,
    ColumnIfExists,
    IngestionTime,
    ToScalar,
    Materialize,
    PackAll,
    PackColumns,
}

/// How a column is called that is not named and holds this function's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// `Column1`
    None,
    /// As the first argument would be.
    FirstArgument,
    /// As the column that the first argument names, if there is one.
    FirstText,
    /// As the first argument would be, with this and `_` before it.
    Prefixed(&'static str),
    /// As the first argument would be, with `_` and this behind it.
    Suffixed(&'static str),
}

/// One scalar function.
pub struct ScalarFunction {
    pub name: &'static str,
    /// The fewest arguments.
    pub least: usize,
    pub parameters: &'static [Accepts],
    /// How many of the last parameters repeat; 0 for none.
    pub repeat: usize,
    pub returns: Returns,
    pub naming: Naming,
    pub kernel: Kernel,
    /// It has several signatures: an argument of a wrong type is a fault of the whole call.
    pub overloaded: bool,
    /// The positions of arguments that must be constant.
    pub constants: &'static [usize],
    /// What the first argument may be, case aside, if it names a part of a moment.
    pub parts: Option<&'static [&'static str]>,
    /// It gives another value each time.
    pub varying: bool,
    /// What it gives, in a line.
    pub about: &'static str,
}

impl ScalarFunction {
    const fn new(
        name: &'static str,
        parameters: &'static [Accepts],
        returns: Returns,
        kernel: RowKernel,
        about: &'static str,
    ) -> Self {
        Self {
            name,
            least: parameters.len(),
            parameters,
            repeat: 0,
            returns,
            naming: Naming::None,
            kernel: Kernel::Rows(kernel),
            overloaded: false,
            constants: &[],
            parts: None,
            varying: false,
            about,
        }
    }

    const fn overloaded(mut self) -> Self {
        self.overloaded = true;
        self
    }

    const fn constant_at(mut self, constants: &'static [usize]) -> Self {
        self.constants = constants;
        self
    }

    const fn with_parts(mut self, parts: &'static [&'static str]) -> Self {
        self.parts = Some(parts);
        self
    }

    const fn varying(mut self) -> Self {
        self.varying = true;
        self
    }

    const fn suffixed(mut self, suffix: &'static str) -> Self {
        self.naming = Naming::Suffixed(suffix);
        self
    }

    const fn prefixed(mut self, prefix: &'static str) -> Self {
        self.naming = Naming::Prefixed(prefix);
        self
    }

    /// Arguments beyond so many may be left out.
    const fn optional_from(mut self, least: usize) -> Self {
        self.least = least;
        self
    }

    /// The last `count` parameters may come again and again.
    const fn repeating(mut self, count: usize) -> Self {
        self.repeat = count;
        self
    }

    const fn named_as_argument(mut self) -> Self {
        self.naming = Naming::FirstArgument;
        self
    }

    const fn window(mut self, kernel: WindowKernel) -> Self {
        self.kernel = Kernel::Window(kernel);
        self
    }

    const fn special(mut self, special: Special) -> Self {
        self.kernel = Kernel::Special(special);
        self
    }

    const fn named_as_text(mut self) -> Self {
        self.naming = Naming::FirstText;
        self
    }

    /// The parameter for the argument at this position; `None` beyond the last.
    pub fn parameter(&self, at: usize) -> Option<Accepts> {
        if at < self.parameters.len() {
            return Some(self.parameters[at]);
        }
        let fixed = self.parameters.len() - self.repeat;
        (self.repeat > 0).then(|| self.parameters[fixed + (at - fixed) % self.repeat])
    }

    /// How many arguments it takes, in words.
    pub fn arity(&self) -> String {
        let most = self.parameters.len();
        match (self.least, self.repeat) {
            (least, repeat) if repeat > 0 => format!("at least {least} argument(s)"),
            (least, _) if least == most => format!("{least} argument(s)"),
            (least, _) => format!("{least} to {most} arguments"),
        }
    }
}

/// All scalar functions.
pub fn scalar_functions() -> impl Iterator<Item = &'static ScalarFunction> {
    [
        arrays::ROWS,
        bags::ROWS,
        convert::ROWS,
        encoding::ROWS,
        fits::ROWS,
        formats::ROWS,
        geo::ROWS,
        ipv6::ROWS,
        json::ROWS,
        logic::ROWS,
        math::ROWS,
        network::ROWS,
        patterns::ROWS,
        series::ROWS,
        filters::ROWS,
        special_math::ROWS,
        strings::ROWS,
        terms::ROWS,
        time::ROWS,
        window::ROWS,
    ]
    .into_iter()
    .flatten()
}

/// The function with this name or one of its old names.
pub fn scalar_function(name: &str) -> Option<&'static ScalarFunction> {
    let name = match name {
        "columnifexists" => "column_ifexists",
        "datepart" => "datetime_part",
        "extractjson" => "extract_json",
        "iif" => "iff",
        "notempty" => "isnotempty",
        "notnull" => "isnotnull",
        "pack" | "pack_dictionary" => "bag_pack",
        "parsejson" | "todynamic" | "toobject" => "parse_json",
        "toboolean" => "tobool",
        "todouble" => "toreal",
        "totime" => "totimespan",
        "floor" => "bin",
        "array_strcat" => "strcat_array",
        "arraylength" => "array_length",
        "getmonth" => "monthofyear",
        "base64_encodestring" => "base64_encode_tostring",
        "base64_decodestring" => "base64_decode_tostring",
        "extractall" => "extract_all",
        "weekofyear" => "week_of_year",
        "array_iif" => "array_iff",
        "parseurl" => "parse_url",
        "parseurlquery" => "parse_urlquery",
        "row_rank" => "row_rank_dense",
        "to_utf8" => "unicode_codepoints_from_string",
        "make_string" => "unicode_codepoints_to_string",
        name => name,
    };
    scalar_functions().find(|function| function.name == name)
}

/// All functions and aggregates that this engine runs: name, and what it gives.
pub fn documentation() -> Vec<(&'static str, &'static str)> {
    scalar_functions()
        .map(|function| (function.name, function.about))
        .chain(
            aggregates::ROWS
                .iter()
                .map(|aggregate| (aggregate.name, aggregate.about)),
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_in_the_table_once_and_is_one_of_kql() {
        let mut seen = std::collections::HashSet::new();
        for function in scalar_functions() {
            assert!(seen.insert(function.name), "{} twice", function.name);
            assert!(!function.about.is_empty(), "{}", function.name);
            assert!(function.repeat <= function.parameters.len());
            let known = crate::kql::names::FUNCTIONS.contains(&function.name);
            let form = ["toscalar", "materialize"].contains(&function.name);
            assert!(known || form, "{} is none of KQL's", function.name);
        }
        for aggregate in aggregates::ROWS {
            assert!(crate::kql::names::AGGREGATES.contains(&aggregate.name));
        }
    }
}
