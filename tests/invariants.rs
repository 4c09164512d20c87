//! The invariants of ARCHITECTURE.md that the text of the source can show: which module may name
//! which, and where no clock is read and no file or socket is touched.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each module and the modules it may name. `cli` may name all; nothing names `cli`.
const ALLOWED: &[(&str, &[&str])] = &[
    ("table", &[]),
    ("kql", &[]),
    ("telemetry", &[]),
    ("series", &["table"]),
    ("ledger", &["series", "table", "telemetry"]),
    ("config", &["series"]),
    ("exposition", &["series"]),
    ("snapshot", &["exposition", "series", "telemetry"]),
    ("azure", &["config", "table", "telemetry"]),
    ("catalogue", &["config", "kql", "series"]),
    (
        "poll",
        &[
            "azure",
            "catalogue",
            "config",
            "ledger",
            "series",
            "snapshot",
            "table",
            "telemetry",
        ],
    ),
    (
        "http",
        &["config", "exposition", "series", "snapshot", "telemetry"],
    ),
    (
        "push",
        &["config", "exposition", "series", "snapshot", "telemetry"],
    ),
    // Of config only `Secret`, so that its own secret does not print either, and how YAML is read.
    ("simulator", &["config", "kql"]),
];

/// Modules that neither read a clock nor do I/O.
/// Of `ledger` only the store is not.
const PURE: &[&str] = &[
    "kql",
    "table",
    "series",
    "ledger/book",
    "ledger/record",
    "snapshot",
    "exposition",
];
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::env",
    "std::process",
    "std::time::Instant",
    "Instant::now",
    "SystemTime",
    "Timestamp::now",
    "tokio::",
    "reqwest::",
    "tracing::",
    "println!",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The sources of a module as (file, code without its tests).
fn sources(module: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let file = root().join(format!("{module}.rs"));
    if file.exists() {
        files.push(file);
    }
    let mut folders = vec![root().join(module)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push(path);
            }
        }
    }
    assert!(!files.is_empty(), "module {module} has no source");
    files
        .into_iter()
        .filter(|path| {
            let stem = path.file_stem().unwrap().to_string_lossy();
            stem != "tests" && !stem.ends_with("_tests")
        })
        .filter(|path| !path.components().any(|part| part.as_os_str() == "tests"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            // Tests stand at the end of a file.
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code: Vec<&str> = code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect();
            (path, code.join("\n"))
        })
        .collect()
}

/// The names that follow `crate::`, `use crate::{…}` included.
fn named_modules(code: &str) -> BTreeSet<String> {
    let is_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => {
                let mut depth = 0;
                let mut name = String::new();
                for c in group.chars() {
                    match c {
                        '}' if depth == 0 => break,
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 0 => {
                            names.insert(name.split("::").next().unwrap().trim().to_owned());
                            name.clear();
                        }
                        c => name.push(c),
                    }
                }
                names.insert(name.split("::").next().unwrap().trim().to_owned());
            }
            None => {
                names.insert(rest.chars().take_while(is_name).collect());
            }
        }
    }
    names.remove("");
    names
}

#[test]
fn imports_run_one_way() {
    for (module, allowed) in ALLOWED {
        for (file, code) in sources(module) {
            for name in named_modules(&code) {
                assert!(
                    name == *module || allowed.contains(&name.as_str()),
                    "{} names crate::{name}; {module} may name only {allowed:?}",
                    file.display()
                );
            }
        }
    }
}

/// A page could otherwise show a setting that nobody has masked.
#[test]
fn in_http_only_the_lock_names_the_configuration() {
    for (file, code) in sources("http") {
        let is_lock = file.components().any(|part| part.as_os_str() == "lock");
        assert!(
            is_lock || !named_modules(&code).contains("config"),
            "{} names crate::config",
            file.display()
        );
    }
}

#[test]
fn every_module_is_in_the_table() {
    let lib = std::fs::read_to_string(root().join("lib.rs")).unwrap();
    let declared: BTreeSet<&str> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    let listed: BTreeSet<&str> = ALLOWED
        .iter()
        .map(|(module, _)| *module)
        .chain(["cli"])
        .collect();
    assert_eq!(declared, listed);
}

#[test]
fn pure_modules_read_no_clock_and_do_no_io() {
    for module in PURE {
        for (file, code) in sources(module) {
            for word in IMPURE {
                assert!(!code.contains(word), "{} has {word}", file.display());
            }
        }
    }
}

#[test]
fn only_poll_publishes() {
    for (module, _) in ALLOWED
        .iter()
        .filter(|(module, _)| !matches!(*module, "poll" | "snapshot"))
    {
        for (file, code) in sources(module) {
            assert!(!code.contains(".publish("), "{} publishes", file.display());
        }
    }
}

#[test]
fn names_are_found_in_every_form() {
    let code = "use crate::{a::{B, C}, d};\nuse crate::e::F;\nfn g() { crate::h::i() }";
    let names: Vec<String> = named_modules(code).into_iter().collect();
    assert_eq!(names, ["a", "d", "e", "h"]);
}
