use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::kql::text::format_value;
use crate::kql::{
    Batch, BatchBuilder, Database, DateTime, QueryError, QueryOptions, QueryResult, Schema,
    TimeSpan, Value, parse_datetime, run,
};

/// Tables of which each row names the columns it fills.
struct Tables {
    schema: Schema,
    batches: HashMap<String, Vec<Arc<Batch>>>,
}

impl Database for Tables {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn scan(&self, table: &str) -> Vec<Arc<Batch>> {
        self.batches.get(table).cloned().unwrap_or_default()
    }
}

fn now() -> DateTime {
    parse_datetime("2026-11-24T10:00:00Z").unwrap()
}

fn minutes_ago(minutes: i64) -> DateTime {
    DateTime(now().0 - TimeSpan::from_seconds(60 * minutes).0)
}

impl Tables {
    fn new() -> Self {
        Self {
            schema: Schema::vm_insights(),
            batches: HashMap::new(),
        }
    }

    /// A batch of one row, made and arrived so many minutes before now.
    fn row(
        &mut self,
        table: &str,
        (made, arrived): (i64, i64),
        cells: &[(&str, Value)],
    ) -> &mut Self {
        let columns = self.schema.table(table).unwrap().clone();
        let row = columns
            .columns
            .iter()
            .map(|column| {
                let given = cells.iter().find(|(name, _)| *name == &*column.name);
                match given {
                    Some((_, value)) => value.clone(),
                    None if &*column.name == "TimeGenerated" => Value::DateTime(minutes_ago(made)),
                    None => Value::Null,
                }
            })
            .collect();
        let mut builder = BatchBuilder::new(columns);
        builder.push(minutes_ago(arrived), row).unwrap();
        self.batches
            .entry(table.to_string())
            .or_default()
            .push(Arc::new(builder.finish()));
        self
    }
}

fn options<'a>() -> QueryOptions<'a> {
    QueryOptions {
        now: now(),
        timespan: None,
        max_rows: 1000,
        cancelled: &|| false,
    }
}

fn answer(tables: &Tables, text: &str) -> QueryResult {
    run(tables, text, &options()).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// The rows, cells parted by `|`, null as `null`.
fn rows(result: &QueryResult) -> Vec<String> {
    (0..result.row_count)
        .map(|row| {
            result
                .data
                .iter()
                .map(|column| match column.value(row) {
                    Value::Null => "null".to_string(),
                    value => format_value(value).to_string(),
                })
                .collect::<Vec<_>>()
                .join("|")
        })
        .collect()
}

/// Queries that need no table, each with its rows.
fn check(cases: &[(&str, &[&str])]) {
    for (text, expected) in cases {
        assert_eq!(&rows(&answer(&Tables::new(), text)), expected, "{text}");
    }
}

fn names(result: &QueryResult) -> Vec<&str> {
    result.columns.iter().map(|column| &*column.name).collect()
}

fn disk(
    name: &'static str,
    value: f64,
    mount: &str,
    size: Option<i64>,
) -> Vec<(&'static str, Value)> {
    let size = size.map_or(String::new(), |size| {
        format!(",\"vm.azm.ms/diskSizeMB\":{size}")
    });
    vec![
        ("Computer", Value::string("VM-1")),
        ("_ResourceId", Value::string("/Subscriptions/S/vm-1")),
        ("Origin", Value::string("vm.azm.ms")),
        ("Namespace", Value::string("LogicalDisk")),
        ("Name", Value::string(name)),
        ("Val", Value::Real(value)),
        (
            "Tags",
            Value::string(format!("{{\"vm.azm.ms/mountId\":\"{mount}\"{size}}}")),
        ),
    ]
}

fn connection(threat: &str, severity: i32, confidence: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("Computer", Value::string("vm-1")),
        ("RemoteIp", Value::string("203.0.113.9")),
        ("Direction", Value::string("outbound")),
        ("IndicatorThreatType", Value::string(threat)),
        ("Severity", Value::Int(severity)),
        ("Confidence", Value::string(confidence)),
    ]
}

