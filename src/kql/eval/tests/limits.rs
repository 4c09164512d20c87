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
}

const RUNAWAY: &str = "Query execution has exceeded the allowed limits (80DA0001): Runaway query (E_RUNAWAY_QUERY): its operators hand on more than 100000 rows";
const LOW_MEMORY: &str = "Query execution lacks memory resources to complete (80DA0007): Low memory condition (E_LOW_MEMORY_CONDITION): the query needs more than 1048576 bytes";

/// The error of a query that has a small budget.
fn hostile(text: &str) -> String {
    let bounded = QueryOptions {
        budget: Budget {
            rows: 100_000,
            bytes: 1 << 20,
            ..Budget::default()
        },
        ..options()
    };
    match run(&Tables::new(), text, &bounded) {
        Ok(result) => format!("{} rows", result.row_count),
        Err(error) => error.to_string(),
    }
}

#[test]
fn hostile_queries_end_in_a_limit() {
    let range = "range x from 1 to 1000000000000 step 1";
    let some = "range x from 1 to 1000 step 1 | extend k = 1";
    let crossed = format!("join kind=inner ({some}) on k");
    let text = "print x = 1 | extend s = tostring(x)".to_owned()
        + &" | extend s = strcat(s, s, s, s)".repeat(60);
    let array = "print x = 1 | extend s = pack_array(x)".to_owned()
        + &" | extend s = pack_array(pack_array(s))".repeat(150);
    for (query, expected) in [
        (format!("{range} | count"), RUNAWAY),
        (format!("{some} | {crossed} | count"), RUNAWAY),
        (
            format!("{some} | {crossed} | {crossed} | {crossed}"),
            LOW_MEMORY,
        ),
        (format!("{some} | mv-expand y = range(1, 1000, 1) | count"), RUNAWAY),
        (format!("{some} | mv-apply y = range(1, 1000, 1) on (count)"), LOW_MEMORY),
        (
            format!("{some} | where tostring(x) has_any ({some} | project tostring(x))"),
            RUNAWAY,
        ),
        (format!("{range} | sort by x"), LOW_MEMORY),
        (format!("{range} | summarize count() by x"), LOW_MEMORY),
        (format!("{range} | summarize percentile(x % 7, 50)"), LOW_MEMORY),
        (format!("{range} | summarize make_list(x)"), LOW_MEMORY),
        (
            format!("let s = strcat_array(repeat('a', 1024), ''); {some} | summarize make_list(s)"),
            LOW_MEMORY,
        ),
        (
            format!("{range} | extend s = strcat_array(repeat(x, 100), '') | summarize max(s)"),
            LOW_MEMORY,
        ),
        (
            format!("let m = materialize({range}); m | union m | count"),
            LOW_MEMORY,
        ),
        (format!("print toscalar({range} | summarize make_set(x))"), LOW_MEMORY),
        (
            "range x from 1 to 100 step 1 | extend y = x | make-series count() on x from 1 to 100000 step 1 by y"
                .into(),
            LOW_MEMORY,
        ),
        (
            "range x from 1 to 100 step 1 | make-series count() on x from 1 to 1000000000000 step 1"
                .into(),
            "a series may have 1048576 bins",
        ),
        (format!("{range} | evaluate narrow()"), LOW_MEMORY),
        (
            "let long = strcat_array(repeat('a', 4096), ''); range i from 1 to 5000 step 1 | extend b = pack_array(long, long) | mv-expand b | sort by i".into(),
            LOW_MEMORY,
        ),
        (
            "let long = strcat_array(repeat('a', 4096), ''); range i from 1 to 5000 step 1 | extend s = long | parse s with 'a' rest | sort by i".into(),
            LOW_MEMORY,
        ),
        (text, LOW_MEMORY),
        (array, LOW_MEMORY),
    ] {
        assert_eq!(hostile(&query), expected, "{query}");
    }
}

#[test]
fn what_has_passed_by_is_not_kept() {
    let bounded = QueryOptions {
        budget: Budget {
            bytes: 40 << 20,
            ..Budget::default()
        },
        ..options()
    };
    // 27 MB in each of five chunks.
    let query = |end| {
        format!(
            "range x from 1 to 40000 step 1
            | extend s = strcat_array(repeat(x % 10, 100), '')
            | {end}"
        )
    };
    let counted = run(
        &Tables::new(),
        &query("where s startswith '1' | count"),
        &bounded,
    );
    assert_eq!(rows(&counted.unwrap()), ["4000"]);
    let kept = run(&Tables::new(), &query("sort by s"), &bounded);
    assert_eq!(
        kept.unwrap_err().to_string(),
        LOW_MEMORY.replace("1048576", "41943040")
    );
}

#[test]
fn every_table_that_is_searched_is_charged() {
    let bounded = QueryOptions {
        budget: Budget {
            rows: 3,
            ..Budget::default()
        },
        ..options()
    };
    let tables = packs::sample();
    let searched = run(&tables, "search 'vm-1'", &bounded);
    assert_eq!(
        searched.unwrap_err(),
        crate::kql::QueryError::Limit(RUNAWAY.replace("100000", "3"))
    );
    assert!(run(&tables, "search 'vm-1'", &options()).is_ok());
}

#[test]
fn a_query_has_so_much_time() {
    let looks = AtomicU64::new(0);
    let bounded = QueryOptions {
        budget: Budget {
            time: Duration::from_secs(5),
            ..Budget::default()
        },
        elapsed: &|| Duration::from_secs(looks.fetch_add(1, Ordering::Relaxed)),
        ..options()
    };
    let late = run(
        &Tables::new(),
        "range x from 1 to 1000000 step 1 | count",
        &bounded,
    );
    assert_eq!(
        late.unwrap_err().to_string(),
        "Query execution has exceeded the allowed limits (80DA0001): Runaway query (E_RUNAWAY_QUERY): it takes longer than 5 seconds"
    );
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
