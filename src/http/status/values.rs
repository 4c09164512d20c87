//! What the snapshot's series say that a person asks for first: the ten largest of a family, and what
//! other families say of the same things. Nothing is copied or sorted as a whole.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::series::{OVERFLOW, Series, SeriesList};
use crate::snapshot::{Block, PollKey, Snapshot};

/// How many the tables show.
pub const SHOWN: usize = 10;

/// A family's blocks, by query and workspace; those without series are left out.
pub fn blocks<'a>(snapshot: &'a Snapshot, family: &str) -> Vec<(&'a PollKey, &'a Block)> {
    for blocks in snapshot.families() {
        let mut blocks = blocks.peekable();
        let name = blocks.peek().map(|(_, block)| block.header().name.as_str());
        if name == Some(family) {
            return blocks.filter(|(_, b)| !b.series().is_empty()).collect();
        }
    }
    Vec::new()
}

/// One label's values in a list: its place is looked up once.
#[derive(Clone, Copy)]
pub struct Label(Option<usize>);

impl Label {
    pub fn of(list: &SeriesList, name: &str) -> Self {
        Self(list.names().iter().position(|label| label.as_str() == name))
    }

    /// Empty for a label that the list does not have.
    pub fn value<'a>(self, series: &Series<'a>) -> &'a str {
        let value = self.0.and_then(|at| series.label_values().nth(at));
        value.unwrap_or_default()
    }
}

/// A series and its values for the labels that were asked for.
pub struct Found<'a, const N: usize> {
    pub labels: [&'a str; N],
    pub value: f64,
}

/// The `SHOWN` series that come first by value, and what all have in sum.
pub struct Top<'a, const N: usize> {
    pub first: Vec<Found<'a, N>>,
    /// How many series there are, the gathering ones left out.
    pub series: u64,
    pub sum: f64,
    /// What did not fit under `max_series` and is in no series of its own.
    pub gathered: f64,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Order {
    Largest,
    Smallest,
}

/// Reads a family once and keeps no more than `SHOWN` series of it.
pub fn top<'a, const N: usize>(
    blocks: &[(&PollKey, &'a Block)],
    order: Order,
    labels: [&str; N],
) -> Top<'a, N> {
    let mut heap: BinaryHeap<Reverse<Ranked<'a, N>>> = BinaryHeap::with_capacity(SHOWN + 1);
    let (mut series, mut sum, mut gathered) = (0, 0.0, 0.0);
    for (_, block) in blocks {
        let places = labels.map(|name| Label::of(block.series(), name));
        for one in block.series().iter() {
            if is_gathered(&one) {
                gathered += one.value();
                continue;
            }
            series += 1;
            sum += one.value();
            let ranked = Ranked {
                rank: match order {
                    Order::Largest => one.value(),
                    Order::Smallest => -one.value(),
                },
                series: one,
                places,
            };
            if heap.len() < SHOWN {
                heap.push(Reverse(ranked));
            } else if heap.peek().is_some_and(|Reverse(last)| ranked > *last) {
                heap.pop();
                heap.push(Reverse(ranked));
            }
        }
    }
    let first = heap.into_sorted_vec().into_iter();
    Top {
        first: first
            .map(|Reverse(ranked)| Found {
                labels: ranked.labels(),
                value: ranked.series.value(),
            })
            .collect(),
        series,
        sum,
        gathered,
    }
}

/// Whether all labels but `workspace`, which comes first, say that this is the rest.
fn is_gathered(series: &Series<'_>) -> bool {
    let mut others = series.label_values().skip(1);
    others.len() > 0 && others.all(|value| value == OVERFLOW)
}

/// Greater means further up; labels decide between equals, so that a reload shows the same.
struct Ranked<'a, const N: usize> {
    rank: f64,
    series: Series<'a>,
    places: [Label; N],
}

impl<'a, const N: usize> Ranked<'a, N> {
    fn labels(&self) -> [&'a str; N] {
        self.places.map(|place| place.value(&self.series))
    }
}

impl<const N: usize> Ord for Ranked<'_, N> {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_rank = self.rank.total_cmp(&other.rank);
        by_rank.then_with(|| other.labels().cmp(&self.labels()))
    }
}

impl<const N: usize> PartialOrd for Ranked<'_, N> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<const N: usize> PartialEq for Ranked<'_, N> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<const N: usize> Eq for Ranked<'_, N> {}

/// What a family says of each of a few label sets. The first of `labels` should be the one that
/// tells most apart: it is compared first.
pub fn values_of<const N: usize>(
    snapshot: &Snapshot,
    family: &str,
    labels: [&str; N],
    wanted: &[[&str; N]],
) -> Vec<Option<f64>> {
    let mut values = vec![None; wanted.len()];
    if wanted.is_empty() {
        return values;
    }
    for (_, block) in blocks(snapshot, family) {
        let places = labels.map(|name| Label::of(block.series(), name));
        for series in block.series().iter() {
            let first = places.first().map(|place| place.value(&series));
            for (value, set) in values.iter_mut().zip(wanted) {
                let mut pairs = places.iter().zip(set);
                if set.first().copied() == first
                    && pairs.all(|(place, value)| place.value(&series) == *value)
                {
                    *value = Some(series.value());
                }
            }
        }
    }
    values
}