fn sample() -> Tables {
    let mut tables = Tables::new();
    tables
        .row(
            "InsightsMetrics",
            (10, 9),
            &disk("FreeSpacePercentage", 40.0, "C:", None),
        )
        .row(
            "InsightsMetrics",
            (5, 4),
            &disk("FreeSpacePercentage", 39.0, "C:", None),
        )
        .row(
            "InsightsMetrics",
            (5, 4),
            &disk("FreeSpaceMB", 100.0, "C:", Some(256)),
        )
        .row(
            "InsightsMetrics",
            (5, 4),
            &disk("FreeSpacePercentage", 0.0, "/snap/x", None),
        )
        .row(
            "InsightsMetrics",
            (50, 49),
            &disk("Status", 1.0, "C:", None),
        )
        .row("VMConnection", (40, 10), &connection("Botnet", 3, "75"))
        .row("VMConnection", (12, 10), &connection("Botnet", 5, "9"))
        .row("VMConnection", (30, 29), &connection("Botnet", 5, "100"))
        .row("VMConnection", (5, 3), &connection("", 0, ""))
        .row("VMConnection", (2, -1), &connection("C2", 5, "100"));
    tables
}

#[test]
fn free_disk_space_is_the_newest_of_each_disk_and_counter() {
    let result = answer(
        &sample(),
        r#"
        InsightsMetrics
        | where TimeGenerated > ago(15m) and Origin == "vm.azm.ms" and Namespace == "LogicalDisk"
        | extend tags = todynamic(Tags)
        | extend Disk = tostring(tags["vm.azm.ms/mountId"]), SizeMB = toreal(tags["vm.azm.ms/diskSizeMB"])
        | where not(Disk startswith "/snap")
        | summarize arg_max(TimeGenerated, Val, SizeMB) by Computer = tolower(Computer), _ResourceId = tolower(_ResourceId), Disk, Name
        | summarize FreePercent = maxif(Val, Name == "FreeSpacePercentage"), FreeBytes = maxif(Val, Name == "FreeSpaceMB") * 1048576.0, Size = max(SizeMB), Up = maxif(Val, Name == "Status") by Computer, _ResourceId, Disk"#,
    );
    assert_eq!(
        names(&result),
        [
            "Computer",
            "_ResourceId",
            "Disk",
            "FreePercent",
            "FreeBytes",
            "Size",
            "Up"
        ]
    );
    assert_eq!(
        rows(&result),
        ["vm-1|/subscriptions/s/vm-1|C:|39.0|104857600.0|256.0|null"]
    );
}

#[test]
fn threat_connections_are_those_that_arrived_in_the_window() {
    let result = answer(
        &sample(),
        "let window = 15m;
        VMConnection
        | where TimeGenerated > ago(2d) | where ingestion_time() > ago(window)
        | where isnotempty(IndicatorThreatType)
        | summarize Connections = count(), Severity = max(Severity), Confidence = max(toreal(Confidence)), LastSeen = max(TimeGenerated) by Computer, _ResourceId, RemoteIp, IndicatorThreatType, Direction",
    );
    // The late one counts, the one that arrives in the future does not.
    assert_eq!(
        rows(&result),
        ["vm-1||203.0.113.9|Botnet|outbound|2|5|75.0|2026-11-24T09:48:00.0000000Z"]
    );
}

#[test]
fn tables_tell_their_newest_row_and_their_delay() {
    let result = answer(
        &sample(),
        "union withsource=Table
            (Heartbeat | where TimeGenerated > ago(24h) | summarize Newest = max(TimeGenerated), Delay = max(ingestion_time() - TimeGenerated)),
            (VMConnection | where TimeGenerated > ago(24h) | summarize Newest = max(TimeGenerated), Delay = max(ingestion_time() - TimeGenerated))",
    );
    assert_eq!(
        rows(&result),
        [
            "union_arg0|null|null",
            "union_arg1|2026-11-24T09:55:00.0000000Z|00:30:00"
        ]
    );
}

