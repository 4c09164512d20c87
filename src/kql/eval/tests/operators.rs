//! The operators that shape rows: what each makes of a few.

use super::*;

const EVENTS: &str = "let Events = datatable(h: string, t: datetime, v: long)[
    'a', datetime(2026-01-01 00:10), 1,
    'a', datetime(2026-01-01 00:20), 3,
    'b', datetime(2026-01-01 02:00), 5,
    'c', datetime(2026-01-01 02:30), 9];
";

/// Queries over `Events`, each with its rows.
fn check_events(cases: &[(&str, &[&str])]) {
    for (text, expected) in cases {
        let text = format!("{EVENTS}{text}");
        assert_eq!(&rows(&answer(&Tables::new(), &text)), expected, "{text}");
    }
}

#[test]
fn series_have_a_bin_for_every_step() {
    let axis = r#"["2026-01-01T00:00:00.0000000Z","2026-01-01T01:00:00.0000000Z","2026-01-01T02:00:00.0000000Z"]"#;
    let with_axis = |row: &str| format!("{row}|{axis}");
    let (a, b, c) = (
        with_axis("a|[4,0,0]|[2.0,-1.5,-1.5]"),
        with_axis("b|[0,0,5]|[-1.5,-1.5,5.0]"),
        with_axis("c|[0,0,9]|[-1.5,-1.5,9.0]"),
    );
    let all = with_axis("[2,0,2]");
    check_events(&[
        (
            "Events | make-series n = sum(v), a = avg(v) default = -1.5 on t from datetime(2026-01-01) to datetime(2026-01-01 03:00) step 1h by h",
            &[&a, &b, &c],
        ),
        ("Events | make-series count() on t step 1h", &[&all]),
        (
            "Events | make-series sum(v) on v from 0 to 10 step 5",
            &["[4,14]|[0,5]"],
        ),
        (
            "Events | make-series sum(v) on v in range (0, 10, 5)",
            &["[4,14,0]|[0,5,10]"],
        ),
        (
            "Events | where v > 100 | make-series sum(v) on v from 0 to 10 step 5",
            &[],
        ),
    ]);
}

#[test]
fn tops_within_tops() {
    check_events(&[
        (
            "Events | top-nested 2 of h with others = 'rest' by sum(v), top-nested 1 of v by count()",
            &["c|9|9|1", "b|5|5|1", "rest|4|1|1"],
        ),
        (
            "Events | top-nested of h by sum(v) asc",
            &["a|4", "b|5", "c|9"],
        ),
        ("Events | top-hitters 2 of h by v", &["c|9", "b|5"]),
        ("Events | top-hitters 1 of h", &["a|2"]),
        ("Events | sample-distinct 2 of h", &["a", "b"]),
        ("Events | sample 1 | count", &["1"]),
    ]);
}

#[test]
fn parts_of_the_rows_go_their_own_way() {
    check_events(&[
        (
            "Events | partition by h (top 1 by v | project h, v)",
            &["a|3", "b|5", "c|9"],
        ),
        (
            "Events | summarize vs = make_list(v) by h | mv-apply v = vs to typeof(long) on (top 1 by v | project m = v) | project h, m",
            &["a|3", "b|5", "c|9"],
        ),
        (
            "Events | summarize vs = make_list(v) by h | mv-apply with_itemindex = i vs on (where i == 1) | project h, vs, i",
            &["a|3|1"],
        ),
        (
            "print d = dynamic([]) | mv-apply x = d on (summarize n = count())",
            &["[]|0"],
        ),
        (
            "print d = dynamic([[1, 2], [3]]) | mv-apply x = d on (mv-apply y = x to typeof(long) on (summarize s = sum(y)) | project s) | project s",
            &["3", "3"],
        ),
    ]);
}

