//! The request's `timespan`: ISO 8601, as a duration up to now or an interval.

use jiff::{Span, tz::Offset};

use crate::kql::DateTime;
use crate::simulator::moment;

/// From and to, both inclusive.
pub type Bounds = (DateTime, DateTime);

/// Reads `PT12H` (up to `now`), `start/end`, `start/duration` or `duration/end`.
///
/// # Errors
/// If it is none of these, or ends before it begins; the text says which.
pub fn parse(text: &str, now: DateTime) -> Result<Bounds, String> {
    let text = text.trim();
    let (from, to) = match text.split_once('/') {
        None => (moved(now, duration(text)?, false)?, now),
        Some((first, second)) => match (is_duration(first), is_duration(second)) {
            (false, false) => (moment(first)?, moment(second)?),
            (false, true) => {
                let from = moment(first)?;
                (from, moved(from, duration(second)?, true)?)
            }
            (true, false) => {
                let to = moment(second)?;
                (moved(to, duration(first)?, false)?, to)
            }
            (true, true) => return Err(format!("timespan {text:?} has two durations")),
        },
    };
    if to < from {
        return Err(format!("timespan {text:?} ends before it begins"));
    }
    Ok((from, to))
}

fn is_duration(text: &str) -> bool {
    text.trim_start_matches(['+', '-']).starts_with(['P', 'p'])
}

fn duration(text: &str) -> Result<Span, String> {
    let span: Span = text
        .parse()
        .map_err(|_| format!("{text:?} is no ISO 8601 duration, e.g. PT12H or P1D"))?;
    // The parser also takes "12h"; the service does not.
    if is_duration(text) && !span.is_negative() {
        Ok(span)
    } else {
        Err(format!(
            "{text:?} is no ISO 8601 duration, e.g. PT12H or P1D"
        ))
    }
}

fn moment(text: &str) -> Result<DateTime, String> {
    moment::parse(text)
        .ok_or_else(|| format!("{text:?} is no ISO 8601 time, e.g. 2026-01-31T12:00:00Z"))
}

/// `moment` plus or minus a span, months and years by the calendar.
fn moved(moment: DateTime, span: Span, forward: bool) -> Result<DateTime, String> {
    let civil = Offset::UTC.to_datetime(moment.to_timestamp());
    let moved = if forward {
        civil.checked_add(span)
    } else {
        civil.checked_sub(span)
    };
    moved
        .and_then(|civil| Offset::UTC.to_timestamp(civil))
        .map(DateTime::from_timestamp)
        .map_err(|_| "timespan reaches beyond the calendar".to_owned())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn check(text: &str, expected: Result<(&str, &str), &str>) {
        let now: Timestamp = "2026-03-31T12:00:00Z".parse().unwrap();
        let actual = parse(text, DateTime::from_timestamp(now));
        let expected = expected
            .map(|(from, to)| {
                let tick = |text: &str| DateTime::from_timestamp(text.parse().unwrap());
                (tick(from), tick(to))
            })
            .map_err(str::to_owned);
        assert_eq!(actual, expected, "{text}");
    }

    #[test]
    fn every_form_that_clients_send() {
        let now = "2026-03-31T12:00:00Z";
        check("PT12H", Ok(("2026-03-31T00:00:00Z", now)));
        check("P1D", Ok(("2026-03-30T12:00:00Z", now)));
        check("PT3600.0S", Ok(("2026-03-31T11:00:00Z", now)));
        check("P9999Y", Ok(("0001-01-01T00:00:00Z", now)));
        check("P1M", Ok(("2026-02-28T12:00:00Z", now)));
        check(
            "2021-05-03T00:00:00.0000000Z/P7D",
            Ok(("2021-05-03T00:00:00Z", "2021-05-10T00:00:00Z")),
        );
        check(
            "PT1H/2021-05-03T00:00:00Z",
            Ok(("2021-05-02T23:00:00Z", "2021-05-03T00:00:00Z")),
        );
        check(
            "2021-05-03/2021-05-04T01:00:00.1234567+01:00",
            Ok(("2021-05-03T00:00:00Z", "2021-05-04T00:00:00.1234567Z")),
        );
    }

    #[test]
    fn what_is_no_timespan_says_why() {
        let no_duration = "\"12h\" is no ISO 8601 duration, e.g. PT12H or P1D";
        check("12h", Err(no_duration));
        check("", Err("\"\" is no ISO 8601 duration, e.g. PT12H or P1D"));
        check(
            "-PT1H",
            Err("\"-PT1H\" is no ISO 8601 duration, e.g. PT12H or P1D"),
        );
        check("PT1H/PT1H", Err("timespan \"PT1H/PT1H\" has two durations"));
        check(
            "yesterday/PT1H",
            Err("\"yesterday\" is no ISO 8601 time, e.g. 2026-01-31T12:00:00Z"),
        );
        check(
            "2021-05-03/2021-05-02",
            Err("timespan \"2021-05-03/2021-05-02\" ends before it begins"),
        );
        check(
            "2021-05-03/P9999Y",
            Err("timespan reaches beyond the calendar"),
        );
        check(
            "P99999999999Y",
            Err("\"P99999999999Y\" is no ISO 8601 duration, e.g. PT12H or P1D"),
        );
    }
}
