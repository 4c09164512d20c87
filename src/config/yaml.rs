//! YAML with places: how the configuration and query definitions are read.

use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_saphyr::{RenderOptions, SnippetMode, Spanned};

use super::problem::Problem;

/// No interval or window is longer; sums of them cannot overflow.
pub(super) const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Reads `text` as YAML; unknown and duplicate keys are errors where `T` denies them.
///
/// # Errors
/// One [`Problem`] with the line.
pub fn from_text<T: DeserializeOwned>(file: &Path, text: &str) -> Result<T, Problem> {
    serde_saphyr::from_str(text).map_err(|error| {
        let line = error
            .location()
            .and_then(|location| u32::try_from(location.line()).ok());
        let mut options = RenderOptions::default();
        options.snippets = SnippetMode::Off;
        let text = error.render_with_options(options);
        Problem::new(file, line, strip_place(&text))
    })
}

/// As [`from_text`], for a file that holds secrets: a message that quotes a value is replaced.
///
/// # Errors
/// One [`Problem`] with the line.
pub fn from_text_with_secrets<T: DeserializeOwned>(file: &Path, text: &str) -> Result<T, Problem> {
    from_text(file, text).map_err(|mut problem| {
        // Unknown keys are told by name, in backticks; values come in quotes, or bare behind a type.
        let tells_a_key = ["unknown key", "missing key", "duplicate mapping key"]
            .iter()
            .any(|known| problem.text.starts_with(known));
        if !tells_a_key {
            problem.text =
                "is not YAML of the documented shape here (the value may be secret: not repeated)"
                    .into();
        }
        problem
    })
}

/// The library ends (or begins) its messages with the place, which a [`Problem`] says itself; and
/// its advice is for programmers.
fn strip_place(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let first = first.split(" at line ").next().unwrap_or_default();
    let first = first.split(", set DuplicateKeyPolicy").next();
    first
        .unwrap_or_default()
        .replace("unknown field", "unknown key")
        .replace("missing field", "missing key")
        .replace("unknown variant", "unknown value")
}

/// The line that a value was written on.
pub fn line<T>(spanned: &Spanned<T>) -> Option<u32> {
    u32::try_from(spanned.referenced.line()).ok()
}

/// A length of time such as `30s`, `15m`, `1h 30m` or `2d`.
///
/// # Errors
/// If `text` is none, or is shorter than `least`; the error names `key` and the rule.
pub fn duration(key: &str, text: &str, least: Duration) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration > LONGEST => Err(format!("{key} {text:?} must be 30d or less")),
        Ok(duration) if duration >= least => Ok(duration),
        Ok(_) => Err(format!(
            "{key} {text:?} must be {} or more",
            humantime::format_duration(least)
        )),
        Err(_) => Err(format!(
            "{key} {text:?} must be a length of time such as 30s, 5m or 1h"
        )),
    }
}