#[test]
fn values_are_expanded_and_cast() {
    check(&[
        // Null is one row, nothing is none.
        (
            "datatable(k: string, d: dynamic)['null', dynamic(null), 'none', dynamic([]), 'empty', dynamic({}), 'two', dynamic([1, 2])] | mv-expand d",
            &["null|null", "two|1", "two|2"],
        ),
        (
            "print a = dynamic([1, 2, 3]), b = dynamic(['x']) | mv-expand a, b",
            &["1|x", "2|null", "3|null"],
        ),
        (
            "print d = dynamic({'a': 1, 'b': 2}) | mv-expand d",
            &[r#"{"a":1}"#, r#"{"b":2}"#],
        ),
        (
            "print d = dynamic({'a': 1, 'b': 2}) | mv-expand kind=array d | project k = d[0], v = d[1]",
            &["a|1", "b|2"],
        ),
        // A cast reads no texts.
        (
            "print d = dynamic(['5', 5, 1.5]) | mv-expand d to typeof(long)",
            &["null", "5", "1"],
        ),
        ("print d = range(1, 200) | mvexpand d | count", &["128"]),
        (
            "print d = range(1, 200) | mv-expand d limit 3 | count",
            &["3"],
        ),
    ]);
}

#[test]
fn columns_come_from_the_rows() {
    let result = answer(
        &Tables::new(),
        &format!("{EVENTS}Events | project h, day = startofday(t), v | evaluate pivot(h, sum(v))"),
    );
    assert_eq!(names(&result), ["day", "a", "b", "c"]);
    assert_eq!(rows(&result), ["2026-01-01T00:00:00.0000000Z|4|5|9"]);
    let result = answer(
        &Tables::new(),
        "datatable(k: long, d: dynamic)[1, dynamic({'n': 20, 's': 'x'}), 2, dynamic({'n': 0.5}), 3, dynamic(null)] | evaluate bag_unpack(d, 'd_') | where isnull(d_n) or d_n > 0",
    );
    assert_eq!(names(&result), ["k", "d_n", "d_s"]);
    assert_eq!(rows(&result), ["1|20.0|x", "2|0.5|", "3|null|"]);
    check(&[
        (
            "print a = 1, b = 'x' | evaluate narrow()",
            &["0|a|1", "0|b|x"],
        ),
        (
            "datatable(a: string, b: long, c: long)['x', 1, 7, 'y', 2, 7] | evaluate pivot(a, sum(b), c)",
            &["7|1|2"],
        ),
    ]);
}

#[test]
fn texts_are_parsed() {
    let lines = "datatable(s: string)['Port 80 open', 'Port x open', 'nothing'] | ";
    for (operator, expected) in [
        (
            "parse s with 'Port ' p: long ' ' r | project p, r",
            &["80|open", "null|", "null|"][..],
        ),
        (
            "parse kind=relaxed s with 'Port ' p: long ' ' r | project p, r",
            &["80|open", "null|open", "null|"],
        ),
        (
            "parse-where s with 'Port ' p: long ' ' r | project p, r",
            &["80|open"],
        ),
        (
            "parse kind=regex flags=i s with 'PORT +' p: long ' o' r | project p, r",
            &["80|pen", "null|", "null|"],
        ),
    ] {
        let text = format!("{lines}{operator}");
        assert_eq!(rows(&answer(&Tables::new(), &text)), expected, "{text}");
    }
    check(&[
        (
            "datatable(s: string)['k1=v1, k2=2', 'k2=7'] | parse-kv s as (k1: string, k2: long) with (pair_delimiter=', ', kv_delimiter='=') | project k1, k2",
            &["v1|2", "|7"],
        ),
        (
            "print s = 'n:\"a b\" m:3' | parse-kv s as (n: string, m: int) with (pair_delimiter=' ', kv_delimiter=':', quote='\"') | project n, m",
            &["a b|3"],
        ),
    ]);
}

#[test]
fn searches_look_everywhere() {
    let machines = "let M = datatable(name: string, os: string, n: long)['linux box', 'x', 1, 'win', 'LINUX', 2, 'mac', 'y', 3]; ";
    for (query, expected) in [
        (
            "M | search 'linux' | project name",
            &["linux box", "win"][..],
        ),
        (
            "M | search kind=case_sensitive 'linux' | project name",
            &["linux box"],
        ),
        (
            "M | search name: 'linux' or n == 3 | project name",
            &["linux box", "mac"],
        ),
        ("M | search 'lin*' and n > 1 | project name", &["win"]),
        ("M | search '*ux' | count", &["2"]),
        ("M | where * has 'box' | project n", &["1"]),
        ("M | where * == 'y' | project n", &["3"]),
        ("find in (M) where name == 'mac' project n", &["M|3"]),
    ] {
        let text = format!("{machines}{query}");
        assert_eq!(rows(&answer(&Tables::new(), &text)), expected, "{text}");
    }
    let mut tables = Tables::new();
    tables
        .row("Heartbeat", (5, 4), &[("Computer", Value::string("vm-1"))])
        .row("VMComputer", (5, 4), &[("Computer", Value::string("vm-2"))])
        .row(
            "VMComputer",
            (5, 4),
            &[("HostName", Value::string("vm-1.x"))],
        );
    for (text, expected) in [
        (
            "search 'vm-1' | summarize count() by $table",
            &["VMComputer|1", "Heartbeat|1"][..],
        ),
        ("search in (Heartbeat) 'vm-1' | count", &["1"]),
        (
            "union withsource=T VM* | summarize count() by T",
            &["VMComputer|2"],
        ),
        (
            "find where Computer == 'vm-2' | project source_, Computer, Host = tostring(pack_.HostName)",
            &["VMComputer|vm-2|"],
        ),
    ] {
        assert_eq!(rows(&answer(&tables, text)), expected, "{text}");
    }
}

#[test]
fn small_operators_do_what_they_say() {
    check(&[
        (
            "declare query_parameters(n: long = 3); range x from 1 to n step 1 | count as Rows",
            &["3"],
        ),
        (
            "datatable(a: string)['a', 'b'] | as X | union (X | take 1)",
            &["a", "b", "a"],
        ),
        ("print a = 1 | assert-schema (a: long)", &["1"]),
        (
            "print x = series_stats(dynamic([1, 3])) | project x, series_stats__max_idx",
            &["1.0|1"],
        ),
        (
            "datatable(A: string)['X'] | extend tolower(A), tostring(A) | getschema | project ColumnName",
            &["A", "Column1"],
        ),
    ]);
    let error = run(
        &Tables::new(),
        "print a = 1 | assert-schema (a: string)",
        &options(),
    );
    let Err(QueryError::Semantic(found)) = error else {
        panic!("{error:?}");
    };
    assert_eq!(found.code, "SEM0019");
}