/// The three queries of the blog post, quotes and `val` repaired, and as printed.
#[test]
fn the_blogs_queries() {
    let tables = sample();
    let disk = r#"InsightsMetrics
| where TimeGenerated > ago(1h)
| where Namespace contains "Disk"
| where Tags contains "C:"
| where Name contains "FreeSpacePercentage"
| order by TimeGenerated
| project TimeGenerated,Computer,Val"#;
    assert_eq!(
        rows(&answer(&tables, disk)),
        [
            "2026-11-24T09:55:00.0000000Z|VM-1|39.0",
            "2026-11-24T09:50:00.0000000Z|VM-1|40.0"
        ]
    );
    let error = |text: &str| run(&tables, text, &options()).unwrap_err().to_string();
    assert_eq!(
        error(&disk.replace("Val", "val")),
        "'project' operator: Failed to resolve scalar expression named 'val'"
    );
    assert_eq!(
        error(&disk.replace("\"Disk", "“Disk")),
        "Query could not be parsed at '“' on line [3,27]"
    );
    let threats = r#"VMConnection
| where TimeGenerated > ago(24h)
| where IndicatorThreatType != ""
| project TimeGenerated,Computer,SourceIp,Severity,IndicatorThreatType,Direction"#;
    assert_eq!(answer(&tables, threats).row_count, 3);
    let counted = r#"VMConnection
| where TimeGenerated > ago(15m)
| where IndicatorThreatType != ""
| summarize count() by RemoteIp,IndicatorThreatType
| where count_ > 0"#;
    assert_eq!(rows(&answer(&tables, counted)), ["203.0.113.9|Botnet|1"]);
    assert!(matches!(
        run(&tables, &counted.replace("!= \"", "!= “"), &options()),
        Err(QueryError::Syntax(_))
    ));
}

#[test]
fn unknown_tables_are_named_with_the_operator_that_takes_them() {
    for (text, message) in [
        (
            "Heartbeats",
            "'' operator: Failed to resolve table or column or scalar expression named 'Heartbeats'",
        ),
        (
            "AppInsights | where TimeGenerated > ago(12h)",
            "'where' operator: Failed to resolve table or column expression named 'AppInsights'",
        ),
        (
            "resource | summarize count()",
            "'summarize' operator: Failed to resolve table or column expression named 'resource'",
        ),
    ] {
        match run(&Tables::new(), text, &options()) {
            Err(QueryError::Semantic(found)) => {
                assert_eq!((found.code, found.message.as_str()), ("SEM0100", message));
            }
            other => panic!("{other:?}"),
        }
    }
    // A fuzzy union leaves it out.
    assert_eq!(
        rows(&answer(
            &sample(),
            "union isfuzzy=true VMConnection, Nope | count"
        )),
        ["4"]
    );
}

#[test]
fn the_requests_time_span_bounds_every_table() {
    let bounded = QueryOptions {
        timespan: Some((minutes_ago(30), minutes_ago(12))),
        ..options()
    };
    let result = run(&sample(), "VMConnection | count", &bounded).unwrap();
    assert_eq!(rows(&result), ["2"]);
}

#[test]
fn arithmetic_follows_kusto() {
    check(&[
        (
            "print 7 / 2, -7 / 2, 1 / 0, -7 % 3, 7 % 0, 1.0 / 0, 0.0 / 0",
            &["3|-3|null|2|null|Infinity|NaN"],
        ),
        (
            "print 9223372036854775807 + 1, long(-9223372036854775808) / -1, -(long(-9223372036854775808))",
            &["-9223372036854775808|-9223372036854775808|-9223372036854775808"],
        ),
        (
            "print 1d / 2, 1d / 1h, 90m % 1h, 2 * 1h, 1h * 1.5",
            &["12:00:00|24.0|00:30:00|02:00:00|01:30:00"],
        ),
        (
            "print datetime(2020-01-02) - datetime(2020-01-01), datetime(2020-01-01) - 1h, datetime(9999-12-31) + 365d",
            &["1.00:00:00|2019-12-31T23:00:00.0000000Z|null"],
        ),
        (
            "print bin(-7, 5), bin(7.5, 2), bin(datetime(2020-01-01 10:37), 15m), bin(5, 0), bin_at(7, 5, 1)",
            &["-10|6.0|2020-01-01T10:30:00.0000000Z|null|6"],
        ),
        (
            "print decimal(0.1) + decimal(0.2), 1 + decimal(0.5)",
            &["0.3|1.5"],
        ),
    ]);
}

