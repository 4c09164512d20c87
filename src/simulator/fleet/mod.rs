//! The machines that the simulated workspace hears from.
//!
//! What a VM sends about a minute is a function of (seed, scenario, VM, minute) and the minute of the
//! start, nothing else: the history at the start and what comes live are made by the same call, and
//! the same minute never comes out differently.
//!
//! Files, each one idea: `vm` (who is there), `disk` (how full), `flows` (who talks to whom), `story`
//! (what a scenario makes happen), `threats` (what is known of an address); `metrics`, `connections`,
//! `heartbeats`, `ports`, `netflows` and `inventory` write the tables; `dice` makes the numbers.

mod connections;
mod dice;
mod disk;
mod flows;
mod heartbeats;
mod inventory;
mod metrics;
mod netflows;
mod ports;
mod story;
mod threats;
mod vm;
mod writer;

use std::ops::Range;
use std::sync::Arc;

use self::connections::Connections;
pub use self::dice::Dice;
use self::heartbeats::Heartbeats;
use self::inventory::Inventory;
use self::metrics::Metrics;
use self::netflows::NetFlows;
use self::ports::Ports;
use self::story::Story;
use self::vm::Vm;
use super::pace::Pace;
use super::scenario::Scenario;
use crate::kql::{Batch, DateTime, RowError, Schema, Value};

/// All VMs of a simulated workspace, and what happens to them.
pub struct Fleet {
    vms: Vec<Vm>,
    story: Story,
    schema: Arc<Schema>,
    common: Common,
}

/// What is the same in the rows of all VMs.
struct Common {
    seed: u64,
    start: i64,
    pace: Pace,
    workspace_id: Value,
    insights: Value,
    billable: Value,
    empty: Value,
    management_group: Value,
    management_group_name: Value,
    container_tags: Value,
}

/// A minute as one VM's rows of one kind bear it.
struct Moment {
    /// Since the Unix epoch.
    minute: i64,
    /// The same, in real days.
    day: i64,
    /// The minute's start, which VMConnection and VMBoundPort call TimeGenerated.
    start: Value,
    /// When the agent measured.
    generated: Value,
    /// `ingestion_time()` of the rows.
    arrival: DateTime,
    /// `_TimeReceived`: when the service took the rows in, shortly before.
    received: Value,
}

/// Kinds of rows that travel, and so are late, together.
#[derive(Clone, Copy)]
enum Feed {
    Metrics = 1,
    Heartbeat,
    Map,
    Inventory,
    NetFlows,
}

