use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::threats::is_threat_range;
use super::*;

const START: i64 = 29_500_000;

fn fleet(scenario: Scenario, vms: usize) -> Fleet {
    Fleet::new(
        7,
        scenario,
        vms,
        START,
        Arc::new(Schema::vm_insights()),
        "9b9d2bd6-6d20-4b0c-9b1d-4c8e2f5f6a01",
    )
}

/// A table's rows as name → value, with the moment of arrival.
struct Rows(Vec<(HashMap<String, Value>, DateTime)>);

impl Rows {
    fn of(batches: Vec<TableBatch>, table: &str) -> Self {
        let schema = Schema::vm_insights();
        let columns = &schema.table(table).unwrap().columns;
        let mut rows = Vec::new();
        for (_, batch) in batches.into_iter().filter(|(name, _)| *name == table) {
            for row in 0..batch.row_count() {
                let cells = columns
                    .iter()
                    .zip(batch.columns())
                    .map(|(column, data)| (column.name.to_string(), data.value(row).clone()))
                    .collect();
                let Value::DateTime(arrival) = batch.ingested().value(row) else {
                    panic!("an arrival is a moment");
                };
                rows.push((cells, *arrival));
            }
        }
        Self(rows)
    }

    fn minutes(scenario: Scenario, minutes: Range<i64>, table: &str) -> Self {
        let fleet = fleet(scenario, 12);
        Self::of(
            fleet
                .minutes(START + minutes.start..START + minutes.end)
                .unwrap(),
            table,
        )
    }

    fn iter(&self) -> impl Iterator<Item = &HashMap<String, Value>> {
        self.0.iter().map(|(row, _)| row)
    }
}

fn text<'a>(row: &'a HashMap<String, Value>, column: &str) -> &'a str {
    match &row[column] {
        Value::String(text) => text,
        other => panic!("{column} is {other:?}"),
    }
}

fn real(row: &HashMap<String, Value>, column: &str) -> f64 {
    match &row[column] {
        Value::Real(value) => *value,
        other => panic!("{column} is {other:?}"),
    }
}

fn dump(batches: &[TableBatch]) -> Vec<String> {
    let mut lines = Vec::new();
    for (table, batch) in batches {
        for row in 0..batch.row_count() {
            let cells: Vec<_> = batch.columns().iter().map(|data| data.value(row)).collect();
            lines.push(format!(
                "{table} {:?} {cells:?}",
                batch.ingested().value(row)
            ));
        }
    }
    lines.sort();
    lines
}

#[test]
fn a_minute_is_the_same_whenever_it_is_made() {
    let history = fleet(Scenario::Mixed, 12);
    let whole = dump(&history.minutes(START - 10..START).unwrap());
    let live = fleet(Scenario::Mixed, 12);
    let mut singly: Vec<_> = (START - 10..START)
        .rev()
        .flat_map(|minute| dump(&live.minutes(minute..minute + 1).unwrap()))
        .collect();
    singly.sort();
    assert_eq!(whole, singly);
    let other = Fleet::new(
        8,
        Scenario::Mixed,
        12,
        START,
        Arc::new(Schema::vm_insights()),
        "9b9d2bd6-6d20-4b0c-9b1d-4c8e2f5f6a01",
    );
    assert_ne!(whole, dump(&other.minutes(START - 10..START).unwrap()));
}

#[test]
fn rows_arrive_after_their_minute_and_mostly_within_three() {
    let fleet = fleet(Scenario::Calm, 12);
    let rows = Rows::of(fleet.minutes(START - 60..START).unwrap(), "Heartbeat");
    let mut lates = 0;
    for (row, arrival) in &rows.0 {
        let Value::DateTime(generated) = row["TimeGenerated"] else {
            panic!("TimeGenerated is a moment");
        };
        let end = (generated.0 / (60 * TICKS_PER_SECOND) + 1) * 60 * TICKS_PER_SECOND;
        let delay = (arrival.0 - end) / TICKS_PER_SECOND;
        assert!((60..=3 * 3600).contains(&delay), "{delay} s");
        lates += usize::from(delay > 180);
    }
    assert_eq!(rows.0.len(), 60 * 12);
    assert!((1..60).contains(&lates), "{lates}");
}

