//! What the packs and published queries ask, over rows as the agents write them.

use super::*;

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

pub(super) fn sample() -> Tables {
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
