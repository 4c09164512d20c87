//! The release binary with real programs: Prometheus scrapes the demo and answers PromQL, promtool
//! and Python read the page. `make test` builds and installs what this needs; without it these tests
//! fail rather than skip.

mod support;

use std::time::{Duration, Instant};

use support::{Exporter, Prometheus, is_ready, page, parse_page, promtool_check, wait_until};

const VM_FAMILIES: [&str; 18] = [
    "vminsights_disk_free_percent",
    "vminsights_disk_free_bytes",
    "vminsights_disk_size_bytes",
    "vminsights_disk_up",
    "vminsights_disk_reads_per_second",
    "vminsights_disk_writes_per_second",
    "vminsights_disk_read_bytes_per_second",
    "vminsights_disk_write_bytes_per_second",
    "vminsights_disk_read_latency_seconds",
    "vminsights_disk_write_latency_seconds",
    "vminsights_disk_transfer_latency_seconds",
    "vminsights_cpu_utilization_percent",
    "vminsights_cpus",
    "vminsights_memory_available_bytes",
    "vminsights_memory_size_bytes",
    "vminsights_network_receive_bytes_per_second",
    "vminsights_network_transmit_bytes_per_second",
    "vminsights_vm_heartbeat_timestamp_seconds",
];
const THREAT_FAMILIES: [&str; 4] = [
    "vminsights_threat_connections",
    "vminsights_threat_severity",
    "vminsights_threat_confidence_percent",
    "vminsights_threat_last_seen_timestamp_seconds",
];