#[test]
fn nulls_and_comparisons_follow_kusto() {
    check(&[
        (
            "print long(null) == 1, long(null) != 1, long(null) > 1, long(null) == long(null)",
            &["false|true|null|null"],
        ),
        (
            "print isnull(''), isempty(''), isnull(long(null)), isnotempty(' '), tostring(long(null)) == ''",
            &["false|true|true|true|true"],
        ),
        (
            "print iff(long(null) > 1, 'a', 'b'), case(false, 1, true, 2, 3), coalesce(long(null), 5), coalesce('', 'x')",
            &["b|2|5|x"],
        ),
        (
            "print bool(null) and false, bool(null) or true, bool(null) and true",
            &["false|true|null"],
        ),
        (
            "print dynamic('a') == 'a', dynamic(1) == 1, dynamic(null) == 1, 1 == 1.0, real(nan) == real(nan)",
            &["true|true|false|true|false"],
        ),
        (
            "datatable(a:long)[1, long(null), 3] | where a != 1 | count",
            &["2"],
        ),
        (
            "datatable(a:long)[1, long(null), 3] | where not(a > 1) | count",
            &["1"],
        ),
    ]);
}

#[test]
fn texts_are_found_as_kusto_finds_them() {
    check(&[
        (
            "print 'vm.azm.ms' has 'AZM', 'abc' has 'ab', 'abc' hasprefix 'AB', 'abc' hassuffix 'bc', 'abc' !has 'b'",
            &["true|false|true|true|true"],
        ),
        (
            "print 'ABC' contains 'bc', 'ABC' contains_cs 'bc', 'a' =~ 'A', 'a' !~ 'A', 'Abc' startswith 'aB', 'Abc' endswith_cs 'BC'",
            &["true|false|true|false|true|false"],
        ),
        (
            "print 'a' in ('b', 'a'), 'a' in~ ('A'), 'a' !in ('a'), 5 in (dynamic([1, 5])), 'x' !in~ ('X')",
            &["true|true|false|true|false"],
        ),
        (
            "print 'foo bar' has_any ('BAR', 'z'), 'foo bar' has_all ('bar', 'foo'), 'foo bar' has_all (dynamic(['bar', 'x'])), 'abc' matches regex 'b.'",
            &["true|true|false|true"],
        ),
        (
            "print 5 between (1 .. 5), 6 !between (1 .. 5), datetime(2020-01-01) between (datetime(2019-12-31) .. 1d)",
            &["true|true|true"],
        ),
    ]);
}

