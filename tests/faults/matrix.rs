//! Each fault of the table in `docs/failures.md` happens to the real program: what its metrics, its
//! log and its page say is what the table says.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use vminsights_exporter::simulator::{Clock, Faults, Scenario, Simulator, SimulatorOptions};

use super::documented::{Row, is_like, rows};
use super::program::{Program, simulated};

/// For queries whose fault is that nothing comes, or that it is old.
const BRIEF: &str = "1s";
/// For all others: long enough for a busy machine.
const LONG: &str = "30s";

/// What a fault disturbs beside its own query decides who may be in one process with it.
fn is_alone(row: &Row) -> bool {
    row.fault.contains("on: token") || row.fault.contains("status: 429")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_documented_fault_is_told_as_documented() {
    let rows = rows();
    assert_eq!(rows.len(), 18, "{rows:#?}");
    let (alone, together): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(is_alone);
    let groups = alone.into_iter().map(|row| vec![row]).chain([together]);
    let runs: Vec<_> = groups.map(|group| tokio::spawn(run(group))).collect();
    let mut wrong = Vec::new();
    for run in runs {
        wrong.extend(run.await.unwrap());
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

async fn simulator(rules: &str) -> Simulator {
    Simulator::start(SimulatorOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        vms: 1,
        scenario: Some(Scenario::Calm),
        clock: Clock::Real,
        faults: Faults::from_yaml(Path::new("faults.yaml"), rules).unwrap(),
        ..SimulatorOptions::default()
    })
    .await
    .unwrap()
}

/// Runs a program with a query for each fault. What is not as documented comes back.
async fn run(rows: Vec<Row>) -> Vec<String> {
    let name = |index: usize| format!("fault_{index:02}");
    let rules: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(index, row)| match row.fault.strip_prefix("on: token") {
            Some(fault) => format!("  - {{on: token{fault}}}\n"),
            // The first answer is good: its value is to stay.
            None => format!(
                "  - {{on: query, contains: {}, after: 1, {}}}\n",
                name(index),
                row.fault
            ),
        })
        .collect();
    let rules = format!("rules:\n{}", rules.concat());
    let simulator = simulator(&rules).await;
    let queries: Vec<(String, String, &str)> = rows
        .iter()
        .enumerate()
        .map(|(index, row)| {
            let by_time = ["silence", "delay", "stale"];
            let is_brief = by_time.iter().any(|fault| row.fault.contains(fault));
            let timeout = if is_brief { BRIEF } else { LONG };
            (
                name(index),
                format!("print n = 7 // {}", name(index)),
                timeout,
            )
        })
        .collect();
    let azure = simulated(simulator.access());
    let program = Program::serve(simulator.access(), &queries, &azure, &[]);
    let compare = move || {
        let rows = rows.iter().enumerate();
        rows.flat_map(|(index, row)| compare(&program, &name(index), row))
            .collect()
    };
    let wrong = tokio::task::spawn_blocking(compare).await.unwrap();
    simulator.stop().await;
    wrong
}

fn compare(program: &Program, query: &str, row: &Row) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("{}: {what}", row.fault));
        }
    };
    let line = program.until(&row.fault, |program| {
        let mut log = program.log().into_iter();
        log.find(|line| line["query"] == query && line["reason"] == *row.reason)
    });
    let text = |field: &str| line[field].as_str().unwrap_or_default();
    must(text("level") == "WARN", text("level"));
    must(text("msg") == "poll failed", text("msg"));
    must(text("workspace") == "prod", text("workspace"));
    must(is_like(&row.error, text("error")), text("error"));
    must(is_like(&row.hint, text("hint")), text("hint"));

    let counted = format!(
        "vminsights_exporter_poll_failures_total{{query=\"{query}\",workspace=\"prod\",reason=\"{}\"}} ",
        row.reason
    );
    let page = program.until(&counted, |program| {
        let page = program.get("/metrics");
        page.contains(&counted).then_some(page)
    });
    must(page.contains(&state(query, "failed")), "not failed");
    let value = format!("x_{query}{{workspace=\"prod\"}} 7\n");
    // Whoever could not sign in never had a value.
    let has_value = row.reason != "sign_in";
    must(page.contains(&value) == has_value, "its last value");

    let texts = [
        format!("{}{query}", row.page),
        first(&row.error).to_owned(),
        first(&row.hint).to_owned(),
    ];
    program.until(&format!("{texts:?} on the status page"), |program| {
        let page = plain(&program.get("/"));
        texts.iter().all(|text| page.contains(text)).then_some(())
    });
    wrong
}

fn state(query: &str, state: &str) -> String {
    format!(
        "vminsights_exporter_poll_state{{query=\"{query}\",workspace=\"prod\",state=\"{state}\"}} 1\n"
    )
}

/// What stands before the first `…`.
fn first(documented: &str) -> &str {
    documented.split('…').next().unwrap_or_default()
}

/// The text of an HTML page, as the eye reads it.
fn plain(html: &str) -> String {
    let mut text = String::new();
    for piece in html.split('<') {
        text.push_str(piece.split_once('>').map_or("", |(_, text)| text));
    }
    for (entity, c) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ] {
        text = text.replace(entity, c);
    }
    text
}

/// A fault that passes: the log tells that, too, and the poll is well.
#[tokio::test(flavor = "multi_thread")]
async fn what_passed_is_told_once() {
    let rules = "rules: [{on: query, after: 1, times: 2, status: 400}]";
    let simulator = simulator(rules).await;
    let query = ("seven".to_owned(), "print n = 7".to_owned(), LONG);
    let azure = simulated(simulator.access());
    let program = Program::serve(simulator.access(), &[query], &azure, &[]);
    let watch = move || {
        let of_query = |line: &Value| line["query"] == "seven";
        let log = program.until("it recovers", |program| {
            let log: Vec<Value> = program.log().into_iter().filter(of_query).collect();
            log.iter()
                .any(|line| line["msg"] == "poll succeeds again")
                .then_some(log)
        });
        let told: Vec<&str> = log.iter().filter_map(|line| line["msg"].as_str()).collect();
        assert_eq!(told, ["poll failed", "poll failed", "poll succeeds again"]);
        assert_eq!(log[2]["level"], "INFO");
        program.until("it is well", |program| {
            program
                .get("/metrics")
                .contains(&state("seven", "ok"))
                .then_some(())
        });
    };
    tokio::task::spawn_blocking(watch).await.unwrap();
    simulator.stop().await;
}
