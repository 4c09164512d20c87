//! Moments and lengths of time.

use super::Accepts::{Integer, Is, Number};
use super::{Context, Returns, ScalarFunction, Special};
use crate::kql::calendar::{
    self, Civil, DAY, HOUR, MICROSECOND, MILLISECOND, MINUTE, SECOND, TICK,
};
use crate::kql::order::{as_long, as_real};
use crate::kql::value::{DateTime, TimeSpan, Type, Value};

const DATETIME: Returns = Returns::Is(Type::DateTime);
const TIMESPAN: Returns = Returns::Is(Type::TimeSpan);
const INT: Returns = Returns::Is(Type::Int);
const LONG: Returns = Returns::Is(Type::Long);
const MOMENT: super::Accepts = Is(Type::DateTime);
const SPAN: super::Accepts = Is(Type::TimeSpan);
const PART: super::Accepts = Is(Type::String);

/// What datetime_part() reads.
const PARTS: &[&str] = &[
    "year",
    "quarter",
    "month",
    "week_of_year",
    "weekofyear",
    "day",
    "dayofyear",
    "hour",
    "minute",
    "second",
    "millisecond",
    "microsecond",
    "nanosecond",
];

/// What datetime_add() and datetime_diff() count in.
const UNITS: &[&str] = &[
    "year",
    "quarter",
    "month",
    "week",
    "day",
    "hour",
    "minute",
    "second",
    "millisecond",
    "microsecond",
    "nanosecond",
];

