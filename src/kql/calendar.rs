//! Ticks to calendar fields and back (proleptic Gregorian, UTC), without a time zone or a clock.

use super::value::{DateTime, TimeSpan};

pub const TICK: i64 = 1;
pub const MICROSECOND: i64 = 10 * TICK;
pub const MILLISECOND: i64 = 1000 * MICROSECOND;
pub const SECOND: i64 = 1000 * MILLISECOND;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// A moment's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// 1 to 9999.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
    /// Since midnight.
    pub ticks: i64,
}

impl Civil {
    pub fn hour(self) -> i64 {
        self.ticks / HOUR
    }

    pub fn minute(self) -> i64 {
        self.ticks / MINUTE % 60
    }

    pub fn second(self) -> i64 {
        self.ticks / SECOND % 60
    }

    /// Ticks within the second.
    pub fn fraction(self) -> i64 {
        self.ticks % SECOND
    }
}

/// Days from 0001-01-01 to the first of March of year 0, from which leap days fall at year ends.
const MARCH_OF_YEAR_ZERO: i64 = -306;

pub fn to_civil(moment: DateTime) -> Civil {
    let ticks = moment.0.clamp(DateTime::MIN.0, DateTime::MAX.0);
    let days = ticks / DAY - MARCH_OF_YEAR_ZERO;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    Civil {
        year: era * 400 + year_of_era + i64::from(month <= 2),
        month,
        day,
        ticks: ticks % DAY,
    }
}

/// Midnight of a day that exists, of the years 1 to 9999.
pub fn from_date(year: i64, month: i64, day: i64) -> Option<DateTime> {
    if !(1..=9999).contains(&year)
        || !(1..=12).contains(&month)
        || !(1..=days_in_month(year, month)).contains(&day)
    {
        return None;
    }
    let shifted_year = year - i64::from(month <= 2);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let days =
        365 * shifted_year + shifted_year / 4 - shifted_year / 100 + shifted_year / 400 + of_year;
    Some(DateTime((days + MARCH_OF_YEAR_ZERO) * DAY))
}

pub fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// 0 is Sunday.
pub fn weekday(moment: DateTime) -> i64 {
    // 0001-01-01 was a Monday.
    (moment.0.div_euclid(DAY) + 1).rem_euclid(7)
}

/// `months` later, the day cut to the month's last where it has fewer.
pub fn add_months(moment: DateTime, months: i64) -> Option<DateTime> {
    let civil = to_civil(moment);
    let total = (civil.year * 12 + civil.month - 1).checked_add(months)?;
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
    let day = civil.day.min(days_in_month(year, month));
    from_date(year, month, day).map(|date| DateTime(date.0 + civil.ticks))
}

/// `moment + span`; `None` outside the years 1 to 9999.
pub fn add(moment: DateTime, span: TimeSpan) -> Option<DateTime> {
    let ticks = moment.0.checked_add(span.0)?;
    (DateTime::MIN.0..=DateTime::MAX.0)
        .contains(&ticks)
        .then_some(DateTime(ticks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_four_centuries_reads_back() {
        for day in (0..146_097).map(|day| day + 1_990 * 365) {
            let moment = DateTime(day * DAY + 5);
            let civil = to_civil(moment);
            assert_eq!(
                from_date(civil.year, civil.month, civil.day),
                Some(DateTime(day * DAY)),
                "{civil:?}"
            );
        }
    }

    #[test]
    fn known_days() {
        assert_eq!(from_date(1970, 1, 1), Some(DateTime::from_unix_seconds(0)));
        assert_eq!(from_date(2023, 2, 29), None);
        assert_eq!(weekday(DateTime::from_unix_seconds(0)), 4);
        let last = to_civil(DateTime::MAX);
        assert_eq!((last.year, last.month, last.day), (9999, 12, 31));
        let first = to_civil(DateTime::MIN);
        assert_eq!((first.year, first.month, first.day), (1, 1, 1));
        assert_eq!(
            add_months(from_date(2024, 1, 31).unwrap(), 1),
            from_date(2024, 2, 29)
        );
        assert_eq!(add_months(DateTime::MAX, 1), None);
    }
}
