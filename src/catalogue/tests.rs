use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::config::{Located, Settings};

/// Settings with these packs and, if any, a folder of these files.
fn settings(packs: &[&str], folder: Option<&Path>) -> Settings {
    let text = "workspaces: [{id: 5f6d2b1c-0000-4000-8000-000000000001}]";
    let mut settings = Settings::from_yaml(Path::new("exporter.yaml"), text).unwrap();
    settings.packs = packs
        .iter()
        .map(|p| Located::new(p.to_string(), Some(4)))
        .collect();
    settings.queries_dir = folder.map(|folder| Located::new(folder.into(), Some(5)));
    settings
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn load(packs: &[&str], files: &[(&str, &str)]) -> Result<Catalogue, String> {
    let folder = folder(files);
    let settings = settings(packs, Some(folder.path()));
    Catalogue::load(&settings, Path::new("exporter.yaml")).map_err(|problems| {
        let prefix = format!("{}/", folder.path().display());
        problems.to_string().replace(&prefix, "")
    })
}

const YAML: &str = "interval: 30s
labels: {vm: Computer}
metrics:
  - {name: my_rows, type: gauge, help: Rows., value: Rows}
";
const KQL: &str = "Heartbeat | summarize Rows = count() by Computer";

#[test]
fn every_pack_loads_without_a_warning() {
    let names = packs::names();
    assert_eq!(
        names,
        ["connections", "feed", "threats", "threats_nta", "vm"]
    );
    let catalogue = Catalogue::load(&settings(&names, None), Path::new("exporter.yaml")).unwrap();
    assert_eq!(catalogue.warnings, []);
    let names: Vec<&str> = catalogue.queries.iter().map(|q| q.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "connection_bound_ports",
            "connection_ports",
            "connection_processes",
            "connection_traffic",
            "cpu",
            "disk_activity",
            "heartbeat",
            "logical_disks",
            "memory",
            "network",
            "nta_threat_connections",
            "nta_threat_last_seen",
            "table_collected",
            "table_delays",
            "table_freshness",
            "threat_connections",
            "threat_counters",
            "threat_indicators",
            "threat_intelligence",
            "vm_connections_feed",
            "vm_info"
        ]
    );
}

#[test]
fn every_series_of_the_vm_and_threats_packs_bears_vm_and_resource_id() {
    let catalogue = Catalogue::load(
        &settings(&["vm", "threats", "connections", "threats_nta"], None),
        Path::new("exporter.yaml"),
    )
    .unwrap();
    for query in &catalogue.queries {
        let labels: Vec<&str> = query
            .mapping
            .labels
            .iter()
            .map(|l| l.label.as_str())
            .collect();
        assert_eq!(labels[..2], ["vm", "resource_id"], "{}", query.name);
    }
}

#[test]
fn a_users_definition_has_the_documented_defaults() {
    let catalogue = load(
        &[],
        &[("mine.yaml", YAML), ("mine.kql", KQL), ("notes.txt", "x")],
    )
    .unwrap();
    let query = &catalogue.queries[0];
    assert_eq!(query.kql, KQL);
    assert_eq!(query.interval, Duration::from_secs(30));
    assert_eq!(query.timeout, Duration::from_secs(30));
    assert_eq!(query.stale_after, Duration::from_secs(300));
    assert_eq!(query.mapping.metrics[0].max_series, 200_000);
    let by_ip = YAML.replace("vm: Computer", "remote_ip: Computer");
    let catalogue = load(&[], &[("mine.yaml", &by_ip), ("mine.kql", KQL)]).unwrap();
    assert_eq!(catalogue.queries[0].mapping.metrics[0].max_series, 10_000);
}

#[test]
fn values_never_grow_stale_before_the_next_poll_can_have_ended() {
    let yaml = format!("stale_after: 1s\ntimeout: 20s\n{YAML}");
    let catalogue = load(&[], &[("mine.yaml", &yaml), ("mine.kql", KQL)]).unwrap();
    assert_eq!(catalogue.queries[0].stale_after, Duration::from_secs(50));
}

#[test]
fn a_window_is_a_let_on_a_line_of_its_own_that_positions_do_not_count() {
    let yaml = format!("window: 15m\n{YAML}");
    let kql =
        "Heartbeat | where TimeGenerated > ago(window)\n| summarize Rows = count() by Komputer";
    assert_eq!(
        load(&[], &[("mine.yaml", &yaml), ("mine.kql", kql)]).unwrap_err(),
        "mine.kql:2: column 31: SEM0100: 'summarize' operator: Failed to resolve scalar expression named 'Komputer'"
    );
    let kql = kql.replace("Komputer", "Computer");
    let catalogue = load(&[], &[("mine.yaml", &yaml), ("mine.kql", &kql)]).unwrap();
    assert_eq!(
        catalogue.queries[0].kql,
        format!("let window = 900000ms;\n{kql}")
    );
}

