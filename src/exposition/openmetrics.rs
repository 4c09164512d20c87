//! OpenMetrics text 1.0.0.
//!
//! What differs from Prometheus' own text: a counter's family is named without the `_total` of its
//! samples, each of its series says since when it counts, a unit is named, and the page has an end.

use super::line::{SampleLines, escape};
use crate::series::{FamilyHeader, MetricType, SeriesList, unix_seconds};

/// The format's media type, with its version.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// For a client that knows only the draft, of which our pages are too.
pub const DRAFT_CONTENT_TYPE: &str = "application/openmetrics-text; version=0.0.1; charset=utf-8";

/// What ends a page; one without it has been cut.
pub(super) const END: &[u8] = b"# EOF\n";

const TOTAL: &str = "_total";

/// Units that a name may end with. The longest come first: `…_bytes_per_second` is not in seconds.
const UNITS: [&str; 6] = [
    "bytes_per_second",
    "per_second",
    "seconds",
    "bytes",
    "percent",
    "ratio",
];

/// Appends `# TYPE`, `# UNIT` if the name ends with one, and `# HELP`.
pub fn encode_header(header: &FamilyHeader, out: &mut Vec<u8>) {
    let (family, kind) = family_of(header);
    let mut line = |word: &str, write: &dyn Fn(&mut Vec<u8>)| {
        for text in ["# ", word, " ", family, " "] {
            out.extend_from_slice(text.as_bytes());
        }
        write(out);
        out.push(b'\n');
    };
    line("TYPE", &|out| out.extend_from_slice(kind.as_bytes()));
    if let Some(unit) = unit_of(family) {
        line("UNIT", &|out| out.extend_from_slice(unit.as_bytes()));
    }
    line("HELP", &|out| escape(&header.help, true, out));
}

/// Appends a line for each series, and behind a counter's the line that says since when it counts.
pub fn encode_series(header: &FamilyHeader, series: &SeriesList, out: &mut Vec<u8>) {
    let lines = SampleLines::new(&[header.name.as_str()], series.names());
    let (family, kind) = family_of(header);
    let created = SampleLines::new(&[family, "_created"], series.names());
    let counts = kind == MetricType::Counter.as_str();
    let bytes = series.len() * lines.bytes_per_line() + series.text_len();
    out.reserve(if counts { 2 * bytes } else { bytes });
    for one in series.iter() {
        lines.write(one, one.value(), out);
        if let Some(began) = one.began().filter(|_| counts) {
            created.write(one, unix_seconds(began), out);
        }
    }
}

/// The family's name and type. A counter whose name does not say so cannot be one here: its samples
/// would have to be named otherwise than in the other formats.
fn family_of(header: &FamilyHeader) -> (&str, &'static str) {
    let name = header.name.as_str();
    match (header.kind, name.strip_suffix(TOTAL)) {
        (MetricType::Counter, Some(family)) if !family.is_empty() => (family, header.kind.as_str()),
        (MetricType::Counter, _) => (name, "unknown"),
        (MetricType::Gauge, _) => (name, header.kind.as_str()),
    }
}

fn unit_of(family: &str) -> Option<&'static str> {
    UNITS.into_iter().find(|unit| {
        family
            .strip_suffix(unit)
            .is_some_and(|rest| rest.len() > 1 && rest.ends_with('_'))
    })
}