#[test]
fn functions_of_each_kind() {
    check(&[
        (
            "print tolong('x'), tolong('0x1F'), toint(3.9), toreal('1.5'), tobool('TRUE'), toguid('x'), todatetime('2020-01-01'), totimespan('1.02:03:04')",
            &["null|31|3|1.5|true|null|2020-01-01T00:00:00.0000000Z|1.02:03:04"],
        ),
        (
            "print substring('abcdef', 1, 3), substring('abc', -2), indexof('abcabc', 'c', 3), indexof('abc', 'x'), strlen('héé'), reverse('abc'), countof('aaa', 'a')",
            &["bcd|bc|5|-1|3|cba|3"],
        ),
        (
            "print split('a,b', ','), split('a,b', ',', 1), replace_string('aXa', 'X', '-'), replace_regex('a1b22', @'\\d+', @'<\\0>'), extract('x=([0-9]+)', 1, 'x=42', typeof(long)), trim(' +', '  a '), trim_end('/', 'a//')",
            &["[\"a\",\"b\"]|[\"b\"]|a-a|a<1>b<22>|42|a|a"],
        ),
        (
            "print strcat('a', 1, true, dynamic(null)), strcat_delim('-', 1, 'b'), url_encode('a b'), url_decode('a%20b'), format_bytes(1536, 1), tolower('ÄB')",
            &["a1true|1-b|a%20b|a b|1.5 KB|äb"],
        ),
        (
            "print startofday(now()), startofweek(now()), startofmonth(now(), -1), endofyear(now()), dayofweek(now()), hourofday(now())",
            &[
                "2026-11-24T00:00:00.0000000Z|2026-11-22T00:00:00.0000000Z|2026-10-01T00:00:00.0000000Z|2026-12-31T23:59:59.9999999Z|2.00:00:00|10",
            ],
        ),
        (
            "print datetime_diff('hour', now(), ago(3h)), datetime_diff('month', datetime(2020-01-01), datetime(2020-03-31)), datetime_add('month', 1, datetime(2020-01-31)), datetime_part('minute', datetime(2020-01-01 10:37)), week_of_year(datetime(2021-01-03))",
            &["3|-2|2020-02-29T00:00:00.0000000Z|37|53"],
        ),
        (
            "print format_datetime(now(), 'yyyy-MM-dd HH:mm:ss.fff'), format_timespan(26h, 'd.hh:mm'), make_datetime(2020, 1, 2, 3, 4, 5.5), make_datetime(2020, 13, 1), make_timespan(1, 30)",
            &["2026-11-24 10:00:00.000|1.02:00|2020-01-02T03:04:05.5000000Z|null|01:30:00"],
        ),
        (
            "print round(2.567, 2), ceiling(1.2), sign(-3), abs(-1), pow(2, 10), sqrt(9), log10(1000), min_of(3, 1.5), max_of(1d, 2h)",
            &["2.57|2.0|-1.0|1|1024.0|3.0|3.0|1.5|1.00:00:00"],
        ),
        (
            "print ipv4_is_private('10.1.2.3'), ipv4_is_in_range('10.1.2.3', '10.1.0.0/16'), ipv4_compare('1.1.1.1', '1.1.1.2'), parse_ipv4('0.0.1.1'), parse_ipv4('x')",
            &["true|true|-1|257|null"],
        ),
        (
            "print bag_pack('a', 1, 'b', 'x'), pack_array(1, 'a'), bag_keys(dynamic({'a': 1})), set_has_element(dynamic([1, 2]), 2), strcat_array(dynamic([1, 'x']), ';'), array_slice(dynamic([1, 2, 3]), 1, -1), array_length(dynamic({}))",
            &["{\"a\":1,\"b\":\"x\"}|[1,\"a\"]|[\"a\"]|true|1;x|[2,3]|null"],
        ),
        (
            "print d = parse_json('{\"k\":{\"x\":[1,{\"y\":\"z\"}]}}') | project d.k.x[1].y, d['k'].x[-2], d.nope.z, d.k.x[9], tostring(d.k), parse_json('bare')",
            &["z|1|null|null|{\"x\":[1,{\"y\":\"z\"}]}|bare"],
        ),
        (
            "print gettype(dynamic([1])), gettype(1), gettype(dynamic({})), extract_json('$.a[1].b', '{\"a\":[0,{\"b\":5}]}', typeof(long)), strrep('ab', 2)",
            &["array|long|dictionary|5|abab"],
        ),
    ]);
}

#[test]
fn aggregates_of_rows_and_of_none() {
    let all = "summarize count(), countif(x > 2), sum(x), avg(x), min(x), max(x), maxif(x, x > 9), make_list(x), make_set(x % 2), percentiles(x, 50, 100), dcount(x), stdev(x), take_any(x)";
    let some = format!("range x from 1 to 5 step 1 | {all}");
    let none = format!("range x from 1 to 0 step 1 | {all}");
    check(&[
        (
            &some,
            &["5|3|15|3.0|1|5|null|[1,2,3,4,5]|[1,0]|3|5|5|1.5811388300841898|1"],
        ),
        (
            &none,
            &["0|0|0|null|null|null|null|[]|[]|null|null|0|null|null"],
        ),
        ("range x from 1 to 0 step 1 | summarize count() by x", &[]),
        (
            "range x from 1 to 0 step 1 | summarize arg_max(x, *)",
            &["null"],
        ),
        (
            "datatable(a:long, b:string)[1, 'x', 2, 'y', 3, 'x'] | summarize count(), sum(a) / count(), arg_min(a, b) by b | sort by b asc",
            &["x|2|2|1|x", "y|1|2|2|y"],
        ),
        (
            "datatable(a:long)[long(null), 1, long(null)] | summarize count() by a | sort by a asc",
            &["null|2", "1|1"],
        ),
        (
            "datatable(t:timespan)[1h, 2h] | summarize avg(t), sum(t), max(t)",
            &["01:30:00|03:00:00|02:00:00"],
        ),
    ]);
}