#[test]
fn filters_that_a_query_names_stand_on_that_line_too() {
    let folder = folder(&[
        ("mine.yaml", &format!("window: 15m\n{YAML}")),
        (
            "mine.kql",
            "VMConnection | where TimeGenerated > ago(window) and Severity >= min_severity\n| where not(is_allowed_address(RemoteIp))\n| summarize Rows = count() by Computer",
        ),
    ]);
    let mut settings = settings(&["vm", "threats"], Some(folder.path()));
    settings.filters.min_severity = 3;
    settings.filters.allowed_addresses = vec!["192.0.2.0/24".parse().unwrap()];
    let catalogue = Catalogue::load(&settings, Path::new("exporter.yaml")).unwrap();
    let first = |name: &str| -> &str {
        let query = catalogue.queries.iter().find(|q| q.name.as_str() == name);
        query.unwrap().kql.lines().next().unwrap()
    };
    let allowed = "let is_allowed_address = (address: string) { coalesce(ipv4_is_in_any_range(address, dynamic([\"192.0.2.0/24\"])), false) };";
    assert_eq!(
        first("mine"),
        format!("let window = 900000ms; let min_severity = 3; {allowed}")
    );
    let severity = "let min_severity = 3; let min_confidence_percent = 0;";
    assert_eq!(
        first("threat_connections"),
        format!("let window = 900000ms; {severity} {allowed}")
    );
    assert_eq!(
        first("threat_counters"),
        format!("{severity} {allowed} let lookback = 1800000ms; let until = now() + 1d;")
    );
    assert_eq!(first("heartbeat"), "let window = 86400000ms;");
}

#[test]
fn a_filter_alone_moves_the_positions_too_and_is_not_to_be_declared() {
    let kql = "let is_excluded_disk = 1; // let min_severity = 2;\nHeartbeat | where is_excluded_disk > 0\n| summarize Rows = count() by Komputer";
    assert_eq!(
        load(&[], &[("mine.yaml", YAML), ("mine.kql", kql)]).unwrap_err(),
        "mine.kql:1: let is_excluded_disk: the exporter sets is_excluded_disk to what the configuration's filters say, on a line in front of the query\n\
         mine.kql:1: column 5: SEM0120: 'let' statement: a variable named 'is_excluded_disk' is declared already"
    );
    let kql = "Heartbeat\n| where not(is_excluded_disk(Computer))\n| summarize Rows = count() by Komputer";
    assert_eq!(
        load(&[], &[("mine.yaml", YAML), ("mine.kql", kql)]).unwrap_err(),
        "mine.kql:3: column 31: SEM0100: 'summarize' operator: Failed to resolve scalar expression named 'Komputer'"
    );
}

#[test]
fn a_pack_query_is_replaced_or_switched_off_by_its_name() {
    let catalogue = load(
        &["vm"],
        &[
            ("cpu.yaml", YAML),
            ("cpu.kql", KQL),
            ("memory.yaml", "enabled: false"),
        ],
    )
    .unwrap();
    let names: Vec<&str> = catalogue.queries.iter().map(|q| q.name.as_str()).collect();
    assert!(!names.contains(&"memory"), "{names:?}");
    let cpu = catalogue
        .queries
        .iter()
        .find(|q| q.name.as_str() == "cpu")
        .unwrap();
    assert_eq!(cpu.kql, KQL);
}

#[test]
fn a_table_that_is_not_known_warns_and_runs() {
    let catalogue = load(
        &[],
        &[
            ("mine.yaml", YAML),
            (
                "mine.kql",
                "Custom_CL | summarize Rows = count() by Computer",
            ),
        ],
    )
    .unwrap();
    assert_eq!(catalogue.queries.len(), 1);
    let warning = catalogue.warnings[0].to_string();
    assert!(warning.contains("mine.kql: not checked: "), "{warning}");
    assert!(warning.contains("Custom_CL"), "{warning}");
}

#[test]
fn unchecked_overrules_the_verdict() {
    let yaml = format!("unchecked: true\n{YAML}");
    let catalogue = load(
        &[],
        &[
            ("mine.yaml", &yaml),
            ("mine.kql", "Heartbeat | where Nope == 1"),
        ],
    )
    .unwrap();
    assert_eq!((catalogue.queries.len(), catalogue.warnings.len()), (1, 0));
}

#[test]
fn files_without_their_partner_are_named() {
    assert_eq!(
        load(
            &[],
            &[
                ("a.yaml", YAML),
                ("b.kql", KQL),
                ("c.yml", YAML),
                ("d e.yaml", YAML)
            ]
        )
        .unwrap_err(),
        "a.yaml: has no a.kql beside it, which holds the query\n\
         b.kql: has no b.yaml beside it, which says what its answer means\n\
         c.yml: a definition's file ends in .yaml, not .yml\n\
         d e.yaml: query name \"d e\", the file's name without its ending, must match [A-Za-z0-9_-]+"
    );
}

#[test]
fn an_unknown_pack_and_a_missing_folder_are_reported_where_they_were_written() {
    let mut settings = settings(&["wm", "vm/../feed"], None);
    settings.queries_dir = Some(Located::new(PathBuf::from("/nowhere"), Some(5)));
    let problems = Catalogue::load(&settings, Path::new("exporter.yaml")).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "exporter.yaml:4: pack \"wm\" does not exist; the packs are connections, feed, threats, threats_nta, vm\n\
         exporter.yaml:4: pack \"vm/../feed\" does not exist; the packs are connections, feed, threats, threats_nta, vm\n\
         exporter.yaml:5: queries_dir /nowhere: No such file or directory (os error 2)"
    );
}
