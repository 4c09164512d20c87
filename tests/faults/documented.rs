//! The table of faults in `docs/failures.md`.

use std::path::Path;

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    /// In the simulated workspace's notation.
    pub fault: String,
    /// The label's value, and the field's in the log.
    pub reason: String,
    /// These two with `…` for what varies. No hint is an empty one.
    pub error: String,
    pub hint: String,
    /// How the query stands on the status page.
    pub page: String,
}

/// All rows, in order.
pub fn rows() -> Vec<Row> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/failures.md");
    let text = std::fs::read_to_string(file).unwrap();
    let (_, table) = text.split_once("| fault | metrics: ").unwrap();
    let lines = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with("| "));
    lines.map(row).collect()
}

fn row(line: &str) -> Row {
    let cells = line.trim_start_matches("| ").trim_end_matches(" |");
    let cells: Vec<&str> = cells.split(" | ").collect();
    let [fault, reason, error, hint, page] = cells[..] else {
        panic!("five cells: {line}");
    };
    let code = |cell: &str| cell.trim_matches('`').to_owned();
    Row {
        fault: code(fault),
        reason: code(reason),
        error: error.to_owned(),
        hint: if hint == "none" {
            String::new()
        } else {
            hint.to_owned()
        },
        page: page.to_owned(),
    }
}

/// Whether a text is as documented: the same but for what stands for each `…`.
pub fn is_like(documented: &str, text: &str) -> bool {
    let mut pieces = documented.split('…');
    let Some(mut rest) = text.strip_prefix(pieces.next().unwrap_or_default()) else {
        return false;
    };
    let mut open = false;
    for piece in pieces {
        open = piece.is_empty();
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    open || rest.is_empty()
}

#[test]
fn an_ellipsis_stands_for_anything() {
    assert!(is_like("HTTP 400: …", "HTTP 400: no"));
    assert!(is_like("no … within … s", "no answer within 2 s"));
    assert!(is_like("the same", "the same"));
    for (documented, text) in [("the same", "the same!"), ("a … c", "a b d"), ("b…", "a b")] {
        assert!(!is_like(documented, text), "{documented}: {text}");
    }
}