#[test]
fn every_vm_measures_every_counter_every_minute() {
    let rows = Rows::minutes(Scenario::Calm, 0..1, "InsightsMetrics");
    let mut counters: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| text(row, "Origin") == "vm.azm.ms") {
        *counters
            .entry((text(row, "Namespace"), text(row, "Name")))
            .or_default() += 1;
    }
    let disks = 7 * 2 + 5 * 2 + 5 + 1;
    let expected: Vec<_> = [
        ("Computer", "Heartbeat"),
        ("LogicalDisk", "BytesPerSecond"),
        ("LogicalDisk", "FreeSpaceMB"),
        ("LogicalDisk", "FreeSpacePercentage"),
        ("LogicalDisk", "ReadBytesPerSecond"),
        ("LogicalDisk", "ReadLatencyMs"),
        ("LogicalDisk", "ReadsPerSecond"),
        ("LogicalDisk", "Status"),
        ("LogicalDisk", "TransferLatencyMs"),
        ("LogicalDisk", "TransfersPerSecond"),
        ("LogicalDisk", "WriteBytesPerSecond"),
        ("LogicalDisk", "WriteLatencyMs"),
        ("LogicalDisk", "WritesPerSecond"),
        ("Memory", "AvailableMB"),
        ("Network", "ReadBytesPerSecond"),
        ("Network", "WriteBytesPerSecond"),
        ("Processor", "UtilizationPercentage"),
    ]
    .into_iter()
    .map(|name| (name, if name.0 == "LogicalDisk" { disks } else { 12 }))
    .collect();
    assert_eq!(counters.into_iter().collect::<Vec<_>>(), expected);
    let noise: BTreeSet<_> = rows
        .iter()
        .filter(|row| text(row, "Origin") != "vm.azm.ms")
        .map(|row| text(row, "Namespace"))
        .collect();
    assert_eq!(
        noise.into_iter().collect::<Vec<_>>(),
        ["container.azm.ms/disk", "container.azm.ms/diskio"]
    );
}

#[test]
fn free_percent_is_free_space_over_size() {
    let rows = Rows::minutes(Scenario::DiskFilling, -20..20, "InsightsMetrics");
    // (VM, minute, disk) → value.
    let mut percents = HashMap::new();
    let mut frees = HashMap::new();
    for row in rows.iter() {
        let name = text(row, "Name");
        if !name.starts_with("FreeSpace") {
            continue;
        }
        let tags: serde_json::Value = serde_json::from_str(text(row, "Tags")).unwrap();
        let mount = tags["vm.azm.ms/mountId"].as_str().unwrap().to_owned();
        let key = (
            text(row, "AgentId").to_owned(),
            format!("{:?}", row["TimeGenerated"]),
            mount,
        );
        if name == "FreeSpacePercentage" {
            assert!(!text(row, "Tags").contains(' '));
            percents.insert(key, real(row, "Val"));
        } else {
            let size = tags["vm.azm.ms/diskSizeMB"].as_i64().unwrap() as f64;
            frees.insert(key, (real(row, "Val"), size));
        }
    }
    assert_eq!(percents.len(), frees.len());
    for (key, percent) in &percents {
        let (free, size) = frees[key];
        assert_eq!(*percent, free * 100.0 / size, "{key:?}");
    }
    let mounts: BTreeSet<_> = percents.keys().map(|key| key.2.as_str()).collect();
    assert_eq!(
        mounts.into_iter().collect::<Vec<_>>(),
        ["/", "/mnt", "/snap/core20/1974", "/var", "C:", "D:"]
    );
    let lowest = percents
        .iter()
        .filter(|(key, _)| key.2 == "C:")
        .map(|(_, percent)| *percent)
        .fold(f64::MAX, f64::min);
    assert!((1.0..6.0).contains(&lowest), "{lowest}");
}

#[test]
fn threat_ranges_and_threat_columns_go_together() {
    for scenario in Scenario::ALL {
        let rows = Rows::minutes(scenario, -120..60, "VMConnection");
        let mut threats = 0;
        for row in rows.iter() {
            let remote = text(row, "RemoteIp");
            let end = match text(row, "Direction") {
                "inbound" => "SourceIp",
                "outbound" => "DestinationIp",
                other => panic!("direction {other}"),
            };
            assert_eq!(remote, text(row, end));
            let kind = text(row, "IndicatorThreatType");
            assert_eq!(is_threat_range(remote), !kind.is_empty(), "{remote} {kind}");
            if kind.is_empty() {
                assert_eq!(row["Severity"], Value::Null);
                assert_eq!(text(row, "MaliciousIp"), "");
                assert_eq!(text(row, "Confidence"), "");
                assert_eq!(text(row, "IsActive"), "");
            } else {
                threats += 1;
                assert!(matches!(row["Severity"], Value::Int(0..=5)));
                assert_eq!(text(row, "MaliciousIp"), remote);
                let confidence: i64 = text(row, "Confidence").parse().unwrap();
                assert!((0..=100).contains(&confidence));
                assert!(matches!(row["RemoteLatitude"], Value::Real(_)));
            }
            for delta in [
                "BytesSent",
                "BytesReceived",
                "LinksEstablished",
                "LinksFailed",
            ] {
                assert!(matches!(row[delta], Value::Long(0..)), "{delta}");
            }
            if text(row, "Direction") == "inbound" {
                assert_eq!(row["LinksFailed"], Value::Long(0));
            }
        }
        let attacked = matches!(scenario, Scenario::Attack | Scenario::Mixed);
        assert_eq!(threats > 0, attacked, "{scenario}: {threats} threat rows");
    }
}

