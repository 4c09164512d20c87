//! How a book's parts are written: little-endian, lengths first, nothing between.
//!
//! What is written is a book's head (its rules' identity and its state), a series, and a mark. Reading
//! gives `None` for bytes that writing does not make. Another form needs another schema number.

use super::book::{Rules, Series, State};

pub fn head(rules: &Rules, state: &State) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(rules.fingerprint.to_le_bytes());
    out.extend(rules.lookback.to_le_bytes());
    texts(&mut out, &rules.metrics);
    texts(&mut out, &rules.labels);
    optional(&mut out, state.covered_until.as_ref(), |out, covered| {
        out.extend(covered.to_le_bytes());
    });
    out.extend(state.floor.to_le_bytes());
    numbers(&mut out, &state.counted);
    optional(&mut out, state.overflow.as_ref(), write_series);
    out
}

/// The rules that the book was written under, with `now`'s bounds, which are not a book's own.
pub fn read_head(bytes: &[u8], now: &Rules) -> Option<(Rules, State)> {
    let mut reader = Reader(bytes);
    let rules = Rules {
        fingerprint: u64::from_le_bytes(reader.take()?),
        lookback: i64::from_le_bytes(reader.take()?),
        metrics: reader.texts()?,
        labels: reader.texts()?,
        ..now.clone()
    };
    let width = rules.metrics.len();
    let state = State {
        covered_until: reader.optional(|reader| Some(i64::from_le_bytes(reader.take()?)))?,
        floor: i64::from_le_bytes(reader.take()?),
        counted: reader.numbers(width)?,
        overflow: reader.optional(|reader| reader.series(0, width))?,
    };
    reader.end()?;
    Some((rules, state))
}

pub fn series(series: &Series) -> Vec<u8> {
    let mut out = Vec::new();
    write_series(&mut out, series);
    out
}

pub fn read_series(bytes: &[u8], rules: &Rules) -> Option<Series> {
    let mut reader = Reader(bytes);
    let series = reader.series(rules.labels.len(), rules.metrics.len())?;
    reader.end()?;
    Some(series)
}

pub fn mark(values: &[f64]) -> Vec<u8> {
    let mut out = Vec::with_capacity(values.len() * 8);
    numbers(&mut out, values);
    out
}

pub fn read_mark(bytes: &[u8], rules: &Rules) -> Option<Box<[f64]>> {
    let mut reader = Reader(bytes);
    let values = reader.numbers(rules.metrics.len())?;
    reader.end()?;
    Some(values.into())
}

fn write_series(out: &mut Vec<u8>, series: &Series) {
    out.extend(series.began.to_le_bytes());
    out.extend(series.grew.to_le_bytes());
    numbers(out, &series.totals);
    optional(out, series.pending.as_ref(), |out, pending| {
        numbers(out, pending);
    });
    texts(out, &series.labels);
}

fn optional<T>(out: &mut Vec<u8>, value: Option<T>, write: impl Fn(&mut Vec<u8>, T)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        write(out, value);
    }
}

/// How many there are is the rules' to say.
fn numbers(out: &mut Vec<u8>, values: &[f64]) {
    for value in values {
        out.extend(value.to_le_bytes());
    }
}

fn texts(out: &mut Vec<u8>, texts: &[impl AsRef<str>]) {
    length(out, texts.len());
    for text in texts {
        length(out, text.as_ref().len());
        out.extend(text.as_ref().as_bytes());
    }
}

/// A text of 4 GiB would be cut here and not read again; the service's answers are far smaller.
fn length(out: &mut Vec<u8>, length: usize) {
    out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.take()?)).ok()
    }

    fn text(&mut self) -> Option<String> {
        let length = self.length()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(std::str::from_utf8(text).ok()?.to_owned())
    }

    /// However many the bytes claim, no more are read than there are bytes.
    fn texts<T: From<String>>(&mut self) -> Option<Vec<T>> {
        let mut texts = Vec::new();
        for _ in 0..self.length()? {
            texts.push(self.text()?.into());
        }
        Some(texts)
    }

    fn numbers(&mut self, width: usize) -> Option<Vec<f64>> {
        let number = |_| Some(f64::from_le_bytes(self.take()?));
        (0..width).map(number).collect()
    }

    fn optional<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.take()? {
            [0] => Some(None),
            [1] => read(self).map(Some),
            _ => None,
        }
    }

    fn series(&mut self, labels: usize, width: usize) -> Option<Series> {
        let series = Series {
            began: i64::from_le_bytes(self.take()?),
            grew: i64::from_le_bytes(self.take()?),
            totals: self.numbers(width)?,
            pending: self.optional(|reader| reader.numbers(width))?,
            labels: self.texts()?,
        };
        (series.labels.len() == labels).then_some(series)
    }

    fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            fingerprint: u64::MAX,
            lookback: 7,
            catch_up: 8,
            expire_after: 9,
            max_series: 10,
            metrics: vec!["a_total".into(), "b_total".into()],
            labels: vec!["ip".into(), "vm".into()],
        }
    }

    fn one(labels: &[&str], pending: Option<Vec<f64>>) -> Series {
        Series {
            labels: labels.iter().map(|label| (*label).into()).collect(),
            began: -1,
            grew: i64::MAX,
            totals: vec![0.1, 1e300],
            pending,
        }
    }

    #[test]
    fn what_is_written_is_read_and_no_part_of_it() {
        let rules = rules();
        let state = State {
            covered_until: Some(5),
            floor: -3,
            counted: vec![1.0, 2.0],
            overflow: Some(one(&[], None)),
        };
        let bytes = head(&rules, &state);
        assert_eq!(read_head(&bytes, &rules), Some((rules.clone(), state)));
        let whole = one(&["10.0.0.1", "wëb"], Some(vec![3.0, 4.0]));
        let written = series(&whole);
        assert_eq!(written.len(), 16 + 16 + 1 + 16 + 4 + 4 + 8 + 4 + 4);
        assert_eq!(read_series(&written, &rules), Some(whole));
        let values = mark(&[5.0, 6.0]);
        assert_eq!(read_mark(&values, &rules).as_deref(), Some(&[5.0, 6.0][..]));

        for cut in 0..bytes.len() {
            assert_eq!(read_head(&bytes[..cut], &rules), None, "{cut}");
        }
        for cut in 0..written.len() {
            assert_eq!(read_series(&written[..cut], &rules), None, "{cut}");
        }
        for cut in 0..values.len() {
            assert_eq!(read_mark(&values[..cut], &rules), None, "{cut}");
        }
        let more = [&bytes[..], &[0]].concat();
        assert_eq!(read_head(&more, &rules), None);
    }

    #[test]
    fn a_length_beyond_the_bytes_is_no_record() {
        let rules = rules();
        let mut written = series(&one(&["a", "b"], None));
        written[33..37].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(read_series(&written, &rules), None);
        let other = series(&one(&["a"], None));
        assert_eq!(read_series(&other, &rules), None, "a label is missing");
    }
}
