//! Operators, nulls, texts and names as Kusto has them.

use super::*;

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
            "print split('a,b', ','), split('a,b', ',', 1), replace_string('aXa', 'X', '-'), replace_regex('a1b22', @'\\d+', @'<\\0>'), extract('x=([0-9]+)', 1, 'x=42', typeof(long)), trim(' +', '  a '), trim_end('/+', 'a//')",
            &["[\"a\",\"b\"]|[\"b\"]|a-a|a<1>b<22>|42|a|a"],
        ),
        (
            "print strcat('a', 1, true, dynamic(null)), strcat_delim('-', 1, 'b'), url_encode('a b'), url_decode('a%20b'), format_bytes(1536, 1), tolower('ÄB')",
            &["a1True|1-b|a%20b|a b|1.5 KB|äb"],
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
            "datatable(a:long, b:string)[1, 'x', 2, 'y'] | sort by a asc | extend p = prev(b, 1, 0.5), q = next(a, 1, '7'), r = next(a, 1, 'z')",
            &["1|x|0.5|2|2", "2|y|x|7|null"],
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
            "print d = dynamic([1, 'x']), e = dynamic([5]) | mv-expand d to typeof(long), e limit 3",
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
            &packs::sample(),
            "union withsource=T VMConnection, Heartbeat | distinct T"
        )),
        ["VMConnection"]
    );
}
