//! The queries: files of `corpus/`, each a row of queries headed by `// ## name`.

use std::collections::BTreeMap;
use std::path::Path;

pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kql");

pub fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All queries, as `file/name`.
pub fn queries() -> BTreeMap<String, String> {
    let mut queries = BTreeMap::new();
    for entry in std::fs::read_dir(format!("{FOLDER}/corpus")).unwrap() {
        let path = entry.unwrap().path();
        let topic = Path::new(&path).file_stem().unwrap().to_str().unwrap();
        for (name, text) in named(path.to_str().unwrap()) {
            let known = queries.insert(format!("{topic}/{name}"), text);
            assert!(known.is_none(), "{topic}/{name} twice");
        }
    }
    queries
}

/// The queries of a file, each headed by `// ## name`.
pub fn named(path: &str) -> Vec<(String, String)> {
    read(path)
        .split("// ## ")
        .skip(1)
        .map(|block| {
            let (name, text) = block.split_once('\n').unwrap();
            (name.to_owned(), text.trim_matches('\n').to_owned())
        })
        .collect()
}
