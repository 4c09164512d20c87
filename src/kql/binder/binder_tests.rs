use crate::kql::{Analysis, Schema, analyze};

/// The verdict in one line: result columns, `code message`, or the reason.
fn verdict(text: &str) -> String {
    match analyze(&Schema::vm_insights(), text) {
        Analysis::Right { columns } => columns
            .iter()
            .map(|column| format!("{}:{}", column.name, column.kind))
            .collect::<Vec<_>>()
            .join(", "),
        Analysis::Wrong { diagnostics } => {
            format!("{} {}", diagnostics[0].code, diagnostics[0].message)
        }
        Analysis::NotKnown { reason } => format!("? {reason}"),
    }
}

fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(&verdict(text), expected, "{text}");
    }
}

#[test]
fn wrong_queries_get_the_services_words() {
    check(&[
        (
            "VMConnection | project val",
            "SEM0100 'project' operator: Failed to resolve scalar expression named 'val'",
        ),
        (
            "InsightsMetrics | summarize avg(val) by Computer",
            "SEM0100 'summarize' operator: Failed to resolve scalar expression named 'val'",
        ),
        (
            "InsightsMetrics | summarize avg(Val) by Computer | where Name == 'x'",
            "SEM0100 'where' operator: Failed to resolve scalar expression named 'Name'",
        ),
        (
            "InsightsMetrics | top 10 by Value2",
            "SEM0100 'top' operator: Failed to resolve scalar expression named 'Value2'",
        ),
        (
            "Heartbeat | project-rename Host = Nope",
            "SEM0100 'project-rename' operator: Failed to resolve column expression named 'Nope'",
        ),
        (
            "Heartbeat | project-away Nope",
            "SEM0100 'project-away' operator: Failed to resolve column expression named 'Nope'",
        ),
        (
            "let a = 1; let a = 2; Heartbeat | take a",
            "SEM0120 'let' statement: a variable named 'a' is declared already",
        ),
        (
            "InsightsMetrics | extend x = toString(Val)",
            "SEM0260 Unknown function: 'toString'",
        ),
        (
            "InsightsMetrics | summarize avg(Val) by bin(TimeGenerated)",
            "SEM0219 bin(): function expects 2 argument(s), got 1",
        ),
        (
            "Heartbeat | where TimeGenerated > ago(1h, 2h)",
            "SEM0219 ago(): function expects 1 argument(s), got 2",
        ),
        (
            "Heartbeat | extend d = datetime_diff('minute', TimeGenerated)",
            "SEM0219 datetime_diff(): function expects 3 argument(s), got 2",
        ),
        (
            "Heartbeat | extend d = startofday(Computer)",
            "SEM0220 startofday(): argument #1 was expected to be datetime, got string",
        ),
        (
            "InsightsMetrics | where TimeGenerated > '2026-11-24'",
            "SEM0062 The operator '>' is not defined for types datetime and string",
        ),
        (
            "InsightsMetrics | extend GB = Tags / 1024",
            "SEM0064 The operator '/' is not defined for types string and long",
        ),
        (
            "InsightsMetrics | extend x = Tags.a",
            "SEM0063 'extend' operator: only a dynamic value has elements, this one is string (Hint: todynamic())",
        ),
        (
            "InsightsMetrics | where Val",
            "SEM0007 'where' operator: the expression must be bool, this one is real",
        ),
        (
            "InsightsMetrics | extend a = avg(Val)",
            "SEM0098 'extend' operator: the aggregate function 'avg' is not allowed here",
        ),
        (
            "InsightsMetrics | summarize max(avg(Val))",
            "SEM0098 'summarize' operator: the aggregate function 'avg' is not allowed here",
        ),
        (
            "InsightsMetrics | summarize Computer",
            "SEM0097 'summarize' operator: 'Computer' is not within an aggregate and not among the 'by' expressions",
        ),
        (
            "InsightsMetrics | summarize count() by todynamic(Tags)",
            "SEM0018 'summarize' operator: rows cannot be grouped by a dynamic value (Hint: tostring())",
        ),
        (
            "Heartbeat | take 'ten'",
            "SEM0008 'take' operator: the number of rows must be an integer, this is string",
        ),
        (
            "Heartbeat | mv-expand Computer",
            "SEM0014 'mv-expand' operator: expanded expression expected to have dynamic type, this one is string",
        ),
        (
            "VMConnection | join (Heartbeat) on $left.Severity == $right.Computer",
            "SEM0016 'join' operator: cannot join on int and string",
        ),
        (
            "datatable(a:long, b:string)[1, 'x', 2]",
            "SEM0010 'datatable' operator: 3 values do not fill rows of 2 columns",
        ),
        (
            "1 + 1",
            "SEM0003 Top-level expressions must return tabular results. (Hint: use 'print' to return the value of a scalar expression)",
        ),
        (
            "let t = ago(1h);",
            "SEM0003 The query has no tabular expression statement",
        ),
        (
            "print case(true, 1, 2, 3)",
            "SEM0219 case(): function expects at least 3 argument(s), got 4",
        ),
        (
            "print coalesce('a', 1)",
            "SEM0221 coalesce(): the arguments have no common type: string and long",
        ),
        (
            "print array_length('a')",
            "SEM0220 array_length(): argument #1 was expected to be dynamic, got string",
        ),
    ]);
}

