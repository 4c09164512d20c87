use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

pub const LOOKBACK: Micros = 30 * MINUTE;
pub const DAY: Micros = 24 * HOUR;
/// When the tests begin.
pub const T0: Micros = 1_000_000 * MINUTE;

pub fn rules(max_series: usize) -> Rules {
    Rules {
        fingerprint: 1,
        lookback: LOOKBACK,
        catch_up: DAY,
        expire_after: DAY,
        max_series,
        metrics: vec!["x_total".into()],
        labels: vec!["ip".into()],
    }
}

pub fn key(label: u8) -> Key {
    [label; 16]
}

pub fn entry(bin: Micros, label: u8, value: f64) -> Entry {
    Entry {
        bin,
        key: key(label),
        labels: vec![label.to_string().into()],
        values: vec![Some(value)],
    }
}

pub fn totals(book: &Book) -> BTreeMap<String, f64> {
    let name = |labels: Option<&[Box<str>]>| match labels {
        Some(labels) => labels[0].to_string(),
        None => "overflow".into(),
    };
    book.published()
        .map(|series| (name(series.labels), series.totals[0]))
        .collect()
}

/// A book after an empty baseline at `T0`.
fn begun(max_series: usize) -> Book {
    let mut book = Book::new(rules(max_series));
    let window = book.question(book.slice());
    assert_eq!(
        window,
        Window::Baseline {
            lookback: 2 * LOOKBACK
        }
    );
    let (absorbed, _) = book.absorb(window, vec![], T0, true);
    assert!(absorbed.baseline);
    book
}

/// Asks once, and answers `entries` at `served`.
fn poll(book: &mut Book, entries: Vec<Entry>, served: Micros) -> Absorbed {
    let window = book.question(book.slice());
    book.absorb(window, entries, served, true).0
}

#[test]
fn a_series_is_at_zero_first_and_grows_with_the_next_answer() {
    let mut book = begun(10);
    let rows = vec![entry(T0, 1, 5.0)];
    poll(&mut book, rows.clone(), T0 + MINUTE);
    assert_eq!(totals(&book), [("1".into(), 0.0)].into());
    poll(&mut book, rows.clone(), T0 + 2 * MINUTE);
    assert_eq!(totals(&book), [("1".into(), 5.0)].into());
    poll(&mut book, rows, T0 + 3 * MINUTE);
    assert_eq!(totals(&book), [("1".into(), 5.0)].into(), "nothing twice");
}

#[test]
fn a_bin_that_shrinks_is_an_anomaly_and_keeps_its_mark() {
    let mut book = begun(10);
    for value in [5.0, 3.0, 6.0] {
        let absorbed = poll(&mut book, vec![entry(T0, 1, value)], T0 + MINUTE);
        assert_eq!(absorbed.shrunk, u64::from(value == 3.0));
    }
    assert_eq!(book.counted(), [6.0]);
}

#[test]
fn what_the_baseline_saw_is_not_counted_but_its_growth_is() {
    let mut book = Book::new(rules(10));
    let rows = |value| vec![entry(T0 - MINUTE, 1, value)];
    assert!(poll(&mut book, rows(7.0), T0).baseline);
    poll(&mut book, rows(9.0), T0 + MINUTE);
    assert_eq!(book.counted(), [2.0]);
}

#[test]
fn who_is_in_the_overflow_stays_there_until_its_last_bin_is_forgotten() {
    let mut book = begun(1);
    let absorbed = poll(
        &mut book,
        vec![entry(T0, 1, 1.0), entry(T0, 2, 2.0)],
        T0 + MINUTE,
    );
    assert_eq!(absorbed.gathered, 1);
    book.rules.max_series = 2;
    poll(&mut book, vec![entry(T0 + MINUTE, 2, 4.0)], T0 + 2 * MINUTE);
    poll(&mut book, vec![], T0 + 3 * MINUTE);
    let expected = [("1".into(), 1.0), ("overflow".into(), 6.0)];
    assert_eq!(totals(&book), expected.into());
    let later = T0 + 4 * HOUR;
    poll(&mut book, vec![], T0 + 2 * HOUR);
    poll(&mut book, vec![], later);
    poll(&mut book, vec![entry(later, 2, 8.0)], later);
    assert_eq!(totals(&book).get("2"), Some(&0.0));
}

