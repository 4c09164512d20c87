//! Fills the tables from the fleet: hours of history at the start, then minute after minute.
//!
//! A minute's rows are stored as soon as the minute is over, each with its moment of arrival one to
//! three minutes later or more. The engine leaves out what has not arrived at a query's now, so a row
//! is there from exactly that moment on.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use super::fleet::{Fleet, TableBatch};
use super::tables::Tables;
use crate::kql::RowError;

/// Minutes of history at the start.
const HISTORY: i64 = 180;
/// A large fleet starts with fewer, so that so many rows do, but never with less than LEAST minutes:
/// rows need up to three to arrive.
const MAX_ROWS: usize = 1_500_000;
const LEAST: i64 = 6;
/// Minutes in a batch of history: enough rows to share their strings, few enough to share the work.
const STRIDE: i64 = 10;
/// Minutes after which generated rows go.
const RETENTION: i64 = 25 * 60;

/// Generates what is known at the start of `minute` and stores it.
///
/// # Errors
/// If the schema's tables have the generator's columns with other types.
pub fn fill(fleet: &Fleet, tables: &Tables, minute: i64) -> Result<(), RowError> {
    let rows: usize = fleet
        .minutes(minute - 1..minute)?
        .iter()
        .map(|(_, batch)| batch.row_count())
        .sum();
    let affordable = i64::try_from(MAX_ROWS / rows.max(1)).unwrap_or(HISTORY);
    let minutes = minute - affordable.clamp(LEAST, HISTORY)..minute;
    let mut batches = in_parallel(&strides(minutes), |stride| fleet.minutes(stride))?;
    batches.extend(in_parallel(&strides(minute - HISTORY..minute), |stride| {
        fleet.inventory(stride)
    })?);
    for (end, batch) in batches {
        store(fleet, tables, end, batch);
    }
    Ok(())
}

/// Generates one minute that is over and stores it; drops what is too old.
///
/// # Errors
/// As [`fill`].
pub fn extend(fleet: &Fleet, tables: &Tables, minute: i64) -> Result<(), RowError> {
    let minutes = minute..minute + 1;
    let mut batches = fleet.minutes(minutes.clone())?;
    batches.extend(fleet.inventory(minutes.clone())?);
    for batch in batches {
        store(fleet, tables, minutes.end, batch);
    }
    tables.prune(fleet.pace().start_of(minutes.end));
    Ok(())
}

fn store(fleet: &Fleet, tables: &Tables, end: i64, (table, batch): TableBatch) {
    let expires = fleet.pace().start_of(end + RETENTION);
    tables.append(table, batch, Some(expires));
}

fn strides(minutes: Range<i64>) -> Vec<Range<i64>> {
    let (start, end) = (minutes.start, minutes.end);
    (0..)
        .map(|number| start + number * STRIDE)
        .take_while(|&from| from < end)
        .map(|from| from..(from + STRIDE).min(end))
        .collect()
}

