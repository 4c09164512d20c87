use super::*;

fn read(kind: ColumnType, json: &str) -> Option<Cell> {
    let mut json = serde_json::Deserializer::from_str(json);
    let mut texts = Texts::default();
    CellSeed(kind, &mut texts).deserialize(&mut json).unwrap()
}

fn text(text: &str) -> Option<Cell> {
    Some(Cell::String(text.into()))
}

#[test]
fn each_type_reads_what_the_api_sends() {
    use ColumnType::*;
    let moment = |text: &str| Some(Cell::DateTime(text.parse().unwrap()));
    for (kind, json, cell) in [
        (Bool, "true", Some(Cell::Bool(true))),
        (Int, "-12345", Some(Cell::Long(-12_345))),
        (
            Long,
            "9007199254740993",
            Some(Cell::Long(9_007_199_254_740_993)),
        ),
        (Long, "-9223372036854775808", Some(Cell::Long(i64::MIN))),
        (Real, "12345.6789", Some(Cell::Real(12_345.678_9))),
        (Real, "3", Some(Cell::Real(3.0))),
        (Real, r#""Infinity""#, Some(Cell::Real(f64::INFINITY))),
        (Real, r#""-Infinity""#, Some(Cell::Real(f64::NEG_INFINITY))),
        (Decimal, r#""0.10101""#, Some(Cell::Real(0.101_01))),
        (Decimal, r#""-1e-7""#, Some(Cell::Real(-1e-7))),
        (Decimal, "5", Some(Cell::Real(5.0))),
        (String, r#""a \"b\" \u00e4""#, text("a \"b\" ä")),
        (
            DateTime,
            r#""2015-12-31T23:59:59.9Z""#,
            moment("2015-12-31T23:59:59.900Z"),
        ),
        (
            DateTime,
            r#""2026-11-24T08:00:00.1234567Z""#,
            moment("2026-11-24T08:00:00.1234567Z"),
        ),
        (
            DateTime,
            r#""0001-01-01T00:00:00Z""#,
            moment("0001-01-01T00:00:00Z"),
        ),
        (
            DateTime,
            r#""9999-12-31T23:59:59.9999999Z""#,
            Some(Cell::DateTime(Timestamp::MAX)),
        ),
        (
            TimeSpan,
            r#""00:00:10""#,
            Some(Cell::TimeSpan(SignedDuration::from_secs(10))),
        ),
        (
            Guid,
            r#""74be27de-1e4e-49d9-b579-fe0b331d3642""#,
            text("74be27de-1e4e-49d9-b579-fe0b331d3642"),
        ),
        (
            Dynamic,
            r#""{\"hello\":\"world\"}""#,
            text(r#"{"hello":"world"}"#),
        ),
        (
            Dynamic,
            r#"{"hello": ["world", 1]}"#,
            text(r#"{"hello": ["world", 1]}"#),
        ),
        (Dynamic, "17", text("17")),
    ] {
        assert_eq!(read(kind, json), cell, "{kind} {json}");
    }
    let nan = read(Real, r#""NaN""#);
    assert!(
        matches!(nan, Some(Cell::Real(value)) if value.is_nan()),
        "{nan:?}"
    );
}

#[test]
fn null_is_null_but_for_strings() {
    use ColumnType::*;
    for kind in [
        Bool, Int, Long, Real, Decimal, DateTime, TimeSpan, Guid, Dynamic,
    ] {
        assert_eq!(read(kind, "null"), Some(Cell::Null), "{kind}");
    }
    assert_eq!(read(String, "null"), text(""));
}

#[test]
fn a_cell_of_another_type_is_unreadable() {
    use ColumnType::*;
    for (kind, json) in [
        (Bool, "1"),
        (Bool, r#""true""#),
        (Int, "1.5"),
        (Int, r#""1""#),
        (Long, "9223372036854775808"),
        (Long, "true"),
        (Real, r#""inf""#),
        (Real, "false"),
        (Decimal, r#""inf""#),
        (Decimal, r#""1,5""#),
        (Decimal, r#""""#),
        (String, "5"),
        (String, "[1, [2]]"),
        (String, r#"{"a": {}}"#),
        (DateTime, r#""yesterday""#),
        (DateTime, r#""2026-13-01T00:00:00Z""#),
        (DateTime, r#""""#),
        (DateTime, "1700000000"),
        (TimeSpan, r#""1h""#),
        (Guid, r#""not-a-guid""#),
    ] {
        assert_eq!(read(kind, json), None, "{kind} {json}");
    }
}

#[test]
fn timespans() {
    let ticks = |ticks: i64| Some(SignedDuration::from_nanos(ticks * 100));
    for (text, span) in [
        ("00:00:00", ticks(0)),
        ("00:00:00.0000001", ticks(1)),
        ("00:00:01.5", ticks(15_000_000)),
        ("-00:00:01.5", ticks(-15_000_000)),
        ("01:02:03", ticks(37_230_000_000)),
        ("1.00:00:00", Some(SignedDuration::from_secs(86_400))),
        (
            "-2.03:04:05.0600000",
            Some(-SignedDuration::new(183_845, 60_000_000)),
        ),
        (
            "10675199.02:48:05.4775807",
            Some(SignedDuration::new(922_337_203_685, 477_580_700)),
        ),
        ("", None),
        ("-", None),
        ("1", None),
        ("00:00", None),
        ("24:00:00", None),
        ("00:60:00", None),
        ("00:00:60", None),
        ("00:00:00.", None),
        ("00:00:00.0000000001", None),
        ("--00:00:01", None),
        ("+1:00:00", None),
        ("1.-1:00:00", None),
        ("99999999999999999999.00:00:00", None),
        ("1:2:3:4", None),
    ] {
        assert_eq!(parse_timespan(text), span, "{text:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in ".*") {
        let _ = (parse_timespan(&text), parse_datetime(&text), parse_decimal(&text));
    }

    #[test]
    fn a_timespan_as_kusto_writes_it_reads_back(
        negative: bool, d in 0_i64..10_675_199, h in 0_i64..24, m in 0_i64..60, s in 0_i64..60,
        ticks in 0_i64..10_000_000,
    ) {
        let sign = if negative { "-" } else { "" };
        let text = format!("{sign}{d}.{h:02}:{m:02}:{s:02}.{ticks:07}");
        let span = SignedDuration::new(
            ((d * 24 + h) * 60 + m) * 60 + s,
            i32::try_from(ticks * 100).unwrap(),
        );
        proptest::prop_assert_eq!(parse_timespan(&text), Some(if negative { -span } else { span }));
    }
}
