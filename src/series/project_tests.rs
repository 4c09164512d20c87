use super::super::mapping::{LabelMapping, MetricType};
use super::*;
use crate::table::Column;

fn mapping(combine: Option<Combine>, max_series: usize) -> Mapping {
    named_mapping("connections", combine, max_series)
}

fn named_mapping(name: &str, combine: Option<Combine>, max_series: usize) -> Mapping {
    Mapping {
        labels: vec![
            LabelMapping {
                label: "vm".parse().unwrap(),
                column: "Computer".into(),
            },
            LabelMapping {
                label: "remote_ip".parse().unwrap(),
                column: "RemoteIp".into(),
            },
        ],
        metrics: vec![MetricMapping {
            name: name.parse().unwrap(),
            kind: MetricType::Gauge,
            help: "Connections.".into(),
            value: "Connections".into(),
            combine,
            max_series,
        }],
    }
}

fn table(rows: &[(&str, &str, Cell)]) -> ResultTable {
    let mut table = ResultTable::new(vec![
        Column::new("Connections", ColumnType::Long),
        Column::new("RemoteIp", ColumnType::String),
        Column::new("Computer", ColumnType::String),
    ]);
    for (vm, ip, value) in rows {
        table
            .push_row([
                value.clone(),
                Cell::String((*ip).into()),
                Cell::String((*vm).into()),
            ])
            .unwrap();
    }
    table
}

fn lines(family: &Family) -> Vec<String> {
    family
        .series
        .iter()
        .map(|s| {
            format!(
                "{} = {}",
                s.label_values().collect::<Vec<_>>().join("|"),
                s.value()
            )
        })
        .collect()
}

#[test]
fn rows_become_sorted_series_with_the_workspace_first() {
    let table = table(&[
        ("web", "192.0.2.7", Cell::Long(3)),
        ("db", "192.0.2.9", Cell::Long(1)),
        ("db", "192.0.2.1", Cell::Null),
    ]);
    let out = project(&mapping(None, 10), &table, "prod", &[]).unwrap();
    let names: Vec<&str> = out.families[0]
        .series
        .names()
        .iter()
        .map(LabelName::as_str)
        .collect();
    assert_eq!(names, ["workspace", "vm", "remote_ip"]);
    assert_eq!(
        lines(&out.families[0]),
        ["prod|db|192.0.2.9 = 1", "prod|web|192.0.2.7 = 3"],
        "an absent cell is an absent sample"
    );
    assert_eq!(out.issues.total(), 0);
}

#[test]
fn rows_of_one_label_set_combine_or_are_counted() {
    let table = table(&[
        ("db", "192.0.2.9", Cell::Long(1)),
        ("db", "192.0.2.9", Cell::Long(5)),
        ("db", "192.0.2.9", Cell::Long(2)),
    ]);
    for (how, value) in [
        (Combine::Sum, 8),
        (Combine::Max, 5),
        (Combine::Min, 1),
        (Combine::Last, 2),
    ] {
        let out = project(&mapping(Some(how), 10), &table, "prod", &[]).unwrap();
        assert_eq!(
            lines(&out.families[0]),
            [format!("prod|db|192.0.2.9 = {value}")]
        );
        assert_eq!(out.issues.total(), 0);
    }
    let out = project(&mapping(None, 10), &table, "prod", &[]).unwrap();
    assert_eq!(lines(&out.families[0]), ["prod|db|192.0.2.9 = 1"]);
    assert_eq!(out.issues.get(RowIssue::Duplicate), 2);
}

#[test]
fn values_that_are_no_number_cost_themselves() {
    let table = table(&[
        ("db", "192.0.2.1", Cell::Real(f64::NAN)),
        ("db", "192.0.2.2", Cell::Real(f64::INFINITY)),
        ("db", "192.0.2.3", Cell::Bool(true)),
        (
            "db",
            "192.0.2.4",
            Cell::DateTime("2026-11-24T00:00:00.5Z".parse().unwrap()),
        ),
        (
            "db",
            "192.0.2.5",
            Cell::TimeSpan(jiff::SignedDuration::from_millis(1500)),
        ),
    ]);
    let out = project(&mapping(None, 10), &table, "w", &[]).unwrap();
    assert_eq!(
        lines(&out.families[0]),
        [
            "w|db|192.0.2.3 = 1",
            "w|db|192.0.2.4 = 1795478400.5",
            "w|db|192.0.2.5 = 1.5"
        ]
    );
    assert_eq!(out.issues.get(RowIssue::NotFinite), 2);
}

#[test]
fn what_does_not_fit_is_gathered_and_counted() {
    let rows: Vec<(String, Cell)> = (0..6)
        .map(|n| (format!("192.0.2.{n}"), Cell::Long(n)))
        .collect();
    let rows: Vec<(&str, &str, Cell)> = rows
        .iter()
        .map(|(ip, value)| ("db", ip.as_str(), value.clone()))
        .collect();
    let out = project(&mapping(Some(Combine::Sum), 3), &table(&rows), "w", &[]).unwrap();
    assert_eq!(
        lines(&out.families[0]),
        [
            "w|db|192.0.2.0 = 0",
            "w|db|192.0.2.1 = 1",
            "w|db|192.0.2.2 = 2",
            "w|overflow|overflow = 12"
        ]
    );
    assert_eq!(out.issues.get(RowIssue::OverflowGathered), 3);
}

