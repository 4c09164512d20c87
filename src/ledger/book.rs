//! One query's and workspace's counts: bins in, totals out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Microseconds since the Unix epoch, or a length of time in them.
pub type Micros = i64;

pub const MINUTE: Micros = 60_000_000;
const HOUR: Micros = 60 * MINUTE;

/// A label set's digest: what marks are kept under, so that an attack of many addresses costs a few
/// bytes for each of them.
pub type Key = [u8; 16];

/// What a definition says of its counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Of the query's text and its mapping; another one takes a new baseline.
    pub fingerprint: u64,
    /// How late a row may come and still be counted.
    pub lookback: Micros,
    /// How long an outage may last and still be caught up with.
    pub catch_up: Micros,
    /// How long a series stays without growth.
    pub expire_after: Micros,
    pub max_series: usize,
    /// The counters' names; a series has a total for each.
    pub metrics: Vec<String>,
    /// The labels' names, without `workspace`.
    pub labels: Vec<String>,
}

/// A bin's values for one label set, as an answer says them.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The bin's start.
    pub bin: Micros,
    pub key: Key,
    pub labels: Vec<Box<str>>,
    /// One for each metric; `None` where the answer has none.
    pub values: Vec<Option<f64>>,
}

/// What to ask for: bins from `from` up to, and without, `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The last so long, as the service's own clock has it: there is no moment to go on from. Rows of
    /// its newer half are seen; those that arrived before it are never counted, however late they show.
    Baseline {
        lookback: Micros,
    },
    Bins {
        from: Micros,
        until: Micros,
    },
}

/// Rows that can no longer be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// An outage was longer than it can be caught up with, by so much.
    Outage(Micros),
    /// The service's time went back by more than a look-back: nothing is known any more.
    ClockWentBack,
}

/// What became of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Absorbed {
    /// It was the first: seen, not counted.
    pub baseline: bool,
    /// It was not used, because rows before it are lost; ask again.
    pub gap: Option<Gap>,
    /// Values that were lower than before.
    pub shrunk: u64,
    /// Entries of bins that are forgotten.
    pub too_late: u64,
    /// Entries whose growth went into the overflow.
    pub gathered: u64,
    /// Whether bins after the window may hold rows by now.
    pub behind: bool,
}

/// What an answer changed: what a store has to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// All is new; what was written before goes.
    pub everything: bool,
    pub marks: Vec<(Micros, Key)>,
    /// Bins before this are forgotten.
    pub forgotten_before: Option<Micros>,
    pub series: BTreeSet<Key>,
    pub removed: Vec<Key>,
}

/// A series' counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub labels: Vec<Box<str>>,
    /// When it began to count.
    pub began: Micros,
    /// Up to where the service had been asked when it last grew.
    pub grew: Micros,
    pub totals: Vec<f64>,
    /// The growth of a series that has yet to be seen at 0; the next answer's commit adds it.
    pub pending: Option<Vec<f64>>,
}

/// A series as it is published.
#[derive(Clone, Copy, Debug)]
pub struct Published<'a> {
    /// `None`: the overflow.
    pub labels: Option<&'a [Box<str>]>,
    pub totals: &'a [f64],
    pub began: Micros,
}

/// The counts of one query and workspace.
///
/// Each method that takes an answer says what it changed; who keeps books on a disk publishes nothing
/// of it before that is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Book {
    pub(super) rules: Rules,
    pub(super) state: State,
    /// The highest values seen, by bin and label set.
    pub(super) marks: BTreeMap<Micros, HashMap<Key, Box<[f64]>>>,
    pub(super) series: HashMap<Key, Series>,
    /// In how many bins each label set is remembered.
    bins: HashMap<Key, u32>,
    fresh: Vec<Key>,
}

/// What a book knows beside its bins and series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Everything before this moment of the service's time has been asked for, as far as it was there.
    pub covered_until: Option<Micros>,
    /// Bins before this are forgotten.
    pub floor: Micros,
    /// All growth ever, in live, expired and gathered series.
    pub counted: Vec<f64>,
    pub overflow: Option<Series>,
}

