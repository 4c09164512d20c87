//! Results that are cut, queries that are stopped, and any expression whatever.

use super::*;

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

/// Ends as `run` does, and within a number of looks at the time that a server's limit stands for.
fn hostile(text: &str) -> String {
    let looks = AtomicUsize::new(0);
    let bounded = QueryOptions {
        cancelled: &|| looks.fetch_add(1, Ordering::Relaxed) > 200,
        ..options()
    };
    match run(&Tables::new(), text, &bounded) {
        Ok(result) => format!("{} rows", result.row_count),
        Err(error) => error.to_string(),
    }
}

#[test]
fn hostile_queries_end_in_a_limit() {
    let cancelled = "the query was cancelled";
    let range = "range x from 1 to 1000000000000 step 1";
    for (query, expected) in [
        (
            format!("{range} | summarize percentile(x % 7, 50)"),
            cancelled,
        ),
        (
            format!(
                "{range} | extend k = 1 | join kind=inner ({range} | take 5000 | extend k = 1) on k | count"
            ),
            cancelled,
        ),
        (
            format!("{range} | mv-expand y = range(1, 1000, 1) | count"),
            cancelled,
        ),
        (
            "range x from 1 to 100 step 1 | make-series count() on x from 1 to 1000000000000 step 1".into(),
            "a series may have 1048576 bins",
        ),
    ] {
        assert_eq!(hostile(&query), expected, "{query}");
    }
}

#[test]
fn a_pattern_takes_time_in_proportion_to_its_text() {
    let evil = format!(
        "print x = '{}!' matches regex '^(a+)+$'",
        "a".repeat(20_000)
    );
    check(&[(&evil, &["false"])]);
}

#[test]
fn ten_megabytes_of_text_are_read_or_refused_at_once() {
    let literal = format!("print x = strlen('{}')", "a".repeat(10 << 20));
    let nested = "(".repeat(10 << 20);
    let pipes = format!("print x = 1{}", " | where x == 1".repeat(700_000));
    for query in [literal, nested, pipes] {
        let answer = run(&Tables::new(), &query, &options());
        if let Ok(result) = answer {
            assert_eq!(rows(&result), ["10485760"]);
        }
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
        let tables = packs::sample();
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