/// Works through the strides on all cores; the batches come in the strides' order, each with its
/// stride's end.
fn in_parallel(
    strides: &[Range<i64>],
    make: impl Fn(Range<i64>) -> Result<Vec<TableBatch>, RowError> + Sync,
) -> Result<Vec<(i64, TableBatch)>, RowError> {
    let next = AtomicI64::new(0);
    let done = Mutex::new(Vec::with_capacity(strides.len()));
    let work = || {
        while let Some((number, stride)) = usize::try_from(next.fetch_add(1, Ordering::Relaxed))
            .ok()
            .and_then(|number| Some((number, strides.get(number)?)))
        {
            let made = make(stride.clone());
            done.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((number, stride.end, made));
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 1..threads.min(strides.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(number, ..)| *number);
    let mut batches = Vec::new();
    for (_, end, made) in done {
        batches.extend(made?.into_iter().map(|batch| (end, batch)));
    }
    Ok(batches)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::kql::{Budget, Database, QueryOptions, Schema};
    use crate::simulator::Scenario;

    const START: i64 = 29_500_000;

    fn filled(vms: usize) -> (Fleet, Tables) {
        let schema = Schema::vm_insights();
        let tables = Tables::new(schema.clone());
        let fleet = Fleet::new(1, Scenario::Calm, vms, START, Arc::new(schema), "id");
        fill(&fleet, &tables, START).unwrap();
        (fleet, tables)
    }

    fn heartbeats(tables: &Tables) -> usize {
        let batches = tables.scan("Heartbeat");
        batches.iter().map(|batch| batch.row_count()).sum()
    }

    #[test]
    fn three_hours_of_minutes_are_there_and_one_more_with_each() {
        let (fleet, tables) = filled(12);
        assert_eq!(heartbeats(&tables), 180 * 12);
        let computers = tables.scan("VMComputer");
        let rows: usize = computers.iter().map(|batch| batch.row_count()).sum();
        assert_eq!(rows, 3 * 12);
        extend(&fleet, &tables, START).unwrap();
        assert_eq!(heartbeats(&tables), 181 * 12);
        extend(&fleet, &tables, START + RETENTION - 170).unwrap();
        assert_eq!(heartbeats(&tables), 172 * 12, "the first ten minutes went");
    }

    /// What a pack's query answers over an hour of attacks, as rows of texts, sorted.
    fn ask(kql: &str) -> Vec<Vec<String>> {
        let schema = Schema::vm_insights();
        let tables = Tables::new(schema.clone());
        let fleet = Fleet::new(1, Scenario::Attack, 12, START, Arc::new(schema), "id");
        fill(&fleet, &tables, START).unwrap();
        let options = QueryOptions {
            // What is late has come.
            now: fleet.pace().start_of(START + 200),
            timespan: None,
            max_rows: 10_000,
            budget: Budget::default(),
            elapsed: &|| Duration::ZERO,
            cancelled: &|| false,
        };
        let lets = "let window = 1d; let min_severity = 0; let min_confidence_percent = 0; let is_allowed_address = (address: string) { false };";
        let text = format!("{lets}\n{kql}");
        let result = crate::kql::run(&tables, &text, &options).unwrap();
        let mut rows: Vec<Vec<String>> = (0..result.row_count)
            .map(|row| {
                let cells = result.data.iter().map(|column| column.value(row));
                cells.map(|cell| format!("{cell:?}")).collect()
            })
            .collect();
        rows.sort();
        rows
    }

    #[test]
    fn both_threat_packs_name_the_same_addresses_of_the_machines_in_azure() {
        let of = |rows: Vec<Vec<String>>| -> BTreeSet<Vec<String>> {
            rows.into_iter()
                .filter(|row| row[1].contains("/microsoft.compute/"))
                .map(|row| row[1..5].to_vec())
                .collect()
        };
        let agents = of(ask(include_str!(
            "../catalogue/packs/threats/threat_connections.kql"
        )));
        let flows = of(ask(include_str!(
            "../catalogue/packs/threats_nta/nta_threat_connections.kql"
        )));
        assert!(agents.len() > 20, "{agents:?}");
        assert_eq!(agents, flows);
    }

    #[test]
    fn the_map_has_each_vm_and_no_more_than_ten_ports_of_one() {
        let traffic = ask(include_str!(
            "../catalogue/packs/connections/connection_traffic.kql"
        ));
        let vms: BTreeSet<_> = traffic.iter().map(|row| (&row[0], &row[1])).collect();
        assert_eq!(vms.len(), 12);
        let processes = ask(include_str!(
            "../catalogue/packs/connections/connection_processes.kql"
        ));
        assert_eq!(processes.len(), 12);
        let ports = ask(include_str!(
            "../catalogue/packs/connections/connection_ports.kql"
        ));
        assert!(
            ports.len() > 12 && ports.len() <= 12 * 11,
            "{}",
            ports.len()
        );
    }

    #[test]
    fn the_feed_tells_what_is_collected_and_that_threats_were_seen() {
        let collected = ask(include_str!("../catalogue/packs/feed/table_collected.kql"));
        assert_eq!(collected.len(), 6);
        assert!(
            collected.iter().all(|row| row[1] == "Bool(true)"),
            "{collected:?}"
        );
        let seen = ask(include_str!(
            "../catalogue/packs/feed/threat_intelligence.kql"
        ));
        assert_eq!(seen[0][1], "Bool(true)");
        let vms = ask(include_str!(
            "../catalogue/packs/feed/vm_connections_feed.kql"
        ));
        assert_eq!(vms.len(), 12);
        assert_eq!(
            ask(include_str!("../catalogue/packs/feed/table_delays.kql")).len(),
            3
        );
    }

    #[test]
    fn strides_cover_every_minute_once() {
        assert_eq!(strides(5..28), [5..15, 15..25, 25..28]);
        assert_eq!(strides(5..5), []);
    }
}