#[test]
fn series_without_growth_leave_and_come_back_at_zero() {
    let mut book = begun(10);
    poll(&mut book, vec![entry(T0, 1, 5.0)], T0 + MINUTE);
    for hour in 1..30 {
        poll(&mut book, vec![], T0 + hour * HOUR);
    }
    assert_eq!(totals(&book), BTreeMap::new());
    let back = T0 + 30 * HOUR;
    poll(&mut book, vec![entry(back - MINUTE, 1, 3.0)], back);
    let series: Vec<_> = book.published().map(|s| (s.totals[0], s.began)).collect();
    assert_eq!(series, [(0.0, back)]);
    assert_eq!(book.counted(), [8.0]);
}

#[test]
fn an_outage_beyond_reach_is_a_gap_of_known_length() {
    let mut book = begun(10);
    let served = T0 + DAY + 3 * HOUR;
    let absorbed = poll(&mut book, vec![entry(T0, 1, 5.0)], served);
    assert_eq!(absorbed.gap, Some(Gap::Outage(3 * HOUR)));
    assert_eq!(book.counted(), [0.0], "asked again from where it can go on");
    let Window::Bins { from, .. } = book.question(book.slice()) else {
        panic!("a window")
    };
    assert_eq!(from, served - DAY);
}

#[test]
fn a_service_whose_clock_goes_back_gives_a_new_baseline() {
    let mut book = begun(10);
    let absorbed = poll(&mut book, vec![entry(T0, 1, 5.0)], T0 - LOOKBACK - 1);
    assert_eq!(absorbed.gap, Some(Gap::ClockWentBack));
    assert!(poll(&mut book, vec![entry(T0, 1, 5.0)], T0).baseline);
    assert_eq!(book.counted(), [0.0]);
}

#[test]
fn after_a_narrow_baseline_what_arrives_from_then_on_counts() {
    let mut book = Book::new(rules(10));
    let narrow = book.question(4 * MINUTE);
    assert_eq!(
        narrow,
        Window::Baseline {
            lookback: 4 * MINUTE
        }
    );
    let old = entry(T0 - 3 * MINUTE, 1, 5.0);
    let seen = entry(T0 - MINUTE, 1, 5.0);
    book.absorb(narrow, vec![old, seen], T0, true);
    let next = book.question(book.slice());
    let Window::Bins { from, .. } = next else {
        panic!("{next:?}");
    };
    assert_eq!(
        from,
        minute(T0 - 2 * MINUTE),
        "no further back than is known"
    );
    let grown = vec![entry(T0 - MINUTE, 1, 6.0), entry(T0, 1, 2.0)];
    let (absorbed, _) = book.absorb(next, grown, T0 + MINUTE, true);
    assert_eq!(absorbed.too_late, 0);
    assert_eq!(book.counted(), [3.0]);
}

#[test]
fn an_answer_to_a_question_of_before_is_no_baseline() {
    let mut book = begun(10);
    let before = book.clone();
    let baseline = Window::Baseline {
        lookback: 2 * LOOKBACK,
    };
    let (absorbed, change) = book.absorb(baseline, vec![entry(T0, 1, 5.0)], T0 + MINUTE, false);
    assert_eq!((absorbed, change), Default::default());
    assert_eq!(book, before);
}

#[test]
fn another_query_keeps_the_totals_of_the_same_names_and_takes_a_baseline() {
    let mut book = begun(10);
    poll(&mut book, vec![entry(T0, 1, 5.0)], T0 + MINUTE);
    poll(&mut book, vec![], T0 + 2 * MINUTE);
    let mut other = rules(10);
    other.fingerprint = 2;
    other.metrics.insert(0, "y_total".into());
    let book = book.under(other.clone());
    assert_eq!(book.covered_until(), None);
    let series: Vec<Vec<f64>> = book.published().map(|s| s.totals.to_vec()).collect();
    assert_eq!(series, [vec![0.0, 5.0]]);
    other.labels = vec!["vm".into()];
    assert_eq!(book.under(other.clone()), Book::new(other));
}

/// A row: when it arrives, how much later it can be seen, whose it is.
#[derive(Clone, Debug)]
pub struct Row {
    pub arrives: Micros,
    pub seen: Micros,
    pub label: u8,
}