/// A table's name and rows.
pub type TableBatch = (&'static str, Batch);

impl Fleet {
    /// `start` is the minute (since the Unix epoch) from which the scenario counts.
    pub fn new(
        seed: u64,
        scenario: Scenario,
        vms: usize,
        start: i64,
        schema: Arc<Schema>,
        workspace_id: &str,
    ) -> Self {
        Self {
            vms: (0..vms).map(|index| Vm::new(seed, index, vms)).collect(),
            story: Story::new(seed, scenario, vms, start),
            schema,
            common: Common {
                seed,
                start,
                pace: Pace::REAL,
                workspace_id: Value::string(workspace_id),
                insights: Value::string("Insights"),
                billable: Value::string("True"),
                empty: Value::string(""),
                management_group: Value::string("00000000-0000-0000-0000-000000000001"),
                management_group_name: Value::string(format!("AOI-{workspace_id}")),
                container_tags: Value::string(
                    r#"{"container.azm.ms/clusterName":"shop","device":"sda1","hostName":"aks-pool-0","path":"/"}"#,
                ),
            },
        }
    }

    /// The same fleet, whose minutes take as long as `pace` says.
    pub fn at(mut self, pace: Pace) -> Self {
        self.common.pace = pace;
        self
    }

    pub fn pace(&self) -> Pace {
        self.common.pace
    }

    /// What is sent each minute about these minutes, a batch a table.
    ///
    /// # Errors
    /// If the schema's tables have the generator's columns with other types.
    pub fn minutes(&self, minutes: Range<i64>) -> Result<Vec<TableBatch>, RowError> {
        let mut metrics = Metrics::new(&self.schema, &self.common);
        let mut connections = Connections::new(&self.schema, &self.common);
        let mut heartbeats = Heartbeats::new(&self.schema, &self.common);
        let mut ports = Ports::new(&self.schema, &self.common);
        let mut netflows = NetFlows::new(&self.schema, &self.common);
        for minute in minutes {
            if NetFlows::is_due(minute) {
                // The platform sends flow records, so they come from a VM that went silent, too.
                for vm in &self.vms {
                    let moment = self.moment(vm, minute, Feed::NetFlows);
                    netflows.write(vm, &moment, &self.story)?;
                }
            }
            let reports_connections = self.story.reports_connections(minute);
            for vm in self.living(minute) {
                metrics.write(vm, &self.moment(vm, minute, Feed::Metrics), &self.story)?;
                heartbeats.write(vm, &self.moment(vm, minute, Feed::Heartbeat))?;
                if reports_connections {
                    let moment = self.moment(vm, minute, Feed::Map);
                    let contacts = self.story.contacts(vm.index, minute);
                    connections.write(vm, &moment, &contacts)?;
                    ports.write(vm, &moment)?;
                }
            }
        }
        Ok([
            metrics.finish(),
            connections.finish(),
            heartbeats.finish(),
            ports.finish(),
        ]
        .into_iter()
        .flatten()
        .chain(netflows.finish())
        .collect())
    }

    /// What is sent once an hour by each VM, of these minutes.
    ///
    /// # Errors
    /// As [`Self::minutes`].
    pub fn inventory(&self, minutes: Range<i64>) -> Result<Vec<TableBatch>, RowError> {
        let mut inventory = Inventory::new(&self.schema, &self.common);
        for minute in minutes {
            for vm in self.living(minute) {
                if Inventory::is_due(vm, minute) {
                    inventory.write(vm, &self.moment(vm, minute, Feed::Inventory))?;
                }
            }
        }
        Ok(inventory.finish().collect())
    }

    fn living(&self, minute: i64) -> impl Iterator<Item = &Vm> {
        self.vms
            .iter()
            .filter(move |vm| self.story.is_alive(vm.index, minute))
    }

    /// When a VM's rows of a minute arrive: mostly one to three minutes after the minute's end, one
    /// in fifty 5 to 40 minutes late, one in two thousand up to three hours.
    fn moment(&self, vm: &Vm, minute: i64, feed: Feed) -> Moment {
        let mut dice = Dice::new(&[
            self.common.seed,
            0x6172,
            feed as u64,
            vm.index as u64,
            minute as u64,
        ]);
        let late = dice.unit();
        let (least, most) = if late < 0.0005 {
            (3600, 3 * 3600)
        } else if late < 0.02 {
            (300, 2400)
        } else {
            (60, 180)
        };
        let pace = self.common.pace;
        let start = pace.start_of(minute);
        // An agent measures at its own second of the minute.
        let own = Dice::new(&[self.common.seed, 0x6F66, vm.index as u64]).between(0, 59_999);
        let delay = dice.between(least * TICKS_PER_SECOND, most * TICKS_PER_SECOND);
        let arrival = DateTime(start.0 + pace.scaled(60 * TICKS_PER_SECOND + delay));
        Moment {
            minute,
            day: start.to_timestamp().as_second().div_euclid(86_400),
            start: Value::DateTime(start),
            generated: Value::DateTime(DateTime(
                start.0 + pace.scaled(own * TICKS_PER_SECOND / 1000),
            )),
            arrival,
            received: Value::DateTime(DateTime(arrival.0 - pace.scaled(20 * TICKS_PER_SECOND))),
        }
    }
}

const TICKS_PER_SECOND: i64 = 10_000_000;

/// The text of a value that is made as text.
fn text_of(value: &Value) -> &str {
    match value {
        Value::String(text) => text,
        _ => "",
    }
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
mod tests;
