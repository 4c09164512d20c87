use super::*;

const ANSWER: &str = r#"{"tables": [{"name": "PrimaryResult",
    "columns": [{"name": "Computer", "type": "string"}, {"name": "Val", "type": "real"}],
    "rows": [["web-1", 7.5], ["web-2", null]]}], "statistics": {"deep": [[[{}]]]}}"#;

fn table(json: &str) -> Decoded {
    read(json.as_bytes()).unwrap().table.unwrap()
}

fn error(json: &str) -> String {
    read(json.as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_table_is_read_whole() {
    let decoded = table(ANSWER);
    let mut expected = ResultTable::new(vec![
        Column::new("Computer", ColumnType::String),
        Column::new("Val", ColumnType::Real),
    ]);
    expected
        .push_row([Cell::String("web-1".into()), Cell::Real(7.5)])
        .unwrap();
    expected
        .push_row([Cell::String("web-2".into()), Cell::Null])
        .unwrap();
    assert_eq!(decoded.table, expected);
    assert_eq!(decoded.unreadable_rows, 0);
}

#[test]
fn rows_may_stand_before_columns() {
    let decoded = table(
        r#"{"render": null, "tables": [{"rows": [["web-1", 7.5], ["web-2", null]],
        "columns": [{"type": "string", "name": "Computer"}, {"type": "real", "name": "Val"}],
        "name": "PrimaryResult"}]}"#,
    );
    assert_eq!(decoded.table, table(ANSWER).table);
}

#[test]
fn an_empty_result_keeps_its_columns() {
    let decoded = table(
        r#"{"tables": [{"name": "PrimaryResult", "columns": [{"name": "a", "type": "long"}], "rows": []}]}"#,
    );
    assert_eq!(decoded.table.row_count(), 0);
    assert_eq!(
        decoded.table.columns(),
        [Column::new("a", ColumnType::Long)]
    );
}

#[test]
fn the_primary_result_is_preferred_and_what_follows_it_is_passed_over() {
    let one = |name: &str, column: &str| {
        format!(
            r#"{{"name": "{name}", "columns": [{{"name": "{column}", "type": "int"}}], "rows": []}}"#
        )
    };
    let first_column = |tables: &[String]| {
        let json = format!(r#"{{"tables": [{}]}}"#, tables.join(","));
        table(&json).table.columns()[0].name.clone()
    };
    assert_eq!(
        first_column(&[
            one("Other", "a"),
            one("PrimaryResult", "b"),
            "\"whatever\"".into()
        ]),
        "b"
    );
    assert_eq!(first_column(&[one("X", "a"), one("Y", "b")]), "a");
}

#[test]
fn an_unreadable_cell_costs_its_row_alone() {
    let decoded = table(
        r#"{"tables": [{"columns": [{"name": "n", "type": "int"}, {"name": "t", "type": "timespan"}],
        "rows": [[1, "00:00:01"], ["one", "00:00:01"], [2, "soon"], [[3], {"a": []}], [4, null]]}]}"#,
    );
    assert_eq!(decoded.unreadable_rows, 3);
    let numbers: Vec<&Cell> = decoded.table.rows().map(|row| &row[0]).collect();
    assert_eq!(numbers, [&Cell::Long(1), &Cell::Long(4)]);
}

#[test]
fn an_error_is_kept_beside_the_table() {
    let json = r#"{"error": {"code": "PartialError"}, "tables": []}"#;
    let body = read(json.as_bytes()).unwrap();
    assert_eq!(
        body.error.map(RawValue::get),
        Some(r#"{"code": "PartialError"}"#)
    );
    assert!(body.table.is_none());
    let body = read(br#"{"error": null}"#).unwrap();
    assert!(body.error.is_none());
}

#[test]
fn damage_is_named_with_its_place() {
    let with = |columns: &str, rows: &str| {
        error(&format!(
            r#"{{"tables": [{{"columns": {columns}, "rows": {rows}}}]}}"#
        ))
    };
    let int = r#"[{"name": "n", "type": "int"}]"#;
    for (message, expected) in [
        (
            with(int, "[[]]"),
            "invalid length 0, expected a row: an array of 1 cells at line 1 column 67",
        ),
        (
            with(int, "[[1, 2]]"),
            "a row has more cells than the table's 1 columns at line 1 column 71",
        ),
        (
            with(int, "[1]"),
            "invalid type: integer `1`, expected a row: an array of 1 cells at line 1 column 66",
        ),
        (
            with(int, "{}"),
            "invalid type: map, expected an array of rows at line 1 column 64",
        ),
        (
            with(r#"[{"name": "n", "type": "quaternion"}]"#, "[]"),
            r#"column "n" has the unknown type "quaternion" at line 1 column 61"#,
        ),
        (
            error(r#"{"tables": [{"columns": []}]}"#),
            "missing field `rows` at line 1 column 27",
        ),
        (
            error(r#"{"tables": [{"rows": []}]}"#),
            "missing field `columns` at line 1 column 24",
        ),
        (
            error("[]"),
            "invalid type: sequence, expected an object with `tables` at line 1 column 0",
        ),
        (error("<html>"), "expected value at line 1 column 1"),
        (
            error(r#"{"tables": []} x"#),
            "trailing characters at line 1 column 16",
        ),
    ] {
        assert_eq!(message, expected);
    }
}

#[test]
fn no_truncation_reads_as_a_whole_answer() {
    for end in 0..ANSWER.len() {
        assert!(read(&ANSWER.as_bytes()[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn deep_nesting_is_no_danger() {
    let deep = format!(
        r#"{{"x": {}{}, "tables": []}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(read(deep.as_bytes()).is_ok());
    let cell = "[".repeat(100_000);
    let json =
        format!(r#"{{"tables": [{{"columns": [{{"name": "n", "type": "int"}}], "rows": [[{cell}"#);
    assert!(read(json.as_bytes()).is_err());
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let _ = read(&bytes);
    }

    #[test]
    fn a_damaged_byte_never_panics(at in 0..ANSWER.len(), byte: u8) {
        let mut bytes = ANSWER.as_bytes().to_vec();
        bytes[at] = byte;
        let _ = read(&bytes);
    }
}