#[test]
fn what_this_engine_does_not_know_is_not_wrong() {
    check(&[
        (
            "AppRequests | where Whatever > 1",
            "? the table AppRequests is not known to this engine",
        ),
        (
            "union Heartbeat, HeartBeats",
            "? the table HeartBeats is not known to this engine",
        ),
        (
            "Heartbeat | reduce by Computer",
            "? the operator 'reduce' is not known to this engine",
        ),
        (
            "Heartbeat | evaluate autocluster()",
            "? the plugin autocluster() is not known to this engine",
        ),
        (
            "Heartbeat | evaluate pivot(Computer, count(), OSType) | where Nope > 1",
            "? a column that only the rows tell is not known to this engine",
        ),
        (
            "print geo_angle(1, 2, 3)",
            "? the function geo_angle() is not known to this engine",
        ),
        (
            "Heartbeat | summarize hll(Computer)",
            "? the aggregate hll() is not known to this engine",
        ),
        (
            "workspace('a').Heartbeat | count",
            "? the function workspace() is not known to this engine",
        ),
        (
            "WorkspaceFunction() | take 1",
            "? the function WorkspaceFunction() is not known to this engine",
        ),
    ]);
}

#[test]
fn a_fault_says_where() {
    let text = "VMConnection\n| project TimeGenerated, val";
    let Analysis::Wrong { diagnostics } = analyze(&Schema::vm_insights(), text) else {
        panic!();
    };
    let found = &diagnostics[0];
    assert_eq!(
        (found.line, found.pos, found.token.as_str()),
        (2, 25, "val")
    );
    assert_eq!(&text[found.span.clone()], "val");
}

