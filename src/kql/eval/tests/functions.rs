//! Functions and aggregates: what each makes of the arguments that documentation shows.

use super::*;

/// Expressions with their values as text.
fn values(cases: &[(&str, &str)]) {
    for (expression, expected) in cases {
        let result = answer(&Tables::new(), &format!("print x = {expression}"));
        assert_eq!(rows(&result), [*expected], "{expression}");
    }
}

#[test]
fn arrays() {
    values(&[
        (
            r#"array_sort_asc(dynamic([3, null, 1, "b", "a"]))"#,
            r#"[1,3,"a","b",null]"#,
        ),
        ("array_sort_asc(dynamic([2, null, 1]), false)", "[null,1,2]"),
        ("array_sort_desc(dynamic([1, 3, 2]))", "[3,2,1]"),
        (
            "array_rotate_left(dynamic([1, 2, 3, 4, 5]), 2)",
            "[3,4,5,1,2]",
        ),
        (
            "array_rotate_right(dynamic([1, 2, 3, 4, 5]), 2)",
            "[4,5,1,2,3]",
        ),
        ("array_rotate_left(dynamic([]), 2)", "[]"),
        (
            "array_shift_left(dynamic([1, 2, 3, 4, 5]), 2)",
            "[3,4,5,null,null]",
        ),
        ("array_shift_right(dynamic([1, 2, 3]), 1, -1)", "[-1,1,2]"),
        (
            "array_split(dynamic([1, 2, 3, 4, 5]), 2)",
            "[[1,2],[3,4,5]]",
        ),
        (
            "array_split(dynamic([1, 2, 3, 4, 5]), dynamic([1, 3]))",
            "[[1],[2,3],[4,5]]",
        ),
        (
            "array_split(dynamic([1, 2, 3, 4, 5]), -2)",
            "[[1,2,3],[4,5]]",
        ),
        (
            "array_iff(dynamic([true, false, true]), dynamic([1, 2, 3]), dynamic([4, 5, 6]))",
            "[1,5,3]",
        ),
        (
            "zip(dynamic([1, 3, 5]), dynamic([2, 4]))",
            "[[1,2],[3,4],[5,null]]",
        ),
        ("range(1, 8, 3)", "[1,4,7]"),
        ("range(5, 1, -2)", "[5,3,1]"),
        ("range(1, 3)", "[1,2,3]"),
        ("set_equals(dynamic([1, 2]), dynamic([2, 1]))", "true"),
        (
            "jaccard_index(dynamic([1, 2, 3]), dynamic([2, 3, 4]))",
            "0.5",
        ),
        ("array_slice(dynamic([1, 2, 3, 4, 5]), -3, -2)", "[3,4]"),
        (
            r#"array_index_of(dynamic(["this", "is", "an", "example"]), "an")"#,
            "2",
        ),
        ("set_union(dynamic([1, 2]), dynamic([2, 3]))", "[1,2,3]"),
        (
            "set_intersect(dynamic([1, 2, 3]), dynamic([2, 3]))",
            "[2,3]",
        ),
        ("set_difference(dynamic([1, 2, 3]), dynamic([2]))", "[1,3]"),
    ]);
}