impl Window {
    /// How much it asks for.
    pub fn width(self) -> Micros {
        match self {
            Self::Baseline { lookback } => lookback,
            Self::Bins { from, until } => until.saturating_sub(from),
        }
    }

    /// The same beginning, or the same end of a baseline, with only so much asked for.
    pub fn narrowed(self, width: Micros) -> Self {
        match self {
            Self::Baseline { .. } => Self::Baseline { lookback: width },
            Self::Bins { from, .. } => Self::Bins {
                from,
                until: from.saturating_add(width),
            },
        }
    }
}

impl Book {
    pub fn new(rules: Rules) -> Self {
        let counted = vec![0.0; rules.metrics.len()];
        Self::restored(
            rules,
            State {
                counted,
                ..State::default()
            },
            BTreeMap::new(),
            HashMap::new(),
        )
    }

    /// A book as it was written.
    pub(super) fn restored(
        rules: Rules,
        state: State,
        marks: BTreeMap<Micros, HashMap<Key, Box<[f64]>>>,
        series: HashMap<Key, Series>,
    ) -> Self {
        let mut bins = HashMap::new();
        for key in marks.values().flat_map(HashMap::keys) {
            *bins.entry(*key).or_default() += 1;
        }
        let fresh = series.iter().filter(|(_, series)| series.pending.is_some());
        let fresh = fresh.map(|(key, _)| *key).collect();
        Self {
            rules,
            state,
            marks,
            series,
            bins,
            fresh,
        }
    }

