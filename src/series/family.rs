//! A metric family: header and series.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::mapping::MetricType;
use super::names::{LabelName, MetricName};

/// What the page says of a family once: `# HELP` and `# TYPE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyHeader {
    pub name: MetricName,
    pub kind: MetricType,
    pub help: Arc<str>,
}

/// A family's series, as one query and workspace gave them.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    pub header: FamilyHeader,
    pub series: SeriesList,
}

/// Series that share their label names, stored as one text and two arrays: an attack of 200,000
/// addresses costs their bytes, not a million small allocations.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesList {
    names: Arc<[LabelName]>,
    /// All label values, one behind the other, series after series.
    text: String,
    /// Where each label value ends in `text`; as many per series as there are names.
    ends: Vec<usize>,
    values: Vec<f64>,
    /// When each began to count; empty if none of them counts.
    began: Vec<Timestamp>,
}

/// One series of a [`SeriesList`]: label values in the order of the names, and the sample's value.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    list: &'a SeriesList,
    index: usize,
}

impl SeriesList {
    /// An empty list of series with these labels.
    pub fn new(names: Arc<[LabelName]>) -> Self {
        Self {
            names,
            text: String::new(),
            ends: Vec::new(),
            values: Vec::new(),
            began: Vec::new(),
        }
    }

    /// Adds a series; `labels` gives a value for each name, in their order. Values beyond the names
    /// are left out, missing ones are empty, which to Prometheus is a label that is not there.
    pub fn push<'a>(&mut self, labels: impl IntoIterator<Item = &'a str>, value: f64) {
        let mut labels = labels.into_iter();
        for _ in 0..self.names.len() {
            self.text.push_str(labels.next().unwrap_or_default());
            self.ends.push(self.text.len());
        }
        self.values.push(value);
    }

    /// As [`SeriesList::push`], for a counter's series: it has counted since `began`. A list's series
    /// all count, or none does.
    pub fn push_counter<'a>(
        &mut self,
        labels: impl IntoIterator<Item = &'a str>,
        value: f64,
        began: Timestamp,
    ) {
        self.push(labels, value);
        self.began.push(began);
    }

    pub fn names(&self) -> &[LabelName] {
        &self.names
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Bytes in all label values together.
    pub fn text_len(&self) -> usize {
        self.text.len()
    }

    /// The series in the order they were added.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Series<'_>> {
        (0..self.values.len()).map(|index| Series { list: self, index })
    }

    /// Where the first so many label values end.
    fn end_of(&self, count: usize) -> usize {
        count.checked_sub(1).map_or(0, |last| self.ends[last])
    }

    /// Without the series whose label set is in one of `others` too, and how many those were. Two
    /// samples of one label set would make Prometheus refuse the whole page.
    pub fn without(self, others: &[&SeriesList]) -> (Self, usize) {
        if others.iter().all(|other| other.is_empty()) {
            return (self, 0);
        }
        let taken: HashSet<Vec<(&str, &str)>> = others
            .iter()
            .flat_map(|list| list.iter().map(|series| series.label_set()))
            .collect();
        let mut kept = Self::new(self.names.clone());
        for series in self.iter().filter(|s| !taken.contains(&s.label_set())) {
            kept.push(series.label_values(), series.value());
            kept.began.extend(series.began());
        }
        let dropped = self.len() - kept.len();
        (kept, dropped)
    }
}

impl<'a> Series<'a> {
    pub fn value(self) -> f64 {
        self.list.values[self.index]
    }

    /// Since when a counter has counted.
    pub fn began(self) -> Option<Timestamp> {
        self.list.began.get(self.index).copied()
    }

    /// The label values, in the order of [`SeriesList::names`].
    pub fn label_values(self) -> impl ExactSizeIterator<Item = &'a str> {
        let width = self.list.names.len();
        let first = self.index * width;
        (first..first + width)
            .map(move |at| &self.list.text[self.list.end_of(at)..self.list.ends[at]])
    }

    /// All its label values, one behind the other.
    pub fn text(self) -> &'a str {
        let (list, width) = (self.list, self.list.names.len());
        &list.text[list.end_of(self.index * width)..list.end_of((self.index + 1) * width)]
    }

    /// Names and values as Prometheus compares them: sorted, without empty values.
    fn label_set(self) -> Vec<(&'a str, &'a str)> {
        let names = self.list.names.iter().map(LabelName::as_str);
        let mut set: Vec<_> = names
            .zip(self.label_values())
            .filter(|(_, value)| !value.is_empty())
            .collect();
        set.sort_unstable();
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str], series: &[(&[&str], f64)]) -> SeriesList {
        let names = names.iter().map(|name| name.parse().unwrap()).collect();
        let mut list = SeriesList::new(names);
        for (labels, value) in series {
            list.push(labels.iter().copied(), *value);
        }
        list
    }

    #[test]
    fn label_values_come_back_as_pushed() {
        let list = list(
            &["vm", "disk"],
            &[(&["web-1", "C:"], 1.0), (&["", "/"], 2.0), (&["db"], 3.0)],
        );
        let back: Vec<(Vec<&str>, f64)> = list
            .iter()
            .map(|s| (s.label_values().collect(), s.value()))
            .collect();
        let texts: Vec<&str> = list.iter().map(Series::text).collect();
        assert_eq!(texts, ["web-1C:", "/", "db"]);
        assert_eq!(
            back,
            [
                (vec!["web-1", "C:"], 1.0),
                (vec!["", "/"], 2.0),
                (vec!["db", ""], 3.0)
            ]
        );
    }

    #[test]
    fn a_label_set_that_another_list_has_is_left_out_whatever_the_order_of_names() {
        let mine = list(&["vm", "disk"], &[(&["a", "C:"], 1.0), (&["b", ""], 2.0)]);
        let other = list(&["disk", "vm"], &[(&["C:", "a"], 9.0)]);
        let bare = list(&["vm"], &[(&["b"], 9.0)]);
        let (kept, dropped) = mine.clone().without(&[&other]);
        assert_eq!((kept.len(), dropped), (1, 1));
        let (kept, dropped) = mine.without(&[&other, &bare]);
        assert_eq!(
            (kept.len(), dropped),
            (0, 2),
            "an empty label is one that is not there"
        );
    }
}
