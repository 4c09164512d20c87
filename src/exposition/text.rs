//! Prometheus' text format 0.0.4.

use super::line::{SampleLines, escape};
use crate::series::{FamilyHeader, SeriesList};

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
    let lines = SampleLines::new(&[header.name.as_str()], series.names());
    out.reserve(series.len() * lines.bytes_per_line() + series.text_len());
    for one in series.iter() {
        lines.write(one, one.value(), out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exposition::{Format, encode_families};
    use crate::series::{Family, MetricType};

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
        encode_families(Format::Text, &[family], &mut out);
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

    proptest! {
        #[test]
        fn any_label_value_stays_on_its_line(value in any::<String>(), number in any::<f64>()) {
            let page = encode(family("x", &["vm"], &[(&[&value], number)]));
            prop_assert_eq!(page.matches('\n').count(), 3, "{}", page);
        }
    }
}