#[test]
fn a_row_that_calls_itself_overflow_is_gathered_with_the_others() {
    let rows = table(&[
        ("overflow", "overflow", Cell::Long(1)),
        ("a", "192.0.2.1", Cell::Long(2)),
        ("z", "192.0.2.2", Cell::Long(5)),
    ]);
    let out = project(&mapping(Some(Combine::Sum), 1), &rows, "w", &[]).unwrap();
    assert_eq!(
        lines(&out.families[0]),
        ["w|a|192.0.2.1 = 2", "w|overflow|overflow = 6"]
    );
    assert_eq!(out.issues.get(RowIssue::OverflowGathered), 2);
}

#[test]
fn shares_never_go_into_overflow() {
    let rows = [
        ("a", "", Cell::Long(1)),
        ("b", "", Cell::Long(2)),
        ("c", "", Cell::Long(3)),
    ];
    let mapping = named_mapping("disk_free_percent", Some(Combine::Min), 2);
    let out = project(&mapping, &table(&rows), "w", &[]).unwrap();
    assert_eq!(lines(&out.families[0]), ["w|a| = 1", "w|b| = 2"]);
    assert_eq!(out.issues.get(RowIssue::OverflowDropped), 1);
}

#[test]
fn first_come_first_served_holds_across_polls() {
    let mapping = mapping(Some(Combine::Sum), 2);
    let first = table(&[
        ("m", "192.0.2.5", Cell::Long(1)),
        ("m", "192.0.2.6", Cell::Long(1)),
    ]);
    let first = project(&mapping, &first, "w", &[]).unwrap();
    let second = table(&[
        ("m", "192.0.2.1", Cell::Long(7)),
        ("m", "192.0.2.6", Cell::Long(2)),
        ("m", "192.0.2.2", Cell::Long(8)),
    ]);
    let second = project(&mapping, &second, "w", &[&first.families[0].series]).unwrap();
    assert_eq!(
        lines(&second.families[0]),
        [
            "w|m|192.0.2.1 = 7",
            "w|m|192.0.2.6 = 2",
            "w|overflow|overflow = 8"
        ],
        "the one that was there stays, although others sort before it"
    );
}

#[test]
fn a_table_of_another_shape_is_an_error_that_names_the_column() {
    let other = ResultTable::new(vec![
        Column::new("computer", ColumnType::String),
        Column::new("RemoteIp", ColumnType::String),
    ]);
    assert_eq!(
        project(&mapping(None, 1), &other, "w", &[])
            .unwrap_err()
            .to_string(),
        "the answer has no column \"Computer\", which label vm needs; it has: computer, RemoteIp"
    );
    let text = ResultTable::new(vec![
        Column::new("Computer", ColumnType::String),
        Column::new("RemoteIp", ColumnType::String),
        Column::new("Connections", ColumnType::String),
    ]);
    assert!(matches!(
        project(&mapping(None, 1), &text, "w", &[]),
        Err(ShapeError::NotMeasurable { .. })
    ));
}

#[test]
fn values_with_any_text_stay_apart() {
    let table = table(&[
        ("a\u{1f}b", "", Cell::Long(1)),
        ("a", "\u{1f}b", Cell::Long(2)),
        ("", "a\u{1f}b", Cell::Long(3)),
    ]);
    let out = project(&mapping(None, 10), &table, "w", &[]).unwrap();
    assert_eq!(out.families[0].series.len(), 3);
    assert_eq!(out.issues.total(), 0);
}

#[test]
fn a_long_label_value_is_cut_between_characters_and_counted() {
    // "é" has two bytes, so the limit falls in the middle of one.
    let long = format!("a{}", "é".repeat(MAX_LABEL_BYTES));
    let cut = format!("a{}", "é".repeat(511));
    let fits = "b".repeat(MAX_LABEL_BYTES);
    let table = table(&[
        (&long, "192.0.2.1", Cell::Long(1)),
        (&fits, "192.0.2.1", Cell::Long(2)),
    ]);
    let out = project(&mapping(None, 10), &table, "prod", &[]).unwrap();
    assert_eq!(
        lines(&out.families[0]),
        [
            format!("prod|{cut}|192.0.2.1 = 1"),
            format!("prod|{fits}|192.0.2.1 = 2"),
        ]
    );
    assert_eq!(out.issues.to_string(), "1 truncated");
}

#[test]
fn label_sets_that_are_equal_after_the_cut_combine_or_are_duplicates() {
    let start = "a".repeat(MAX_LABEL_BYTES);
    let table = table(&[
        (&format!("{start}1"), "192.0.2.1", Cell::Long(1)),
        (&format!("{start}2"), "192.0.2.1", Cell::Long(2)),
    ]);
    let summed = project(&mapping(Some(Combine::Sum), 10), &table, "prod", &[]).unwrap();
    assert_eq!(
        lines(&summed.families[0]),
        [format!("prod|{start}|192.0.2.1 = 3")]
    );
    assert_eq!(summed.issues.to_string(), "2 truncated");

    let first = project(&mapping(None, 10), &table, "prod", &[]).unwrap();
    assert_eq!(
        lines(&first.families[0]),
        [format!("prod|{start}|192.0.2.1 = 1")]
    );
    assert_eq!(first.issues.to_string(), "1 duplicate, 2 truncated");
}