#[test]
fn bags_and_what_is_read_into_them() {
    values(&[
        (
            "bag_remove_keys(dynamic({'a': 1, 'b': 2}), dynamic(['a']))",
            r#"{"b":2}"#,
        ),
        ("bag_set_key(dynamic({'a': 1}), 'b', 2)", r#"{"a":1,"b":2}"#),
        (
            "bag_zip(dynamic(['a', 'b']), dynamic([1]))",
            r#"{"a":1,"b":null}"#,
        ),
        (
            r#"treepath(dynamic({"a": {"b": 123}}))"#,
            r#"["['a']","['a']['b']"]"#,
        ),
        (
            "bag_merge(dynamic({'A': 12, 'B': 2}), dynamic({'A': 81, 'C': 3}))",
            r#"{"A":12,"B":2,"C":3}"#,
        ),
        (
            r#"parse_url("scheme://username:password@host:1234/this/is/a/path?k1=v1&k2=v2#fragment")"#,
            r#"{"Scheme":"scheme","Host":"host","Port":"1234","Path":"/this/is/a/path","Username":"username","Password":"password","Query Parameters":{"k1":"v1","k2":"v2"},"Fragment":"fragment"}"#,
        ),
        (r#"parse_url("no url")"#, "null"),
        (
            r#"parse_urlquery("k1=v1&k2=a%20b")"#,
            r#"{"Query Parameters":{"k1":"v1","k2":"a b"}}"#,
        ),
        (r#"parse_path(@"C:\temp\file.txt").Filename"#, "file.txt"),
        (r#"parse_path("/var/log/syslog").DirectoryName"#, "log"),
    ]);
    check(&[
        (
            "datatable(a: string, b: long)['x', 1] | project pack_all(), bag_pack_columns(a)",
            &[r#"{"a":"x","b":1}|{"a":"x"}"#],
        ),
        (
            "datatable(a: string, b: long)['', 1] | project pack_all(true)",
            &[r#"{"b":1}"#],
        ),
    ]);
}

#[test]
fn hashes_and_base64() {
    values(&[
        (r#"hash("World")"#, "1846988464401551951"),
        (r#"hash("World", 100)"#, "51"),
        ("hash(datetime(2015-01-01))", "1380966698541616202"),
        (r#"hash_xxhash64("World")"#, "1846988464401551951"),
        (r#"hash_md5("World")"#, "f5a7924e621e84c9280a9a27e1bcb7f6"),
        (
            r#"hash_sha1("World")"#,
            "70c07ec18ef89c5309bbb0937f3a6342411e1fdd",
        ),
        (
            r#"hash_sha256("World")"#,
            "78ae647dc5544d227130a0682a51e30bc7777fbb6d8a8f17007463a3ecd1d524",
        ),
        (r#"base64_encode_tostring("Kusto")"#, "S3VzdG8="),
        (r#"base64_decode_tostring("S3VzdG8=")"#, "Kusto"),
        (
            r#"base64_decode_toarray("S3VzdG8=")"#,
            "[75,117,115,116,111]",
        ),
        (r#"base64_decode_tostring("!")"#, ""),
        (
            "base64_encode_fromarray(dynamic([75, 117, 115, 116, 111]))",
            "S3VzdG8=",
        ),
    ]);
}

#[test]
fn addresses() {
    values(&[
        ("format_ipv4('192.168.1.255', 24)", "192.168.1.0"),
        ("format_ipv4(3232236031, 24)", "192.168.1.0"),
        ("format_ipv4_mask('192.168.1.255', 24)", "192.168.1.0/24"),
        ("format_ipv4('x')", ""),
        ("parse_ipv4_mask('127.0.0.1', 24)", "2130706432"),
        (
            "ipv4_is_in_any_range('192.168.1.6', '192.168.1.0/24', '10.0.0.1/8')",
            "true",
        ),
        (
            "ipv4_is_in_any_range('127.0.0.1', dynamic(['127.0.0.1', '192.168.1.1']))",
            "true",
        ),
        ("ipv4_is_in_any_range('127.0.0.1', 'x')", "null"),
        (
            "parse_ipv6('127.0.0.1')",
            "0000:0000:0000:0000:0000:ffff:7f00:0001",
        ),
        (
            "parse_ipv6('fe80::85d:e82c:9446:7994')",
            "fe80:0000:0000:0000:085d:e82c:9446:7994",
        ),
        ("ipv6_compare('::ffff:7f00:1', '127.0.0.1')", "0"),
        (
            "ipv6_is_match('fe80::85d:e82c:9446:7994', 'fe80::85d:e82c:9446:7995', 127)",
            "true",
        ),
        ("ipv6_is_in_range('fe80::1', 'fe80::/10')", "true"),
        (
            "has_any_ipv4('05:04:54 127.0.0.1 GET', '127.0.0.1', '127.0.0.2')",
            "true",
        ),
        (
            "has_any_ipv4_prefix('05:04 127.0.0.1 GET', dynamic(['127.0.']))",
            "true",
        ),
        ("has_ipv4('05:04:54 127.0.0.10 GET', '127.0.0.1')", "false"),
    ]);
}

#[test]
fn places() {
    values(&[
        (
            "round(geo_distance_2points(-122.407628, 47.578557, -118.275287, 34.019056), 3)",
            "1546754.352",
        ),
        (
            "round(geo_distance_2points(-122.407628, 47.578557, -118.275287, 34.019056, true))",
            "1545044.0",
        ),
        ("geo_distance_2points(300, 1, 1, 1)", "null"),
        (
            "geo_point_in_circle(-122.143564, 47.535677, -122.100896, 47.527351, 3500)",
            "true",
        ),
        (
            r#"geo_point_in_polygon(0.5, 0.5, dynamic({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]}))"#,
            "true",
        ),
        ("geo_point_to_geohash(-80.195829, 25.802215, 8)", "dhwfz15h"),
        (
            "geo_geohash_to_central_point('sunny')",
            r#"{"type":"Point","coordinates":[42.47314453125,23.70849609375]}"#,
        ),
    ]);
}

#[test]
fn series() {
    values(&[
        (
            "series_add(dynamic([1, 2, 4]), dynamic([4, 2, 1]))",
            "[5.0,4.0,5.0]",
        ),
        ("series_subtract(dynamic([1, 2]), 1)", "[0.0,1.0]"),
        (
            "series_divide(dynamic([1, 2]), dynamic([0, 4]))",
            "[null,0.5]",
        ),
        (
            "series_greater(dynamic([1, 2, 4]), dynamic([4, 2, 1]))",
            "[false,false,true]",
        ),
        (
            "series_fill_linear(dynamic([null, 1, null, 3, null]))",
            "[1.0,1.0,2.0,3.0,3.0]",
        ),
        (
            "series_fill_forward(dynamic([null, 1, null]))",
            "[null,1.0,1.0]",
        ),
        (
            "series_fill_backward(dynamic([null, 1, null]))",
            "[1.0,1.0,null]",
        ),
        (
            "series_fill_const(dynamic([111, null, 36]), 0)",
            "[111.0,0.0,36.0]",
        ),
        (
            "series_fir(dynamic([0, 1, 2, 3, 4, 5]), dynamic([1, 1, 1]), false)",
            "[0.0,1.0,3.0,6.0,9.0,12.0]",
        ),
        (
            "series_iir(dynamic([1, 1, 1]), dynamic([1]), dynamic([1, -1]))",
            "[1.0,2.0,3.0]",
        ),
        (
            "series_pearson_correlation(dynamic([1, 3, 5]), dynamic([2, 4, 6]))",
            "1.0",
        ),
        (
            "series_dot_product(dynamic([1, 2]), dynamic([3, 4]))",
            "11.0",
        ),
        ("series_magnitude(dynamic([3, 4]))", "5.0"),
        (
            "series_stats_dynamic(dynamic([1, 2, 3]))",
            r#"{"min":1.0,"min_idx":0,"max":3.0,"max_idx":2,"avg":2.0,"stdev":1.0,"variance":1.0}"#,
        ),
    ]);
    check(&[
        (
            "print s = series_stats(dynamic([23, 46, 23, 87, 4, 8, 3, 75, 2, 56, 13, 75, 32, 16, 29])) | project s, series_stats__min_idx, series_stats__max, series_stats__max_idx, series_stats__avg, round(series_stats__stdev, 6)",
            &["2.0|8|87.0|3|32.8|28.503634"],
        ),
        (
            "print y = dynamic([2, 5, 6, 8, 11, 15, 17, 18, 25, 26, 30, 30]) | extend (r, s, v, rv, i, fit) = series_fit_line(y) | project round(r, 3), round(s, 3), round(v, 3), round(rv, 3), round(i, 3), round(toreal(fit[0]), 3)",
            &["0.983|2.731|98.629|1.686|-1.667|1.064"],
        ),
        (
            "print y = dynamic([1.0, 2.2, 2.5, 4.7, 5.0, 12, 10.3, 10.3, 9, 8.3, 6.2]) | extend (r, split) = series_fit_2lines(y) | project round(r, 4), split",
            &["0.9865|5"],
        ),
    ]);
}

#[test]
fn texts() {
    values(&[
        (r#"translate("krasp", "otsku", "spark")"#, "kusto"),
        (r#"translate("abc", "x", "abc")"#, "xxx"),
        (r#"indexof_regex("abc1ab2", @"\d")"#, "3"),
        (r#"indexof_regex("abc1ab2", @"\d", 0, -1, 2)"#, "6"),
        (r#"indexof_regex("é1é2", @"\d", 2)"#, "3"),
        (
            r#"replace_strings("A magic trick can turn a cat into a dog", dynamic(["cat", "dog", "magic"]), dynamic(["dog", "pigeon", "real"]))"#,
            "A real trick can turn a pigeon into a pigeon",
        ),
        (r#"replace("b+", "-", "abbc")"#, "a-c"),
        (
            r#"replace_regex("Number is 1", @"is (\d+)", @"was: \1")"#,
            "Number was: 1",
        ),
        (
            r#"has_any_index("this is an example", dynamic(["no", "example"]))"#,
            "1",
        ),
        (r#"unicode_codepoints_from_string("abc")"#, "[97,98,99]"),
        ("unicode_codepoints_to_string(97, dynamic([98, 99]))", "abc"),
        (r#"isascii("é")"#, "false"),
        (
            r#"parse_version("1.2.3.40") > parse_version("1.2.3.9")"#,
            "true",
        ),
        (
            r#"extract_all(@"(\w)(\d)", dynamic([2]), "a1b2")"#,
            r#"["1","2"]"#,
        ),
        (r#"split("aaa_bbb_ccc", "_", 1)"#, r#"["bbb"]"#),
        (r#"indexof("abcdefg", "cde", 1, 4)"#, "2"),
        (r#"indexof("abcabc", "c", -3)"#, "5"),
        (r#"indexof("abc", "c", 9223372036854775807)"#, "-1"),
        (r#"indexof("abc", "c", 9223372036854775807, 5)"#, "-1"),
        (
            r#"countof("The cat sat on the mat", @"\b.at\b", "regex")"#,
            "3",
        ),
        (r#"trim_start(@"[^\w]+", "-  Te st1")"#, "Te st1"),
        ("trim('--', '--https://bing.com--')", "https://bing.com"),
        // One match at each end, however many there are.
        ("trim('a', 'aaaa')", "aa"),
        ("trim_start('a', 'aab')", "ab"),
        ("trim_end('a', 'baa')", "ba"),
        ("trim('a$', 'aa')", "a"),
        ("trim_start('a|x', 'bxa')", "bxa"),
        ("tostring(true)", "True"),
        ("strcat('is ', 1 > 2)", "is False"),
        ("tostring(dynamic(true))", "true"),
        ("tohex(-256)", "ffffffffffffff00"),
        (r#"format_bytes(20010332, 2)"#, "19.08 MB"),
        (r#"format_bytes(20010332, 0, "KB")"#, "19541 KB"),
    ]);
}

#[test]
fn moments() {
    values(&[
        (
            "datetime_diff('year', datetime(2017-01-01), datetime(2000-12-31))",
            "17",
        ),
        (
            "datetime_diff('quarter', datetime(2017-07-01), datetime(2017-03-30))",
            "2",
        ),
        (
            "datetime_diff('week', datetime(2017-10-29 00:00), datetime(2017-09-30 23:59))",
            "5",
        ),
        (
            "datetime_diff('hour', datetime(2017-10-31 01:00), datetime(2017-10-30 23:59))",
            "2",
        ),
        (
            "datetime_diff('nanosecond', datetime(2017-10-30 23:00:10.0000005), datetime(2017-10-30 23:00:10))",
            "500",
        ),
        ("bin_at(6.5, 2.5, 7)", "4.5"),
        (
            "bin_at(datetime(2017-05-15 10:20), 1d, datetime(1970-01-01 12:00))",
            "2017-05-14T12:00:00.0000000Z",
        ),
        ("bin(-3.5, 1)", "-4.0"),
        ("make_timespan(1, 12, 30, 55.123)", "1.12:30:55.1230000"),
        (
            "make_datetime('2026-01-02')",
            "2026-01-02T00:00:00.0000000Z",
        ),
        (
            "unixtime_nanoseconds_todatetime(1546300800000000250)",
            "2019-01-01T00:00:00.0000002Z",
        ),
        (
            "format_datetime(datetime(2015-12-14 02:03:04.12345), 'y-M-d h:m:s.fffffff')",
            "15-12-14 2:3:4.1234500",
        ),
        (
            "format_timespan(time(29.09:00:05.12345), 'ddd.h:mm:ss [fffffff]')",
            "029.9:00:05 [1234500]",
        ),
        ("week_of_year(datetime(2020-12-31))", "53"),
        (
            "startofweek(datetime(2017-01-01 10:10:17), -1)",
            "2016-12-25T00:00:00.0000000Z",
        ),
    ]);
}

#[test]
fn numbers() {
    values(&[
        ("round(asin(0.5), 6)", "0.523599"),
        ("round(atan2(1, 1) * 4, 6)", "3.141593"),
        ("round(cot(1), 6)", "0.642093"),
        ("degrees(pi())", "180.0"),
        ("gamma(5)", "24.0"),
        ("round(erf(0.2), 6)", "0.222703"),
        ("bitset_count_ones(42)", "3"),
        ("round(2.15, 1)", "2.2"),
        ("true > 0", "true"),
    ]);
    check(&[(
        "range x from 1 to 100 step 1 | extend r = rand(10) | summarize count(), dcount(r) > 5, min(r) >= 0, max(r) < 10",
        &["100|true|true|true"],
    )]);
}

#[test]
fn rows_have_places() {
    check(&[(
        "datatable(t: datetime)[datetime(2026-01-01), datetime(2026-01-01 00:04), datetime(2026-01-01 00:04), datetime(2026-01-01 00:20)] | serialize | project bin(row_window_session(t, 1h, 5m), 1m) == t, row_rank_dense(t), row_rank_min(t), row_number()",
        &["true|1|1|1", "false|2|2|2", "false|2|2|3", "true|3|4|4"],
    )]);
}

#[test]
fn aggregates() {
    let rows = "datatable(A: string, S: long)['a', 1, 'a', 2, 'b', 3] | summarize ";
    for (aggregate, expected) in [
        ("percentilew(S, 1, 50)", "2"),
        ("percentilesw(S, S, 50)", "2"),
        ("percentilesw(S, tolong(pow(10, S)), 50)", "3"),
        ("percentiles_array(S, 25, 50, 75)", "[1,2,3]"),
        ("percentiles_array(S, dynamic([50, 100]))", "[2,3]"),
        (
            "make_list_with_nulls(iff(S == 2, long(null), S))",
            "[1,null,3]",
        ),
        ("covariance(S, S)", "1.0"),
        ("covariancepif(S, S, S < 3)", "0.25"),
        ("variancepif(S, S < 3)", "0.25"),
        ("binary_all_or(S)", "3"),
        ("binary_all_and(S)", "0"),
        ("binary_all_xor(S)", "0"),
        ("make_bag_if(bag_pack(A, S), S > 1)", r#"{"a":2,"b":3}"#),
        ("count(S > 1)", "2"),
        ("cnt()", "3"),
    ] {
        let result = answer(&Tables::new(), &format!("{rows}x = {aggregate}"));
        assert_eq!(super::rows(&result), [expected], "{aggregate}");
    }
}