pub const ROWS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "now",
        &[SPAN],
        DATETIME,
        now,
        "The moment of the query, or one so far from it.",
    )
    .optional_from(0)
    .special(Special::Now),
    ScalarFunction::new(
        "ago",
        &[SPAN],
        DATETIME,
        ago,
        "The moment so long before the query's.",
    ),
    ScalarFunction::new(
        "startofday",
        &[MOMENT, Integer],
        DATETIME,
        |_, v| period(v, Unit::Day, false),
        "The start of the day, so many days off.",
    )
    .optional_from(1)
    .named_as_argument(),
    ScalarFunction::new(
        "startofweek",
        &[MOMENT, Integer],
        DATETIME,
        |_, v| period(v, Unit::Week, false),
        "The start of the week (Sunday), so many weeks off.",
    )
    .optional_from(1),
    ScalarFunction::new(
        "startofmonth",
        &[MOMENT, Integer],
        DATETIME,
        |_, v| period(v, Unit::Month, false),
        "The start of the month, so many months off.",
    )
    .optional_from(1),
    ScalarFunction::new(
        "startofyear",
        &[MOMENT, Integer],
        DATETIME,
        |_, v| period(v, Unit::Year, false),
        "The start of the year, so many years off.",
    )
    .optional_from(1),
    ScalarFunction::new(
        "endofday",
        &[MOMENT, Integer],
        DATETIME,
        |_, v| period(v, Unit::Day, true),
        "The last tick of the day, so many days off.",
    )
    .optional_from(1),
    ScalarFunction::new(
        "endofweek",
        &[MOMENT, Integer],
        DATETIME,
        |_, v| period(v, Unit::Week, true),
        "The last tick of the week, so many weeks off.",
    )
    .optional_from(1),
    ScalarFunction::new(
        "endofmonth",
        &[MOMENT, Integer],
        DATETIME,
        |_, v| period(v, Unit::Month, true),
        "The last tick of the month, so many months off.",
    )
    .optional_from(1),
    ScalarFunction::new(
        "endofyear",
        &[MOMENT, Integer],
        DATETIME,
        |_, v| period(v, Unit::Year, true),
        "The last tick of the year, so many years off.",
    )
    .optional_from(1),
    ScalarFunction::new(
        "dayofweek",
        &[MOMENT],
        TIMESPAN,
        day_of_week,
        "The days since Sunday, as a timespan.",
    ),
    ScalarFunction::new(
        "dayofmonth",
        &[MOMENT],
        INT,
        |_, v| field(v[0], |civil| civil.day),
        "The day of the month.",
    ),
    ScalarFunction::new(
        "dayofyear",
        &[MOMENT],
        INT,
        |_, v| part_of("dayofyear", v[0]),
        "The day of the year.",
    ),
    ScalarFunction::new(
        "week_of_year",
        &[MOMENT],
        INT,
        |_, v| part_of("week_of_year", v[0]),
        "The ISO week.",
    ),
    ScalarFunction::new(
        "hourofday",
        &[MOMENT],
        INT,
        |_, v| field(v[0], Civil::hour),
        "The hour of the day.",
    ),
    ScalarFunction::new(
        "monthofyear",
        &[MOMENT],
        INT,
        |_, v| field(v[0], |civil| civil.month),
        "The month of the year.",
    ),
    ScalarFunction::new(
        "getyear",
        &[MOMENT],
        INT,
        |_, v| field(v[0], |civil| civil.year),
        "The year.",
    ),
    ScalarFunction::new(
        "datetime_part",
        &[PART, MOMENT],
        INT,
        datetime_part,
        "A part of the moment, e.g. 'hour'.",
    )
    .with_parts(PARTS)
    .constant_at(&[0]),
    ScalarFunction::new(
        "datetime_diff",
        &[PART, MOMENT, MOMENT],
        LONG,
        datetime_diff,
        "How many borders of the part lie between the second moment and the first.",
    )
    .with_parts(UNITS)
    .constant_at(&[0]),
    ScalarFunction::new(
        "datetime_add",
        &[PART, Integer, MOMENT],
        DATETIME,
        datetime_add,
        "The moment so many parts later.",
    )
    .with_parts(UNITS)
    .constant_at(&[0]),
    ScalarFunction::new(
        "make_datetime",
        &[Number, Number, Number, Number, Number, Number],
        DATETIME,
        make_datetime,
        "The moment of year, month, day and so on.",
    )
    .optional_from(3),
    ScalarFunction::new(
        "make_timespan",
        &[Integer, Integer, Number, Number],
        TIMESPAN,
        make_timespan,
        "The length of [days,] hours, minutes[, seconds].",
    )
    .optional_from(2),
    ScalarFunction::new(
        "unixtime_seconds_todatetime",
        &[Number],
        DATETIME,
        |_, v| from_unix(v[0], SECOND),
        "The moment so many seconds after 1970.",
    ),
    ScalarFunction::new(
        "unixtime_milliseconds_todatetime",
        &[Number],
        DATETIME,
        |_, v| from_unix(v[0], MILLISECOND),
        "The moment so many milliseconds after 1970.",
    ),
    ScalarFunction::new(
        "unixtime_microseconds_todatetime",
        &[Number],
        DATETIME,
        |_, v| from_unix(v[0], MICROSECOND),
        "The moment so many microseconds after 1970.",
    ),
    ScalarFunction::new(
        "unixtime_nanoseconds_todatetime",
        &[Number],
        DATETIME,
        |_, v| from_nanoseconds(v[0]),
        "The moment so many nanoseconds after 1970.",
    ),
];

fn moment(value: &Value) -> Option<DateTime> {
    match value {
        Value::DateTime(moment) => Some(*moment),
        _ => None,
    }
}

fn datetime(moment: Option<DateTime>) -> Value {
    moment.map_or(Value::Null, Value::DateTime)
}

fn number(number: Option<i64>) -> Value {
    number
        .and_then(|number| i32::try_from(number).ok())
        .map_or(Value::Null, Value::Int)
}

fn now(context: &Context, values: &[&Value]) -> Value {
    match values.first() {
        None => Value::DateTime(context.now),
        Some(Value::TimeSpan(span)) => datetime(calendar::add(context.now, *span)),
        Some(_) => Value::Null,
    }
}

/// A length that leads out of the calendar leads to its first moment.
fn ago(context: &Context, values: &[&Value]) -> Value {
    match values[0] {
        Value::TimeSpan(span) => {
            let ticks = context.now.0.saturating_sub(span.0);
            Value::DateTime(DateTime(ticks.clamp(DateTime::MIN.0, DateTime::MAX.0)))
        }
        _ => Value::Null,
    }
}