#[test]
fn flow_records_tell_of_the_same_attacks_as_connections() {
    let minutes = 0..30;
    let addresses = |table, column: fn(&HashMap<String, Value>) -> Option<String>| {
        Rows::minutes(Scenario::Attack, minutes.clone(), table)
            .iter()
            .filter_map(column)
            .collect::<BTreeSet<_>>()
    };
    let connected = addresses("VMConnection", |row| {
        let in_azure = text(row, "_ResourceId").contains("/microsoft.compute/");
        let threat = !text(row, "IndicatorThreatType").is_empty();
        (in_azure && threat).then(|| text(row, "RemoteIp").to_owned())
    });
    let flowed = addresses("NTANetAnalytics", |row| {
        let public = format!(
            "{}{}",
            text(row, "SrcPublicIps"),
            text(row, "DestPublicIps")
        );
        public.split('|').next().map(str::to_owned)
    });
    let known = addresses("NTAIpDetails", |row| Some(text(row, "Ip").to_owned()));
    assert!(connected.len() > 20, "{connected:?}");
    assert_eq!(flowed, connected);
    assert_eq!(known, connected);
}

#[test]
fn a_connection_group_has_one_row_a_minute() {
    let rows = Rows::minutes(Scenario::Attack, -30..0, "VMConnection");
    let groups: BTreeSet<_> = rows
        .iter()
        .map(|row| format!("{:?} {}", row["TimeGenerated"], text(row, "ConnectionId")))
        .collect();
    assert_eq!(groups.len(), rows.0.len());
}

#[test]
fn the_silent_feed_stops_and_one_vm_with_it() {
    let before = Rows::minutes(Scenario::SilentFeed, -40..-21, "VMConnection");
    assert!(before.0.len() > 19 * 12);
    assert!(
        Rows::minutes(Scenario::SilentFeed, -20..30, "VMConnection")
            .0
            .is_empty()
    );
    let beats = Rows::minutes(Scenario::SilentFeed, -1..0, "Heartbeat");
    let computers: BTreeSet<_> = beats
        .iter()
        .map(|row| text(row, "SourceComputerId"))
        .collect();
    assert_eq!(computers.len(), 11);
    assert!(beats.iter().all(|row| text(row, "Computer") != "FILE-01"));
}

#[test]
fn inventory_comes_once_an_hour_with_arrays() {
    let fleet = fleet(Scenario::Calm, 12);
    let hour = fleet.inventory(START..START + 60).unwrap();
    let processes = Rows::of(fleet.inventory(START..START + 60).unwrap(), "VMProcess");
    let computers = Rows::of(hour, "VMComputer");
    assert_eq!(computers.0.len(), 12);
    assert!(processes.0.len() >= 24);
    let first = computers.iter().next().unwrap();
    let Value::Dynamic(addresses) = &first["Ipv4Addresses"] else {
        panic!("an array");
    };
    assert!(addresses[0].as_str().unwrap().starts_with("10.1.0."));
}

#[test]
fn every_row_bears_the_workspace_and_its_table() {
    let fleet = fleet(Scenario::Mixed, 12);
    let mut batches = fleet.minutes(START - 30..START).unwrap();
    batches.extend(fleet.inventory(START - 60..START).unwrap());
    let tables: BTreeSet<_> = batches.iter().map(|(table, _)| *table).collect();
    assert_eq!(
        tables.iter().copied().collect::<Vec<_>>(),
        [
            "Heartbeat",
            "InsightsMetrics",
            "NTAIpDetails",
            "NTANetAnalytics",
            "VMBoundPort",
            "VMComputer",
            "VMConnection",
            "VMProcess"
        ]
    );
    let rows: Vec<_> = tables
        .into_iter()
        .map(|table| {
            let copies = batches.iter().map(|(name, batch)| (*name, batch.clone()));
            (table, Rows::of(copies.collect(), table))
        })
        .collect();
    for (table, rows) in rows {
        for row in rows.iter() {
            assert_eq!(text(row, "Type"), table);
            assert_eq!(
                text(row, "TenantId"),
                "9b9d2bd6-6d20-4b0c-9b1d-4c8e2f5f6a01"
            );
            if row.contains_key("_ResourceId") {
                let id = text(row, "_ResourceId");
                assert_eq!(id, id.to_ascii_lowercase());
            }
        }
    }
}

#[test]
fn small_and_odd_fleets_work() {
    for scenario in Scenario::ALL {
        for vms in [0, 1, 2, 13] {
            let batches = fleet(scenario, vms)
                .minutes(START - 30..START + 30)
                .unwrap();
            assert_eq!(batches.is_empty(), vms == 0, "{scenario} {vms}");
        }
    }
}
