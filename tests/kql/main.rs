//! Our binder against Microsoft's analyser, over the queries of `corpus/`.
//!
//! `expected.tsv` is what the analyser says of each query; a test with real programs compares it
//! with the analyser itself (`UPDATE_EXPECTED=1` writes it anew). Where our binder says something
//! else, `differences.txt` says why: a difference that is not listed fails, and so does a listed one
//! that is none any more.

mod corpus;
#[cfg(feature = "programs")]
mod differential;
mod fuzz;
#[cfg(feature = "programs")]
mod judge;
mod usage;
mod verdict;

use std::collections::BTreeMap;

use corpus::{FOLDER, queries, read};
use verdict::{Verdict, expected, ours};

#[test]
fn the_corpus_is_as_large_as_it_should_be() {
    let expected = expected();
    let names: Vec<&String> = expected.keys().collect();
    let queries = queries();
    assert_eq!(
        names,
        queries.keys().collect::<Vec<_>>(),
        "expected.tsv is out of date"
    );
    let wrong = expected
        .values()
        .filter(|verdict| !matches!(verdict, Verdict::Right(_)));
    assert!(queries.len() >= 250, "{} queries", queries.len());
    assert!(wrong.count() >= 80);
}

#[test]
fn our_binder_says_what_the_analyser_says_but_for_the_differences_that_are_listed() {
    let expected = expected();
    let listed = differences();
    let mut faults = Vec::new();
    for (name, text) in &queries() {
        let Some(wanted) = expected.get(name) else {
            continue;
        };
        let differs = ours(text).differs_from(wanted);
        match (differs, listed.contains_key(name)) {
            (Some(how), false) => faults.push(format!("{name}: {how}")),
            (None, true) => faults.push(format!("{name}: listed as a difference, and is none")),
            _ => {}
        }
    }
    for name in listed.keys().filter(|name| !expected.contains_key(*name)) {
        faults.push(format!("{name}: listed as a difference, and is no query"));
    }
    assert!(
        faults.is_empty(),
        "{} differences:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

/// `name: why`, a line each; lines that begin with `#` are notes.
fn differences() -> BTreeMap<String, String> {
    read(&format!("{FOLDER}/differences.txt"))
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let (name, why) = line.split_once(": ").expect("name: why");
            assert!(!why.trim().is_empty(), "{name} has no reason");
            (name.to_owned(), why.to_owned())
        })
        .collect()
}