#[test]
fn sorting_puts_nulls_where_kusto_does() {
    let rows = "datatable(a:long, b:string)[1, 'x', long(null), 'y', 3, 'z']";
    let with = |tail: &str| format!("{rows} | {tail} | project b");
    for (tail, expected) in [
        ("sort by a", ["z", "x", "y"]),
        ("sort by a asc", ["y", "x", "z"]),
        ("order by a asc nulls last", ["x", "z", "y"]),
        ("sort by a desc nulls first", ["y", "z", "x"]),
        ("sort by b", ["z", "y", "x"]),
    ] {
        check(&[(&with(tail), &expected)]);
    }
    check(&[
        (&with("top 2 by a"), &["z", "x"]),
        (
            "datatable(a:long)[3, 1, 2] | sort by a asc | extend n = row_number(), p = prev(a), q = next(a, 1, -1), s = row_cumsum(a)",
            &["1|1|null|2|1", "2|2|1|3|3", "3|3|2|-1|6"],
        ),
        (
            "range x from 1 to 100000 step 1 | sort by x % 7, x asc | take 2",
            &["6", "13"],
        ),
    ]);
}

#[test]
fn joins_of_every_kind() {
    let left = "datatable(a:long, l:string)[1, 'i', 2, 'j', 3, 'k', 3, 'm', long(null), 'n']";
    let right = "datatable(a:long, r:string)[1, 'p', 3, 'q', 3, 's', 4, 't', long(null), 'u']";
    for (kind, expected) in [
        ("", &["1|i|1|p", "3|k|3|q", "3|k|3|s"][..]),
        (
            "kind=inner",
            &["1|i|1|p", "3|k|3|q", "3|k|3|s", "3|m|3|q", "3|m|3|s"],
        ),
        (
            "kind=leftouter",
            &[
                "1|i|1|p",
                "2|j|null|",
                "3|k|3|q",
                "3|k|3|s",
                "3|m|3|q",
                "3|m|3|s",
                "null|n|null|",
            ],
        ),
        (
            "kind=rightouter",
            &[
                "1|i|1|p",
                "3|k|3|q",
                "3|k|3|s",
                "3|m|3|q",
                "3|m|3|s",
                "null||4|t",
                "null||null|u",
            ],
        ),
        ("kind=leftanti", &["2|j", "null|n"]),
        ("kind=leftsemi", &["1|i", "3|k", "3|m"]),
        ("kind=rightanti", &["4|t", "null|u"]),
        ("kind=rightsemi", &["1|p", "3|q", "3|s"]),
    ] {
        check(&[(&format!("{left} | join {kind} ({right}) on a"), expected)]);
    }
    let full = format!("{left} | join kind=fullouter ({right}) on a | count");
    let lookup =
        format!("{left} | lookup ({right} | project b = a, r) on $left.a == $right.b | count");
    check(&[(&full, &["9"]), (&lookup, &["7"])]);
}

#[test]
fn arrays_and_texts_are_taken_apart() {
    check(&[
        (
            "print d = dynamic([1, {'a': 2}]), n = 7 | mv-expand with_itemindex=i d",
            &["1|7|0", "{\"a\":2}|7|1"],
        ),
        (
            "print d = dynamic({'a': 1, 'b': 2}) | mv-expand d",
            &["{\"a\":1}", "{\"b\":2}"],
        ),
        (
            "print d = dynamic(['1', 'x']), e = dynamic([5]) | mv-expand d to typeof(long), e limit 3",
            &["1|5", "null|null"],
        ),
        (
            "print s = 'Event: id=12, name=foo bar' | parse s with * 'id=' id:long ', name=' name | project id, name",
            &["12|foo bar"],
        ),
        (
            "print s = 'nope' | parse s with 'id=' id:long ', name=' name | project id, name",
            &["null|"],
        ),
        (
            "print s = 'a=x;b=y' | parse kind=relaxed s with 'a=' a:long ';b=' b | project a, b",
            &["null|y"],
        ),
    ]);
}

