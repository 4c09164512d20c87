//! Prometheus' text format 0.0.4.

use crate::series::{Family, FamilyHeader, SeriesList};

/// The format's media type, with its version.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Appends `# HELP` and `# TYPE`.
pub fn encode_header(header: &FamilyHeader, out: &mut Vec<u8>) {
    let name = header.name.as_str().as_bytes();
    out.extend_from_slice(b"# HELP ");
    out.extend_from_slice(name);
    out.push(b' ');
    escape(&header.help, false, out);
    out.extend_from_slice(b"\n# TYPE ");
    out.extend_from_slice(name);
    out.push(b' ');
    out.extend_from_slice(header.kind.as_str().as_bytes());
    out.push(b'\n');
}

/// Appends a line for each series, without timestamps: those would switch off staleness.
pub fn encode_series(header: &FamilyHeader, series: &SeriesList, out: &mut Vec<u8>) {
    let name = header.name.as_str().as_bytes();
    for one in series.iter() {
        out.extend_from_slice(name);
        let mut opening = b'{';
        for (label, value) in series.names().iter().zip(one.label_values()) {
            out.push(opening);
            opening = b',';
            out.extend_from_slice(label.as_str().as_bytes());
            out.extend_from_slice(b"=\"");
            escape(value, true, out);
            out.push(b'"');
        }
        if opening == b',' {
            out.push(b'}');
        }
        out.push(b' ');
        encode_value(one.value(), out);
        out.push(b'\n');
    }
}

/// Appends whole families, each with its header; one without series is left out.
pub fn encode_families(families: &[Family], out: &mut Vec<u8>) {
    for family in families.iter().filter(|family| !family.series.is_empty()) {
        encode_header(&family.header, out);
        encode_series(&family.header, &family.series, out);
    }
}

/// `\` and newline are escaped everywhere, `"` in label values only.
fn escape(text: &str, quotes: bool, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let escaped: &[u8] = match byte {
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'"' if quotes => b"\\\"",
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain..at]);
        out.extend_from_slice(escaped);
        plain = at + 1;
    }
    out.extend_from_slice(&bytes[plain..]);
}

/// The shortest text that reads back as the same double; whole numbers without a point.
fn encode_value(value: f64, out: &mut Vec<u8>) {
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
    use crate::series::MetricType;

    fn family(help: &str, names: &[&str], series: &[(&[&str], f64)]) -> Family {
        let mut list = SeriesList::new(names.iter().map(|n| n.parse().unwrap()).collect());
        for (labels, value) in series {
            list.push(labels.iter().copied(), *value);
        }
        Family {
            header: FamilyHeader {
                name: "vminsights_disk_free_percent".parse().unwrap(),
                kind: MetricType::Gauge,
                help: help.into(),
            },
            series: list,
        }
    }

    fn encode(family: Family) -> String {
        let mut out = Vec::new();
        encode_families(&[family], &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_whole_page() {
        let page = encode(family(
            "Free space,\\ in \"percent\"\nof the disk.",
            &["workspace", "vm", "disk"],
            &[
                (&["prod", "web-1", "C:\\"], 41.25),
                (&["prod", "say \"hi\"\n", ""], 1e21),
                (&["prod", "größe", "/"], -0.5),
            ],
        ));
        assert_eq!(
            page,
            "# HELP vminsights_disk_free_percent Free space,\\\\ in \"percent\"\\nof the disk.\n\
             # TYPE vminsights_disk_free_percent gauge\n\
             vminsights_disk_free_percent{workspace=\"prod\",vm=\"web-1\",disk=\"C:\\\\\"} 41.25\n\
             vminsights_disk_free_percent{workspace=\"prod\",vm=\"say \\\"hi\\\"\\n\",disk=\"\"} 1e+21\n\
             vminsights_disk_free_percent{workspace=\"prod\",vm=\"größe\",disk=\"/\"} -0.5\n"
        );
    }

    #[test]
    fn no_labels_no_braces_and_no_series_no_header() {
        assert!(encode(family("x", &[], &[(&[], 1.0)])).ends_with("percent 1\n"));
        assert_eq!(encode(family("x", &[], &[])), "");
    }

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
        fn any_label_value_stays_on_its_line(value in any::<String>(), number in any::<f64>()) {
            let page = encode(family("x", &["vm"], &[(&[&value], number)]));
            prop_assert_eq!(page.matches('\n').count(), 3, "{}", page);
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