#[derive(Clone, Copy)]
enum Unit {
    Day,
    Week,
    Month,
    Year,
}

/// The first tick of the unit that the moment falls into, or its last, so many units off.
fn period(values: &[&Value], unit: Unit, end: bool) -> Value {
    let offset = values.get(1).map_or(Some(0), |offset| as_long(offset));
    let start = || {
        let (at, offset) = (moment(values[0])?, offset?);
        let first = start_of(at, unit, offset)?;
        if !end {
            return Some(first);
        }
        match start_of(at, unit, offset.checked_add(1)?) {
            Some(next) => Some(DateTime(next.0 - TICK)),
            None => Some(DateTime::MAX),
        }
    };
    datetime(start())
}

fn start_of(at: DateTime, unit: Unit, offset: i64) -> Option<DateTime> {
    let day = DateTime(at.0 - at.0.rem_euclid(DAY));
    let days = |from: DateTime, days: i64| calendar::add(from, TimeSpan(days.checked_mul(DAY)?));
    let civil = calendar::to_civil(at);
    match unit {
        Unit::Day => days(day, offset),
        Unit::Week => days(
            day,
            offset.checked_mul(7)?.checked_sub(calendar::weekday(day))?,
        ),
        Unit::Month => {
            calendar::add_months(calendar::from_date(civil.year, civil.month, 1)?, offset)
        }
        Unit::Year => calendar::from_date(civil.year.checked_add(offset)?, 1, 1),
    }
}

fn day_of_week(_: &Context, values: &[&Value]) -> Value {
    moment(values[0]).map_or(Value::Null, |at| {
        Value::TimeSpan(TimeSpan(calendar::weekday(at) * DAY))
    })
}

fn field(value: &Value, field: fn(Civil) -> i64) -> Value {
    number(moment(value).map(|at| field(calendar::to_civil(at))))
}

fn part_of(part: &str, value: &Value) -> Value {
    number(moment(value).and_then(|at| read_part(part, at)))
}

fn datetime_part(_: &Context, values: &[&Value]) -> Value {
    match values[0] {
        Value::String(part) => part_of(&part.to_lowercase(), values[1]),
        _ => Value::Null,
    }
}

fn read_part(part: &str, at: DateTime) -> Option<i64> {
    let civil = calendar::to_civil(at);
    Some(match part {
        "year" => civil.year,
        "quarter" => (civil.month - 1) / 3 + 1,
        "month" => civil.month,
        "week_of_year" | "weekofyear" => {
            // The ISO week is that of its Thursday.
            let thursday = at.0 + (4 - (calendar::weekday(at) + 6) % 7 - 1) * DAY;
            day_of_year(DateTime(thursday))? / 7 + 1
        }
        "day" => civil.day,
        "dayofyear" => day_of_year(at)? + 1,
        "hour" => civil.hour(),
        "minute" => civil.minute(),
        "second" => civil.second(),
        "millisecond" => civil.fraction() / MILLISECOND,
        "microsecond" => civil.fraction() / MICROSECOND,
        "nanosecond" => civil.fraction() * 100,
        _ => return None,
    })
}

/// From 0.
fn day_of_year(at: DateTime) -> Option<i64> {
    let first = calendar::from_date(calendar::to_civil(at).year, 1, 1)?;
    Some((at.0 - first.0) / DAY)
}

/// The ticks of a part that is always as long.
fn part_ticks(part: &str) -> Option<i64> {
    Some(match part {
        "week" => 7 * DAY,
        "day" => DAY,
        "hour" => HOUR,
        "minute" => MINUTE,
        "second" => SECOND,
        "millisecond" => MILLISECOND,
        "microsecond" => MICROSECOND,
        _ => return None,
    })
}