/// The demo, a Prometheus that scrapes it, and what PromQL, promtool and Python make of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_scrapes_the_demo() {
    let started = Instant::now();
    let demo = Exporter::demo(&["--vms=12"]);
    assert!(
        demo.announced_after < Duration::from_secs(2),
        "the demo said what to open only after {:?}",
        demo.announced_after
    );
    let first = page(&demo.url).await;
    assert!(first.contains("vminsights_exporter_poll_state"), "{first}");

    wait_until("the demo is ready", Duration::from_secs(30), async || {
        is_ready(&demo.url).await
    })
    .await;
    eprintln!("start to first full page: {:?}", started.elapsed());

    let text = page(&demo.url).await;
    promtool_check(&text);
    let families = parse_page(&demo.url);
    for family in VM_FAMILIES.iter().chain(&THREAT_FAMILIES).chain(&[
        "vminsights_vm_info",
        "vminsights_table_newest_row_timestamp_seconds",
        "vminsights_table_ingestion_delay_seconds",
    ]) {
        assert!(
            families.get(*family).is_some_and(|series| *series > 0),
            "{family} is not on the page"
        );
    }

    let prometheus = Prometheus::scraping(&demo.url, &[]);
    let target = "sum(up{job=\"vminsights\"})";
    wait_until(
        "Prometheus has scraped",
        Duration::from_secs(60),
        async || prometheus.value(target).await == Some(1.0),
    )
    .await;
    for (promql, expected) in [
        // Every VM of the fleet, whatever the operating system.
        (
            "count(count by (resource_id, vm) (vminsights_vm_info))",
            12.0,
        ),
        ("count(count by (os_type) (vminsights_vm_info))", 2.0),
        // Percent, bytes and size agree, for every disk.
        (
            "count(abs(vminsights_disk_free_percent - 100 * vminsights_disk_free_bytes / vminsights_disk_size_bytes) > 0.1) or vector(0)",
            0.0,
        ),
        (
            "count(vminsights_disk_free_percent < 0 or vminsights_disk_free_percent > 100) or vector(0)",
            0.0,
        ),
        (
            "count(vminsights_disk_free_percent{disk=~\"/snap.*\"}) or vector(0)",
            0.0,
        ),
        // Threats come from the documentation's ranges only, and each has its indicator.
        (
            "count(vminsights_threat_connections{remote_ip!~\"(192\\\\.0\\\\.2|198\\\\.51\\\\.100|203\\\\.0\\\\.113)\\\\..*\"}) or vector(0)",
            0.0,
        ),
        (
            "count(vminsights_threat_connections unless on (workspace, vm, resource_id, remote_ip, threat_type) vminsights_threat_severity) or vector(0)",
            0.0,
        ),
        (
            "count(vminsights_threat_connections{threat_type=\"\"}) or vector(0)",
            0.0,
        ),
        // The exporter knows how it stands.
        (
            "sum(vminsights_exporter_poll_state{state=~\"ok|empty\"}) == count(vminsights_exporter_poll_interval_seconds)",
            19.0,
        ),
        (
            "sum(vminsights_exporter_poll_failures_total) or vector(0)",
            0.0,
        ),
        ("sum(vminsights_exporter_poll_row_issues_total)", 0.0),
        (
            "count(vminsights_disk_free_percent{workspace!=\"demo\"}) or vector(0)",
            0.0,
        ),
    ] {
        assert_eq!(prometheus.value(promql).await, Some(expected), "{promql}");
    }
    for promql in [
        "vminsights_threat_connections{direction=\"inbound\"}",
        "vminsights_threat_connections{direction=\"outbound\"}",
        "vminsights_table_newest_row_timestamp_seconds{table=\"VMConnection\"} > time() - 3600",
        "vminsights_table_ingestion_delay_seconds{table=\"InsightsMetrics\"} > 0",
        "vminsights_vm_heartbeat_timestamp_seconds > time() - 600",
        "process_resident_memory_bytes > 0",
        "vminsights_exporter_build_info == 1",
    ] {
        assert!(
            prometheus
                .value(&format!("count({promql})"))
                .await
                .unwrap_or(0.0)
                > 0.0,
            "{promql}"
        );
    }

    // It asked for OpenMetrics; one that wants native histograms asks for protobuf, and reads the same.
    let native = Prometheus::scraping(&demo.url, &["--enable-feature=native-histograms"]);
    wait_until(
        "Prometheus has scraped protobuf",
        Duration::from_secs(60),
        async || native.value(target).await == Some(1.0),
    )
    .await;
    let sent = |format| {
        format!("vminsights_exporter_scrapes_total{{format=\"{format}\",coding=\"gzip\"}} > bool 0")
    };
    for format in ["openmetrics", "protobuf"] {
        assert_eq!(native.value(&sent(format)).await, Some(1.0), "{format}");
    }
    for promql in [
        "count({__name__=~\"vminsights_(disk|cpu|memory|network|vm|threat)_.*\",__name__!~\".*_created\"})",
        "count by () (vminsights_vm_info{os_type!=\"\"})",
        "sum(vminsights_disk_size_bytes)",
        "count(vminsights_vm_info{resource_id=~\"/subscriptions/.*\"})",
    ] {
        // A threat may come between the two scrapes.
        wait_until(promql, Duration::from_secs(10), async || {
            let read = native.value(promql).await;
            read.is_some() && read == prometheus.value(promql).await
        })
        .await;
    }
    drop(native);

    // The fleet lives: newer rows come with the next polls.
    let newest = "max(vminsights_table_newest_row_timestamp_seconds{table=\"InsightsMetrics\"})";
    let before = prometheus.value(newest).await.unwrap();
    wait_until(
        "newer rows have come",
        Duration::from_secs(150),
        async || prometheus.value(newest).await > Some(before),
    )
    .await;

    assert_eq!(demo.interrupt(), Some(0), "Ctrl-C ends it well");
}