/// What happens next.
#[derive(Clone, Debug)]
pub enum Step {
    /// Minutes pass.
    Wait(i64),
    Poll,
    /// An answer comes that is not whole, or the disk does not take the commit.
    Fail,
    /// An old answer's question is asked again.
    Repeat,
    /// Windows are asked in pieces of so many minutes, as after an answer that was too big.
    Narrow(i64),
}

pub fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (-7200i64..60_000, 0i64..1799, 0u8..12).prop_map(|(arrives, late, label)| Row {
        arrives: T0 + arrives * 1_000_000,
        seen: T0 + (arrives + late) * 1_000_000,
        label,
    });
    prop::collection::vec(row, 0..120)
}

pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0i64..4).prop_map(Step::Wait),
        1 => (4i64..400).prop_map(Step::Wait),
        6 => Just(Step::Poll),
        1 => Just(Step::Fail),
        1 => Just(Step::Repeat),
        1 => (1i64..200).prop_map(Step::Narrow),
    ];
    prop::collection::vec(step, 1..40)
}

/// What the service answers to `window` at `now`.
pub fn answer(rows: &[Row], window: Window, now: Micros) -> Vec<Entry> {
    let (from, until) = match window {
        Window::Baseline { lookback } => (minute(now - lookback), Micros::MAX),
        Window::Bins { from, until } => (from, until),
    };
    let mut bins = BTreeMap::new();
    for row in rows {
        if row.seen <= now && (from..until).contains(&row.arrives) {
            *bins.entry((minute(row.arrives), row.label)).or_insert(0.0) += 1.0;
        }
    }
    let entries = bins.into_iter();
    entries
        .map(|((bin, label), value)| entry(bin, label, value))
        .collect()
}

/// Asks window after window until nothing is left, as a poll does.
fn catch_up(book: &mut Book, rows: &[Row], now: Micros, width: Micros) {
    let mut window = book.question(width);
    let mut release = true;
    loop {
        let (absorbed, _) = book.absorb(window, answer(rows, window, now), now, release);
        release = false;
        assert_eq!(absorbed.gap, None);
        assert_eq!(absorbed.shrunk + absorbed.too_late, 0);
        match window {
            Window::Bins { until, .. } if absorbed.behind => {
                window = Window::Bins {
                    from: until,
                    until: until + minute(width).max(MINUTE),
                };
            }
            _ => break,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn whatever_happens_each_row_is_counted_once(
        rows in rows(), steps in steps(), max_series in 1usize..8
    ) {
        // Histories last for weeks; gaps and expiry have tests of their own.
        let long = Rules { catch_up: 365 * DAY, expire_after: 365 * DAY, ..rules(max_series) };
        let mut book = Book::new(long);
        let mut now = T0;
        let mut width = book.slice();
        catch_up(&mut book, &rows, now, width);
        let mut shown = totals(&book);
        let mut asked = book.question(width);
        for step in steps {
            match step {
                Step::Wait(minutes) => now += minutes * MINUTE + 1_234_567,
                Step::Narrow(minutes) => width = minutes * MINUTE,
                Step::Poll => {
                    asked = book.question(width);
                    catch_up(&mut book, &rows, now, width);
                    width = book.slice();
                }
                // What is not committed is as if it had never been.
                Step::Fail => catch_up(&mut book.clone(), &rows, now, width),
                Step::Repeat => {
                    let window = asked;
                    if matches!(window, Window::Bins { .. }) {
                        book.absorb(window, answer(&rows, window, now), now, true);
                    }
                }
            }
            let before = std::mem::replace(&mut shown, totals(&book));
            for (name, total) in &shown {
                prop_assert!(*total >= before.get(name).copied().unwrap_or(0.0), "{name} went back");
            }
            prop_assert!(book.live() <= max_series);
        }
        // Twice, so that all that was new is added.
        catch_up(&mut book, &rows, now, width);
        catch_up(&mut book, &rows, now, width);
        let counted = |row: &&Row| row.seen > T0 && row.seen <= now;
        let truth = rows.iter().filter(counted).count() as f64;
        prop_assert_eq!(book.counted(), [truth]);
        let published: f64 = totals(&book).values().sum();
        prop_assert_eq!(published, truth);
    }
}