#[test]
fn names_stand_for_scalars_tables_and_functions() {
    check(&[
        (
            "let f = (x:long, y:string = 'a') { strcat(y, x + 1) }; range x from 1 to 2 step 1 | extend z = f(x), w = f(x, 'q')",
            &["1|a2|q2", "2|a3|q3"],
        ),
        (
            "let f = (t:(x:long), least:long) { t | where x > least }; range x from 1 to 3 step 1 | invoke f(1)",
            &["2", "3"],
        ),
        (
            "let v = view () { print x = 1 }; let n = 5; union v, (print x = n)",
            &["1", "5"],
        ),
        (
            "let m = materialize(range x from 1 to 3 step 1); m | where x in (m | where x > 1) | extend n = toscalar(m | summarize max(x))",
            &["2|3", "3|3"],
        ),
        (
            "range x from 1 to 2 step 1 | as T | union T | summarize sum(x)",
            &["6"],
        ),
        (
            "union withsource=S (datatable(a:long)[1]), (datatable(a:real, b:string)[1.5, 'x'])",
            &["union_arg0|1|null|", "union_arg1|null|1.5|x"],
        ),
        (
            "datatable(a:long, b:string)[1, 'x', 1, 'x'] | distinct *",
            &["1|x"],
        ),
        (
            "print a = 1, b = 'x' | getschema",
            &["a|0|System.Int64|long", "b|1|System.String|string"],
        ),
    ]);
    assert_eq!(
        rows(&answer(
            &sample(),
            "union withsource=T VMConnection, Heartbeat | distinct T"
        )),
        ["VMConnection"]
    );
}

#[test]
fn too_many_rows_are_cut_and_said_so() {
    let result = answer(
        &Tables::new(),
        "set truncationmaxrecords=2; range x from 1 to 5 step 1",
    );
    assert_eq!(rows(&result), ["1", "2"]);
    let partial = result.partial.unwrap();
    assert_eq!(partial.code, "-2133196797");
    assert_eq!(
        partial.message,
        "Query result set has exceeded the internal record count limit 2 (E_QUERY_RESULT_SET_TOO_LARGE; see https://aka.ms/kustoquerylimits)"
    );
    let exact = answer(
        &Tables::new(),
        "set truncationmaxrecords=5; range x from 1 to 5 step 1",
    );
    assert_eq!((exact.row_count, exact.partial), (5, None));
}

#[test]
fn a_range_without_end_begins_at_once_and_can_be_stopped() {
    let endless = "range x from 1 to 1000000000000000 step 1";
    check(&[(&format!("{endless} | take 2"), &["1", "2"])]);
    let asked = AtomicUsize::new(0);
    let impatient = QueryOptions {
        cancelled: &|| asked.fetch_add(1, Ordering::Relaxed) > 20,
        ..options()
    };
    let stopped = run(&Tables::new(), &format!("{endless} | count"), &impatient);
    assert_eq!(stopped.unwrap_err(), QueryError::Cancelled);
    // Wide, so that the limit is near.
    let wide: String = (0..500).map(|at| format!(", c{at} = 1")).collect();
    let kept = run(
        &Tables::new(),
        &format!("{endless} | project x{wide} | sort by x"),
        &options(),
    );
    assert_eq!(
        kept.unwrap_err().to_string(),
        "the query keeps more than 50000000 cells in memory"
    );
}

#[test]
fn values_that_grow_without_bound_are_stopped() {
    let grow = |step: &str| format!("print x = 1 | extend s = {step}");
    let text = grow("tostring(x)") + &" | extend s = strcat(s, s, s, s)".repeat(60);
    let array = grow("pack_array(x)") + &" | extend s = pack_array(pack_array(s))".repeat(150);
    for query in [text, array] {
        assert_eq!(
            run(&Tables::new(), &query, &options())
                .unwrap_err()
                .to_string(),
            "the query makes texts and arrays that take too much memory"
        );
    }
}

#[test]
fn a_rows_value_does_not_stray_into_another_query() {
    let text = "let f = (x:long) { toscalar(datatable(a:long)[1, 2] | where a == x | count) };
        range y from 1 to 2 step 1 | extend n = f(y)";
    assert_eq!(
        run(&Tables::new(), text, &options())
            .unwrap_err()
            .to_string(),
        "a row's value within another query is not known to this engine"
    );
}

#[test]
fn the_deepest_query_that_is_taken_runs() {
    let filters = "print x = 1".to_string() + &" | where x == 1".repeat(190);
    let sum = format!("print {}", vec!["1"; 150].join("+"));
    check(&[(&filters, &["1"]), (&sum, &["150"])]);
}