fn datetime_diff(_: &Context, values: &[&Value]) -> Value {
    let difference = || {
        let Value::String(part) = values[0] else {
            return None;
        };
        let (left, right) = (moment(values[1])?, moment(values[2])?);
        let months = |at| {
            let civil = calendar::to_civil(at);
            civil.year * 12 + civil.month - 1
        };
        let count = |at: DateTime| -> Option<i64> {
            Some(match part.to_lowercase().as_str() {
                "year" => months(at) / 12,
                "quarter" => months(at) / 3,
                "month" => months(at),
                "week" => (at.0 + DAY).div_euclid(7 * DAY),
                "nanosecond" => at.0,
                part => at.0.div_euclid(part_ticks(part)?),
            })
        };
        let difference = count(left)?.checked_sub(count(right)?)?;
        if part.eq_ignore_ascii_case("nanosecond") {
            return difference.checked_mul(100);
        }
        Some(difference)
    };
    difference().map_or(Value::Null, Value::Long)
}

fn datetime_add(_: &Context, values: &[&Value]) -> Value {
    let later = || {
        let Value::String(part) = values[0] else {
            return None;
        };
        let (count, at) = (as_long(values[1])?, moment(values[2])?);
        match part.to_lowercase().as_str() {
            "year" => calendar::add_months(at, count.checked_mul(12)?),
            "quarter" => calendar::add_months(at, count.checked_mul(3)?),
            "month" => calendar::add_months(at, count),
            part => calendar::add(at, TimeSpan(part_ticks(part)?.checked_mul(count)?)),
        }
    };
    datetime(later())
}

fn make_datetime(_: &Context, values: &[&Value]) -> Value {
    let made = || {
        let whole = |at: usize| match values.get(at) {
            Some(value) => as_long(value),
            None => Some(0),
        };
        let date = calendar::from_date(whole(0)?, whole(1)?, whole(2)?)?;
        let (hour, minute) = (whole(3)?, whole(4)?);
        let second = values.get(5).map_or(Some(0.0), |second| as_real(second))?;
        let fits = (0..24).contains(&hour) && (0..60).contains(&minute);
        let ticks = hour
            .checked_mul(HOUR)?
            .checked_add(minute.checked_mul(MINUTE)?)?;
        (fits && (0.0..60.0).contains(&second))
            .then(|| DateTime(date.0 + ticks + (second * SECOND as f64).round() as i64))
    };
    datetime(made())
}

fn make_timespan(_: &Context, values: &[&Value]) -> Value {
    let units: &[i64] = match values.len() {
        2 => &[HOUR, MINUTE],
        3 => &[HOUR, MINUTE, SECOND],
        _ => &[DAY, HOUR, MINUTE, SECOND],
    };
    let ticks = values
        .iter()
        .zip(units)
        .try_fold(0_i64, |sum, (value, unit)| {
            let ticks = as_real(value)? * *unit as f64;
            (ticks.abs() < i64::MAX as f64)
                .then(|| sum.checked_add(ticks.round() as i64))
                .flatten()
        });
    ticks.map_or(Value::Null, |ticks| Value::TimeSpan(TimeSpan(ticks)))
}

fn from_unix(value: &Value, unit: i64) -> Value {
    let ticks = match as_long(value) {
        Some(count) => count.checked_mul(unit),
        None => as_real(value)
            .map(|count| count * unit as f64)
            .filter(|ticks| ticks.abs() < i64::MAX as f64)
            .map(|ticks| ticks.round() as i64),
    };
    datetime(ticks.and_then(|ticks| calendar::add(DateTime::from_unix_seconds(0), TimeSpan(ticks))))
}

/// Less than a tick is dropped.
fn from_nanoseconds(value: &Value) -> Value {
    let ticks = match as_long(value) {
        Some(count) => Some(count.div_euclid(100)),
        None => as_real(value)
            .map(|count| count / 100.0)
            .filter(|ticks| ticks.abs() < i64::MAX as f64)
            .map(|ticks| ticks.floor() as i64),
    };
    datetime(ticks.and_then(|ticks| calendar::add(DateTime::from_unix_seconds(0), TimeSpan(ticks))))
}