    /// Goes on under these rules. Other counts than before take a new baseline; totals whose labels
    /// and names are still the same are kept.
    pub fn under(mut self, rules: Rules) -> Self {
        if self.rules.labels != rules.labels {
            return Self::new(rules);
        }
        let changed = self.rules.fingerprint != rules.fingerprint
            || self.rules.metrics != rules.metrics
            || self.rules.lookback != rules.lookback;
        if !changed {
            self.rules = rules;
            return self;
        }
        let places: Vec<Option<usize>> = rules
            .metrics
            .iter()
            .map(|name| self.rules.metrics.iter().position(|old| old == name))
            .collect();
        let moved = |values: &[f64]| -> Vec<f64> {
            let at = |place: &Option<usize>| place.and_then(|place| values.get(place).copied());
            places
                .iter()
                .map(|place| at(place).unwrap_or(0.0))
                .collect()
        };
        for series in self.series.values_mut().chain(&mut self.state.overflow) {
            series.totals = moved(&series.totals);
            series.pending = series.pending.as_deref().map(moved);
        }
        let state = State {
            covered_until: None,
            counted: moved(&self.state.counted),
            ..self.state
        };
        Self::restored(rules, state, BTreeMap::new(), self.series)
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Everything before this has been asked for; `None` before the baseline.
    pub fn covered_until(&self) -> Option<Micros> {
        self.state.covered_until
    }

    /// All growth ever counted, by metric: what live, expired and overflow series sum up to.
    pub fn counted(&self) -> &[f64] {
        &self.state.counted
    }

    /// How many series fit under the bound and are published.
    pub fn live(&self) -> usize {
        self.series.len()
    }

    /// The widest window of one question: a silent time's two look-backs and an hour of outage.
    pub fn slice(&self) -> Micros {
        self.rules.lookback.saturating_mul(2).saturating_add(HOUR)
    }

    /// The window to ask for first, at most `width` wide. Bins are whole minutes, so windows are too.
    pub fn question(&self, width: Micros) -> Window {
        match self.state.covered_until {
            None => Window::Baseline {
                lookback: self.rules.lookback.saturating_mul(2).min(width),
            },
            Some(covered) => {
                let from = minute(covered.saturating_sub(self.rules.lookback));
                // After a narrow baseline, what is older is not known.
                let from = from.max(self.state.floor);
                Window::Bins {
                    from,
                    until: from.saturating_add(minute(width).max(MINUTE)),
                }
            }
        }
    }

    /// Takes a whole answer to `window`. `served` is the service's time when it answered; `release`
    /// says that what earlier answers brought has been on the page: series that were seen at 0 may grow.
    pub fn absorb(
        &mut self,
        window: Window,
        entries: Vec<Entry>,
        served: Micros,
        release: bool,
    ) -> (Absorbed, Change) {
        let mut change = Change::default();
        let mut absorbed = Absorbed::default();
        if release {
            self.release(&mut change);
        }
        let lookback = self.rules.lookback;
        let until = match (window, self.state.covered_until) {
            (Window::Bins { until, .. }, Some(covered)) => {
                if served.saturating_add(lookback) < covered {
                    self.begin_again();
                    change.everything = true;
                    absorbed.gap = Some(Gap::ClockWentBack);
                    return (absorbed, change);
                }
                let reach = served.saturating_sub(self.rules.catch_up);
                if reach > covered {
                    self.state.covered_until = Some(reach.saturating_add(lookback));
                    self.state.floor = self.state.floor.max(minute(reach));
                    self.forget(&mut change);
                    absorbed.gap = Some(Gap::Outage(reach - covered));
                    return (absorbed, change);
                }
                until
            }
            // An answer to a question that the book no longer asks says nothing that the next will not.
            (Window::Bins { .. }, None) | (Window::Baseline { .. }, Some(_)) => {
                return (absorbed, change);
            }
            (Window::Baseline { lookback: asked }, None) => {
                absorbed.baseline = true;
                change.everything = true;
                self.begin_again();
                // The other half lies between the service's time when it looked and when it answered.
                self.state.floor = minute(served.saturating_sub(asked / 2));
                Micros::MAX
            }
        };

        let mut newest = Micros::MIN;
        let width = self.rules.metrics.len();
        for entry in entries {
            if entry.bin < self.state.floor {
                // Before the baseline all is old.
                absorbed.too_late += u64::from(!absorbed.baseline);
                continue;
            }
            // What was not asked for comes when it is.
            if entry.bin >= until {
                continue;
            }
            newest = newest.max(entry.bin);
            // A label set that is remembered and has no series is in the overflow until it is forgotten.
            let remembered = self.bins.contains_key(&entry.key);
            let growth = self.mark(&entry, width, &mut absorbed, &mut change);
            self.count(
                entry,
                growth,
                remembered,
                served,
                &mut absorbed,
                &mut change,
            );
        }

        let before = self.state.covered_until.unwrap_or(Micros::MIN);
        let now = if absorbed.baseline {
            served
        } else {
            // In a silent time there is no newest bin to go by; what is a look-back old is settled.
            newest
                .max(served.saturating_sub(lookback))
                .min(served)
                .min(until)
        };
        let covered = before.max(now);
        self.state.covered_until = Some(covered);
        absorbed.behind = until < served;
        let floor = minute(covered.saturating_sub(lookback.saturating_mul(2)));
        self.state.floor = self.state.floor.max(floor);
        self.forget(&mut change);
        self.expire(covered, &mut change);
        (absorbed, change)
    }

    /// What is published now: the series, then the overflow if there is one. In no order.
    pub fn published(&self) -> impl Iterator<Item = Published<'_>> {
        let live = self.series.values().map(|series| Published {
            labels: Some(&series.labels),
            totals: &series.totals,
            began: series.began,
        });
        live.chain(self.state.overflow.iter().map(|series| Published {
            labels: None,
            totals: &series.totals,
            began: series.began,
        }))
    }