/// Names and types as Microsoft's own analyser has them.
#[test]
fn columns_have_kustos_names_and_types() {
    check(&[
        (
            "print int(1) + int(1), 1 / 2, 1 / 2.0, 1d * 1.5, 1d / 1h, now() - now(), 1d + now(), -int(1)",
            "print_0:long, print_1:long, print_2:real, print_3:timespan, print_4:real, print_5:timespan, print_6:datetime, print_7:int",
        ),
        (
            "print dynamic(1) + 1, dynamic(1) * 2.0, dynamic(1) / dynamic(2)",
            "print_0:long, print_1:real, print_2:dynamic",
        ),
        (
            "print iff(true, 1, 2.0), iff(true, int(1), 2), iff(true, 'a', dynamic(1)), bin(1, 1.5), bin(int(1), 1)",
            "print_0:real, print_1:long, print_2:string, print_3:real, print_4:long",
        ),
        (
            "VMConnection | summarize count(), count(), sum(Severity), avg(Severity), max(toreal(Confidence)), dcount(tolower(Computer)), 1 + count(), percentile(BytesSent, 99.9) by bin(TimeGenerated, 1h), tolower(Computer), startofday(TimeGenerated)",
            "TimeGenerated:datetime, Column1:string, TimeGenerated1:datetime, count_:long, count_1:long, sum_Severity:long, avg_Severity:real, max_Confidence:real, dcount_:long, Column2:long, percentile_BytesSent_99_9:long",
        ),
        (
            "VMConnection | summarize x = arg_max(TimeGenerated, Computer, Severity)",
            "x:datetime, Computer:string, Severity:int",
        ),
        (
            "VMConnection | summarize arg_max(TimeGenerated, Vm = Computer, Severity)",
            "TimeGenerated:datetime, Vm:string, Severity:int",
        ),
        (
            "VMConnection | summarize (a, b) = arg_max(TimeGenerated, Computer)",
            "a:datetime, b:string",
        ),
        (
            "VMConnection | project Computer, Severity, Direction | summarize arg_max(Severity, *) by Computer",
            "Computer:string, Severity:int, Direction:string",
        ),
        (
            "VMConnection | project Severity, Computer | summarize arg_max(Severity, Computer), arg_min(Severity, *)",
            "Severity:int, Computer:string, Severity1:int, Computer1:string",
        ),
        (
            "VMConnection | project tolower(Computer), 1, Computer, todynamic(Computer).a, todynamic(Computer)['b'], todynamic(Computer)[0], tostring(todynamic(Computer).a), toreal(Severity)",
            "Column1:string, Column2:long, Computer:string, Computer_a:dynamic, Computer_b:dynamic, Computer_0:dynamic, Computer_a1:string, Severity:real",
        ),
        (
            "VMConnection | project Computer, Direction, Computer1 = 1 | join kind=inner (VMConnection | project Computer, Severity) on Computer",
            "Computer:string, Direction:string, Computer1:long, Computer2:string, Severity:int",
        ),
        (
            "VMConnection | project Computer | join kind=rightsemi (VMConnection | project Computer, Severity) on Computer",
            "Computer:string, Severity:int",
        ),
        (
            "VMConnection | project Computer, Direction | lookup (VMConnection | project Computer, Severity, Direction) on Computer",
            "Computer:string, Direction:string, Severity:int, Direction1:string",
        ),
        (
            "union (VMConnection | project Computer, Severity), (VMConnection | project Computer, Severity = toreal(Severity), x = 1)",
            "Computer:string, Severity_int:int, Severity_real:real, x:long",
        ),
        (
            "union withsource=T kind=inner (VMConnection | project Computer, Severity), (VMConnection | project Computer, x = 1)",
            "T:string, Computer:string",
        ),
        (
            "VMConnection | project Computer, d = todynamic(Direction) | mv-expand d to typeof(long), x = d",
            "Computer:string, d:long, x:dynamic",
        ),
        (
            "VMConnection | project Computer | parse Computer with 'a' x:long 'b' y",
            "Computer:string, x:long, y:string",
        ),
        (
            "VMConnection | project Computer | extend Computer = 1, tolower(Computer)",
            "Computer:long, Column1:string",
        ),
        (
            "VMConnection | project B1 = 1, A = 1, B2 = 1, C = 1 | project-reorder C, B* desc | project-away A",
            "C:long, B2:long, B1:long",
        ),
        (
            "let f = (x:long, y:string = 'a') { x + strlen(y) }; print f(1), f(1, 'bb')",
            "print_0:long, print_1:long",
        ),
        ("Heartbeat | count", "Count:long"),
        (
            "Heartbeat | getschema",
            "ColumnName:string, ColumnOrdinal:long, DataType:string, ColumnType:string",
        ),
        (
            "Heartbeat | extend x = ingestion_time() | project x",
            "x:datetime",
        ),
        (
            "InsightsMetrics | project _BilledSize, column_ifexists('Nope', 5), columnifexists('Val', 0.0)",
            "_BilledSize:real, Column1:long, Val:real",
        ),
    ]);
}

#[test]
fn hidden_columns_come_only_when_named() {
    let all = verdict("InsightsMetrics | where _BilledSize > 0");
    assert!(all.contains("_ResourceId:string"), "{all}");
    assert!(!all.contains("_BilledSize"), "{all}");
    assert!(
        !verdict("InsightsMetrics | summarize arg_max(TimeGenerated, *)").contains("_BilledSize")
    );
}

#[test]
fn bodies_that_grow_without_bound_are_stopped() {
    let mut text = String::from("let f0 = () { Heartbeat };");
    for at in 1..40 {
        let before = at - 1;
        text += &format!("let f{at} = () {{ union (f{before}()), (f{before}()) }};");
    }
    text += "f39()";
    assert_eq!(
        verdict(&text),
        "? a query may have 10000 steps, its functions' bodies counted at each call"
    );
    let mut doubling = String::from("let d0 = 'xxxxxxxxxxxxxxxx';");
    for at in 1..60 {
        let before = at - 1;
        doubling += &format!("let d{at} = strcat(d{before}, d{before}, d{before}, d{before});");
    }
    assert_eq!(
        verdict(&(doubling + "print d59")),
        "? Query execution lacks memory resources to complete (80DA0007): Low memory condition (E_LOW_MEMORY_CONDITION): the query needs more than 268435456 bytes"
    );
}