/// Operators over VMConnection's columns, the ones before them notwithstanding.
const STEPS: [&str; 40] = [
    "where Severity > 2 and IndicatorThreatType has 'botnet' or isempty(Computer)",
    "where ingestion_time() > ago(15m)",
    "where TimeGenerated between (ago(1h) .. 30m)",
    "where Severity in (3, 5.0) or Computer in~ ('VM-1')",
    "where Computer !in (VMConnection | where Severity > 3 | project Computer)",
    "extend x = Severity + 1, y = Severity / 2.0, z = BytesSent % 7",
    "extend x = toreal(Confidence), tolower(Computer)",
    "extend Severity = tostring(Severity)",
    "extend t = todynamic(Confidence), p = pack_array(Severity, Computer)",
    "extend q = bag_pack('a', Severity, 'b', TimeGenerated).a + 1",
    "extend i = iff(Severity > 3, 1, 2.5), c = case(Severity > 4, 'x', Severity > 2, dynamic('y'), 'z')",
    "extend d = ingestion_time() - TimeGenerated, e = bin(TimeGenerated, 1h), f = bin(Severity, 2)",
    "extend m = max_of(Severity, BytesSent, 1.5), n = coalesce(BytesSent, Severity)",
    "extend r = row_number(), s = prev(Severity), u = next(Computer, 1, 'none'), v = row_cumsum(Severity)",
    "extend g = round(Severity), h = abs(Severity), j = floor(RemoteLatitude, 0.5), k = -Severity",
    "extend w = toscalar(VMConnection | summarize max(Severity))",
    "project TimeGenerated, Computer, Severity, Confidence, BytesSent, IndicatorThreatType, RemoteLatitude",
    "project-away TenantId, Remote*",
    "project-keep TimeGenerated, Computer, S*",
    "project-rename Host = Computer",
    "project-reorder S* desc, Computer",
    "summarize count(), max(Severity), avg(Severity), sum(BytesSent) by Computer",
    "summarize arg_max(TimeGenerated, *) by Computer",
    "summarize arg_min(Severity, Computer), percentiles(Severity, 5, 50.5), stdev(Severity)",
    "summarize make_list(Severity), make_set(Computer), dcount(Confidence), take_any(Direction), any(Severity)",
    "summarize Severity = minif(Severity, Severity > 3), sumif(BytesSent, true) / count(), avg(TimeGenerated) by bin(TimeGenerated, 1h)",
    "summarize by Computer, Severity",
    "count",
    "distinct Computer, Severity",
    "distinct *",
    "take 2",
    "sort by Severity, Computer asc nulls last",
    "top 2 by TimeGenerated asc",
    "union VMConnection",
    "union withsource=T (VMConnection | project Severity = toreal(Severity), Computer)",
    "join kind=leftouter (VMConnection | project Computer, Severity, TimeGenerated) on Computer",
    "join kind=fullouter (VMConnection | summarize max(Severity) by Computer, Severity) on Computer, Severity",
    "lookup (VMConnection | distinct Computer, Direction) on Computer",
    "mv-expand e = pack_array(Severity, Computer) to typeof(string)",
    "parse IndicatorThreatType with a 'o' b:long 't' *",
];

proptest::proptest! {
    /// What `analyze` says of the columns holds of the answer, to the value.
    #[test]
    fn every_value_has_its_columns_type(
        steps in proptest::collection::vec(0..STEPS.len(), 0..5)
    ) {
        let mut text = String::from("VMConnection");
        for step in steps {
            text += " | ";
            text += STEPS[step];
        }
        let tables = sample();
        let result = run(&tables, &text, &options());
        match crate::kql::analyze(&tables.schema, &text) {
            crate::kql::Analysis::Right { columns } => {
                let result = result.unwrap_or_else(|error| panic!("{text}\n{error}"));
                assert_eq!(columns, result.columns, "{text}");
                for (column, data) in columns.iter().zip(&result.data) {
                    assert_eq!(data.len(), result.row_count, "{text}");
                    for value in data.iter() {
                        let fits = match value.kind() {
                            None => column.kind != crate::kql::Type::String,
                            Some(kind) => kind == column.kind,
                        };
                        assert!(fits, "{text}: {} is {value:?}", column.name);
                    }
                }
            }
            crate::kql::Analysis::Wrong { diagnostics } => {
                assert_eq!(result.unwrap_err().to_string(), diagnostics[0].message, "{text}");
            }
            crate::kql::Analysis::NotKnown { reason } => {
                assert_eq!(result.unwrap_err().to_string(), reason, "{text}");
            }
        }
    }
}