    /// Lifts the marks of an entry; what each metric has grown by.
    fn mark(
        &mut self,
        entry: &Entry,
        width: usize,
        absorbed: &mut Absorbed,
        change: &mut Change,
    ) -> Vec<f64> {
        let bins = &mut self.bins;
        let mut lifted = false;
        let marks = self.marks.entry(entry.bin).or_default();
        let marks = marks.entry(entry.key).or_insert_with(|| {
            *bins.entry(entry.key).or_default() += 1;
            lifted = true;
            vec![0.0; width].into()
        });
        let mut growth = vec![0.0; width];
        for ((mark, value), growth) in marks.iter_mut().zip(&entry.values).zip(&mut growth) {
            let Some(value) = value.filter(|value| value.is_finite()) else {
                continue;
            };
            if value < *mark {
                absorbed.shrunk += 1;
            } else if value > *mark {
                *growth = value - *mark;
                *mark = value;
                lifted = true;
            }
        }
        if lifted {
            change.marks.push((entry.bin, entry.key));
        }
        growth
    }

    fn count(
        &mut self,
        entry: Entry,
        mut growth: Vec<f64>,
        remembered: bool,
        served: Micros,
        absorbed: &mut Absorbed,
        change: &mut Change,
    ) {
        if absorbed.baseline {
            growth.fill(0.0);
        }
        let grew = growth.iter().any(|growth| *growth > 0.0);
        for (counted, growth) in self.state.counted.iter_mut().zip(&growth) {
            *counted += growth;
        }
        let grew_at = self.state.covered_until.unwrap_or(served);
        let begin = |labels| Series {
            labels,
            began: served,
            grew: grew_at,
            totals: vec![0.0; growth.len()],
            pending: Some(vec![0.0; growth.len()]),
        };
        let room = self.series.len() < self.rules.max_series;
        let series = if let Some(series) = self.series.get_mut(&entry.key) {
            change.series.extend(grew.then_some(entry.key));
            series
        } else if room && !remembered {
            change.series.insert(entry.key);
            self.fresh.push(entry.key);
            self.series.entry(entry.key).or_insert(begin(entry.labels))
        } else {
            absorbed.gathered += u64::from(grew);
            self.state.overflow.get_or_insert_with(|| begin(Vec::new()))
        };
        let into = series.pending.as_mut().unwrap_or(&mut series.totals);
        for (total, growth) in into.iter_mut().zip(&growth) {
            *total += growth;
        }
        if grew {
            series.grew = grew_at;
        }
    }

    /// Adds what series have grown by that were published at 0 since.
    fn release(&mut self, change: &mut Change) {
        let fresh = std::mem::take(&mut self.fresh);
        change.series.extend(&fresh);
        let series = &mut self.series;
        for key in fresh {
            if let Some(series) = series.get_mut(&key) {
                series.release();
            }
        }
        if let Some(overflow) = &mut self.state.overflow {
            overflow.release();
        }
    }

    fn begin_again(&mut self) {
        self.state.covered_until = None;
        self.state.floor = 0;
        self.marks.clear();
        self.bins.clear();
    }

    fn forget(&mut self, change: &mut Change) {
        let kept = self.marks.split_off(&self.state.floor);
        let gone = std::mem::replace(&mut self.marks, kept);
        for key in gone.values().flat_map(HashMap::keys) {
            if let Some(count) = self.bins.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    self.bins.remove(key);
                }
            }
        }
        change.forgotten_before = Some(self.state.floor);
    }

    /// Series without growth leave, but not while a bin of theirs is remembered: what came for it would
    /// be taken for the overflow's.
    fn expire(&mut self, covered: Micros, change: &mut Change) {
        let (bins, after) = (&self.bins, self.rules.expire_after);
        self.series.retain(|key, series| {
            let stays = covered.saturating_sub(series.grew) <= after || bins.contains_key(key);
            if !stays {
                change.series.remove(key);
                change.removed.push(*key);
            }
            stays
        });
    }
}

impl Series {
    fn release(&mut self) {
        for (total, growth) in self
            .totals
            .iter_mut()
            .zip(self.pending.take().unwrap_or_default())
        {
            *total += growth;
        }
    }
}

/// The start of the minute.
fn minute(moment: Micros) -> Micros {
    moment.saturating_sub(moment.rem_euclid(MINUTE))
}

#[cfg(test)]
#[path = "book_tests.rs"]
pub(super) mod tests;