/// `serve` from a configuration, against a workspace of which every row is known: two workspace
/// names, a user's own query beside the packs, one query replaced and one switched off.
#[tokio::test(flavor = "multi_thread")]
async fn serve_publishes_exactly_what_the_tables_hold() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let row = |time: &str, arrived: &str, ip: &str, kind: &str, direction: &str| {
        format!(
            "{{\"TimeGenerated\":\"{time}\",\"_IngestionTime\":\"{arrived}\",\"Computer\":\"WEB-1\",\"RemoteIp\":\"{ip}\",\"IndicatorThreatType\":\"{kind}\",\"Direction\":\"{direction}\",\"Severity\":3,\"Confidence\":\"80\",\"_ResourceId\":\"/subscriptions/s/vm/web-1\"}}\n"
        )
    };
    std::fs::write(
        data.join("VMConnection.ndjson"),
        [
            // In the window; late by 40 minutes and in the window; arrived before it; not arrived yet.
            row(
                "2026-01-01T11:58:00Z",
                "2026-01-01T11:59:30Z",
                "192.0.2.1",
                "Botnet",
                "outbound",
            ),
            row(
                "2026-01-01T11:59:00Z",
                "2026-01-01T11:59:40Z",
                "192.0.2.1",
                "Botnet",
                "outbound",
            ),
            row(
                "2026-01-01T11:10:00Z",
                "2026-01-01T11:50:00Z",
                "198.51.100.7",
                "C2",
                "inbound",
            ),
            row(
                "2026-01-01T11:40:00Z",
                "2026-01-01T11:41:00Z",
                "203.0.113.9",
                "Malware",
                "inbound",
            ),
            row(
                "2026-01-01T11:59:00Z",
                "2026-01-01T12:01:00Z",
                "203.0.113.10",
                "Malware",
                "inbound",
            ),
            row(
                "2026-01-01T11:59:00Z",
                "2026-01-01T11:59:40Z",
                "10.0.0.1",
                "",
                "inbound",
            ),
        ]
        .concat(),
    )
    .unwrap();
    let ca = folder.path().join("ca.pem");
    let workspace = Exporter::workspace(&[
        &format!("--data={}", data.display()),
        "--now=2026-01-01T12:00:00Z",
        &format!("--ca-file={}", ca.display()),
    ]);
    let access = &workspace.access;
    let text = |key: &str| access[key].as_str().unwrap().to_owned();

    let queries = folder.path().join("queries");
    std::fs::create_dir(&queries).unwrap();
    for (name, content) in [
        (
            "by_direction.yaml",
            "interval: 1s\nlabels: {direction: Direction}\nmetrics:\n  - {name: my_connections, type: gauge, help: Connections., value: Rows}\n",
        ),
        (
            "by_direction.kql",
            "VMConnection | summarize Rows = count() by Direction",
        ),
        (
            "threat_connections.yaml",
            "interval: 1s\nwindow: 30m\nlabels: {remote_ip: RemoteIp}\nmetrics:\n  - {name: vminsights_threat_connections, type: gauge, help: Mine., value: Rows}\n",
        ),
        (
            "threat_connections.kql",
            "VMConnection | where ingestion_time() > ago(window) and isnotempty(IndicatorThreatType) | summarize Rows = count() by RemoteIp",
        ),
        ("table_freshness.yaml", "enabled: false\n"),
    ] {
        std::fs::write(queries.join(name), content).unwrap();
    }
    std::fs::write(folder.path().join("secret"), text("client_secret") + "\n").unwrap();
    let config = folder.path().join("exporter.yaml");
    let workspace_id = text("workspace_id");
    std::fs::write(
        &config,
        format!(
            "azure:
  cloud: {{logs: '{}', audience: '{}', authority: '{}'}}
  credential: {{client_secret: {{tenant_id: {}, client_id: {}, secret_file: secret}}}}
  ca_file: ca.pem
workspaces:
  - {{id: {}, name: prod}}
  - {{id: 00000000-0000-4000-8000-000000000000, name: other}}
packs: [threats, feed]
queries_dir: queries
",
            text("endpoint"),
            text("audience"),
            text("authority"),
            text("tenant_id"),
            text("client_id"),
            text("workspace_id"),
        ),
    )
    .unwrap();
    let serve = Exporter::serve(&config);
    wait_until(
        "all queries were tried",
        Duration::from_secs(30),
        async || is_ready(&serve.url).await,
    )
    .await;

    let text = page(&serve.url).await;
    promtool_check(&text);
    parse_page(&serve.url);
    let data: Vec<&str> = text
        .lines()
        .filter(|line| {
            line.starts_with("my_")
                || (line.starts_with("vminsights_")
                    && !line.starts_with("vminsights_exporter_")
                    && !line.starts_with("vminsights_workspace_info{"))
        })
        .collect();
    assert_eq!(
        data,
        [
            "my_connections{workspace=\"prod\",direction=\"inbound\"} 3",
            "my_connections{workspace=\"prod\",direction=\"outbound\"} 2",
            "vminsights_table_collected{workspace=\"prod\",table=\"Heartbeat\"} 0",
            "vminsights_table_collected{workspace=\"prod\",table=\"InsightsMetrics\"} 0",
            "vminsights_table_collected{workspace=\"prod\",table=\"NTANetAnalytics\"} 0",
            "vminsights_table_collected{workspace=\"prod\",table=\"VMBoundPort\"} 0",
            "vminsights_table_collected{workspace=\"prod\",table=\"VMConnection\"} 1",
            "vminsights_table_collected{workspace=\"prod\",table=\"VMProcess\"} 0",
            "vminsights_table_ingestion_delay_median_seconds{workspace=\"prod\",table=\"VMConnection\"} 40",
            "vminsights_table_ingestion_delay_p95_seconds{workspace=\"prod\",table=\"VMConnection\"} 2400",
            "vminsights_threat_confidence_percent{workspace=\"prod\",vm=\"web-1\",resource_id=\"/subscriptions/s/vm/web-1\",remote_ip=\"192.0.2.1\",threat_type=\"Botnet\"} 80",
            "vminsights_threat_confidence_percent{workspace=\"prod\",vm=\"web-1\",resource_id=\"/subscriptions/s/vm/web-1\",remote_ip=\"198.51.100.7\",threat_type=\"C2\"} 80",
            "vminsights_threat_confidence_percent{workspace=\"prod\",vm=\"web-1\",resource_id=\"/subscriptions/s/vm/web-1\",remote_ip=\"203.0.113.9\",threat_type=\"Malware\"} 80",
            "vminsights_threat_connections{workspace=\"prod\",remote_ip=\"192.0.2.1\"} 2",
            "vminsights_threat_connections{workspace=\"prod\",remote_ip=\"198.51.100.7\"} 1",
            "vminsights_threat_connections{workspace=\"prod\",remote_ip=\"203.0.113.9\"} 1",
            "vminsights_threat_intelligence_seen{workspace=\"prod\"} 1",
            "vminsights_threat_last_seen_timestamp_seconds{workspace=\"prod\",vm=\"web-1\",resource_id=\"/subscriptions/s/vm/web-1\",remote_ip=\"192.0.2.1\",threat_type=\"Botnet\"} 1767268740",
            "vminsights_threat_last_seen_timestamp_seconds{workspace=\"prod\",vm=\"web-1\",resource_id=\"/subscriptions/s/vm/web-1\",remote_ip=\"198.51.100.7\",threat_type=\"C2\"} 1767265800",
            "vminsights_threat_last_seen_timestamp_seconds{workspace=\"prod\",vm=\"web-1\",resource_id=\"/subscriptions/s/vm/web-1\",remote_ip=\"203.0.113.9\",threat_type=\"Malware\"} 1767267600",
            "vminsights_threat_severity{workspace=\"prod\",vm=\"web-1\",resource_id=\"/subscriptions/s/vm/web-1\",remote_ip=\"192.0.2.1\",threat_type=\"Botnet\"} 3",
            "vminsights_threat_severity{workspace=\"prod\",vm=\"web-1\",resource_id=\"/subscriptions/s/vm/web-1\",remote_ip=\"198.51.100.7\",threat_type=\"C2\"} 3",
            "vminsights_threat_severity{workspace=\"prod\",vm=\"web-1\",resource_id=\"/subscriptions/s/vm/web-1\",remote_ip=\"203.0.113.9\",threat_type=\"Malware\"} 3",
            "vminsights_vm_connections_newest_row_timestamp_seconds{workspace=\"prod\",vm=\"web-1\",resource_id=\"/subscriptions/s/vm/web-1\"} 1767268740",
        ]
    );
    assert!(!text.contains("table_freshness"), "it is switched off");
    for (name, id) in [
        ("prod", workspace_id.as_str()),
        ("other", "00000000-0000-4000-8000-000000000000"),
    ] {
        let info = format!("workspace=\"{name}\",workspace_id=\"{id}\"}} 1\n");
        assert!(text.contains(&info), "{info} is not in {text}");
    }
    // The other workspace is not ours to read: that fails for itself and says so.
    for line in [
        "vminsights_exporter_poll_state{query=\"by_direction\",workspace=\"other\",state=\"failed\"} 1",
        "vminsights_exporter_poll_state{query=\"by_direction\",workspace=\"prod\",state=\"ok\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(text.contains("vminsights_exporter_poll_failures_total{query=\"by_direction\",workspace=\"other\",reason=\"forbidden\"}"), "{text}");
    let landing = page(&serve.url.replace("/metrics", "/")).await;
    assert!(
        landing.contains("Log Analytics Reader"),
        "the hint is on the landing page: {landing}"
    );
    assert_eq!(serve.interrupt(), Some(0));
    assert_eq!(workspace.interrupt(), Some(0));
}
