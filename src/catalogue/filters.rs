//! The filters of the configuration as KQL: `let` statements for the queries that name them.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::config::{FilterSettings, Glob, Network};

/// What a query may name, and so cannot declare itself.
pub const NAMES: [&str; 4] = [
    "min_severity",
    "min_confidence_percent",
    "is_allowed_address",
    "is_excluded_disk",
];

/// The statements that declare what `kql` names, behind each other on one line; empty if it names none.
pub fn lets(filters: &FilterSettings, kql: &str) -> String {
    let words: BTreeSet<&str> = kql
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .collect();
    let mut lets = String::new();
    for name in NAMES.into_iter().filter(|name| words.contains(name)) {
        let meaning = match name {
            "min_severity" => filters.min_severity.to_string(),
            "min_confidence_percent" => filters.min_confidence_percent.to_string(),
            "is_allowed_address" => is_allowed_address(&filters.allowed_addresses),
            _ => is_excluded_disk(&filters.exclude_disks),
        };
        // Writing to a String cannot fail.
        let _ = write!(lets, "let {name} = {meaning}; ");
    }
    lets
}

/// A function, so that no list is ever empty: what a range function makes of an empty one is not said.
/// It answers null for what is no address of its kind.
fn is_allowed_address(networks: &[Network]) -> String {
    let (four, six): (Vec<&Network>, Vec<&Network>) =
        networks.iter().partition(|network| network.is_ipv4());
    let within = |function: &str, networks: &[&Network]| {
        let list: Vec<String> = networks
            .iter()
            .map(|network| literal(&network.to_string()))
            .collect();
        let list = list.join(", ");
        format!("coalesce({function}(address, dynamic([{list}])), false)")
    };
    let mut ways = Vec::new();
    if !four.is_empty() {
        ways.push(within("ipv4_is_in_any_range", &four));
    }
    if !six.is_empty() {
        // To that function an IPv4 address is one of ::ffff:0:0/96.
        let within = within("ipv6_is_in_any_range", &six);
        ways.push(format!("(address contains \":\" and {within})"));
    }
    let allowed = if ways.is_empty() {
        "false".to_owned()
    } else {
        ways.join(" or ")
    };
    format!("(address: string) {{ {allowed} }}")
}

fn is_excluded_disk(globs: &[Glob]) -> String {
    let excluded = if globs.is_empty() {
        "false".to_owned()
    } else {
        let globs: Vec<String> = globs.iter().map(pattern).collect();
        let pattern = format!("^(?s:{})$", globs.join("|"));
        format!("disk matches regex {}", literal(&pattern))
    };
    format!("(disk: string) {{ {excluded} }}")
}

/// A glob as a regular expression.
fn pattern(glob: &Glob) -> String {
    let mut pattern = String::new();
    for c in glob.as_str().chars() {
        match c {
            '*' => pattern.push_str(".*"),
            '?' => pattern.push('.'),
            '\\' | '.' | '+' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' => {
                pattern.extend(['\\', c]);
            }
            c => pattern.push(c),
        }
    }
    pattern
}

/// A text as KQL writes it, on one line whatever is in it.
fn literal(text: &str) -> String {
    let mut literal = String::from("\"");
    for c in text.chars() {
        match c {
            '\\' | '"' => literal.extend(['\\', c]),
            // All of these are below U+FFFF.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                let _ = write!(literal, "\\u{:04x}", u32::from(c));
            }
            c => literal.push(c),
        }
    }
    literal.push('"');
    literal
}

#[cfg(test)]
#[path = "filters_tests.rs"]
mod tests;
