//! What the two text formats share: sample lines, escapes, numbers.

use crate::series::{LabelName, Series};

/// Writes the lines of one sample name: all that is the same in each is put together once.
pub(super) struct SampleLines {
    /// What stands before each label value: `name{first="`, then `",next="`.
    openings: Vec<Vec<u8>>,
    /// What stands before the number.
    closing: Vec<u8>,
    /// Bytes in a line beside its label values and its number.
    fixed: usize,
}

/// The longest number that [`encode_value`] writes, with room to spare.
const NUMBER: usize = 26;

impl SampleLines {
    pub fn new(sample: &[&str], labels: &[LabelName]) -> Self {
        let mut openings = Vec::with_capacity(labels.len());
        let mut opening = sample.concat().into_bytes();
        for (at, label) in labels.iter().enumerate() {
            opening.extend_from_slice(if at == 0 { b"{" } else { b"\"," });
            opening.extend_from_slice(label.as_str().as_bytes());
            opening.extend_from_slice(b"=\"");
            openings.push(std::mem::take(&mut opening));
        }
        let closing = if labels.is_empty() {
            opening.push(b' ');
            opening
        } else {
            b"\"} ".to_vec()
        };
        Self {
            fixed: openings.iter().map(Vec::len).sum::<usize>() + closing.len() + 1,
            openings,
            closing,
        }
    }

    /// Bytes that a line needs beside its label values, at most.
    pub fn bytes_per_line(&self) -> usize {
        self.fixed + NUMBER
    }

    pub fn write(&self, series: Series<'_>, value: f64, out: &mut Vec<u8>) {
        // Nearly no label value needs an escape, and all of a series are one text: one look at it is enough.
        let plain = find_special(series.text().as_bytes()).is_none();
        for (opening, label) in self.openings.iter().zip(series.label_values()) {
            out.extend_from_slice(opening);
            if plain {
                out.extend_from_slice(label.as_bytes());
            } else {
                escape(label, true, out);
            }
        }
        out.extend_from_slice(&self.closing);
        encode_value(value, out);
        out.push(b'\n');
    }
}

/// `\` and newline are escaped everywhere, `"` in label values only.
pub(super) fn escape(text: &str, quotes: bool, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some(at) = find_special(rest) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'"' if !quotes => out.push(b'"'),
            special => out.extend_from_slice(&[b'\\', special]),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Where the first byte is that may need an escape.
fn find_special(text: &[u8]) -> Option<usize> {
    memchr::memchr3(b'\\', b'\n', b'"', text)
}

/// The shortest text that reads back as the same double; whole numbers without a point.
pub(super) fn encode_value(value: f64, out: &mut Vec<u8>) {
    /// Below this every whole double is an `i64` too, and exact.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if value.trunc() == value && value.abs() < EXACT {
        out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    } else {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_that_are_no_finite_number() {
        for (value, text) in [
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (0.1, "0.1"),
            (9_007_199_254_740_993.0, "9007199254740992.0"),
        ] {
            let mut out = Vec::new();
            encode_value(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    /// Reads a quoted label value as the format's description says.
    fn unescape(quoted: &str) -> String {
        let mut out = String::new();
        let mut chars = quoted.chars();
        while let Some(c) = chars.next() {
            match (c, c == '\\') {
                (_, true) => match chars.next() {
                    Some('n') => out.push('\n'),
                    Some(other) => out.push(other),
                    None => panic!("a lone backslash at the end of {quoted:?}"),
                },
                ('"' | '\n', _) => panic!("{c:?} stands bare in {quoted:?}"),
                _ => out.push(c),
            }
        }
        out
    }

    proptest! {
        #[test]
        fn any_label_value_reads_back(value in any::<String>()) {
            let mut out = Vec::new();
            escape(&value, true, &mut out);
            prop_assert_eq!(unescape(&String::from_utf8(out).unwrap()), value);
        }

        #[test]
        fn any_value_reads_back(number in any::<f64>()) {
            let mut out = Vec::new();
            encode_value(number, &mut out);
            let back: f64 = String::from_utf8(out).unwrap().parse().unwrap();
            prop_assert!(back == number || (back.is_nan() && number.is_nan()));
        }
    }
}
