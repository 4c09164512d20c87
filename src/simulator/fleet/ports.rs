//! VMBoundPort: the ports that a machine serves, and what came in at each in a minute.

use std::collections::BTreeMap;

use super::dice::Dice;
use super::flows::process_id;
use super::metrics::load;
use super::vm::{Os, Vm};
use super::writer::Writer;
use super::{Common, Moment, text_of};
use crate::kql::{Batch, RowError, Schema, Value};

const COLUMNS: [&str; 25] = [
    "TenantId",
    "SourceSystem",
    "TimeGenerated",
    "AgentId",
    "Computer",
    "Machine",
    "Process",
    "ProcessName",
    "Ip",
    "Port",
    "PortId",
    "Protocol",
    "IsWildcardBind",
    "BytesSent",
    "BytesReceived",
    "LinksEstablished",
    "LinksTerminated",
    "LinksLive",
    "Responses",
    "ResponseTimeMin",
    "ResponseTimeMax",
    "ResponseTimeSum",
    "Type",
    "_ResourceId",
    "_SubscriptionId",
];

/// Writes the VMBoundPort rows.
pub struct Ports<'a> {
    rows: Writer<{ COLUMNS.len() }>,
    common: &'a Common,
}

impl<'a> Ports<'a> {
    pub fn new(schema: &Schema, common: &'a Common) -> Self {
        Self {
            rows: Writer::new(schema, "VMBoundPort", &COLUMNS),
            common,
        }
    }

    pub fn finish(self) -> Option<(&'static str, Batch)> {
        self.rows.finish()
    }

    /// The VM's own address at each port that it serves, and the wildcard one, which has no activity.
    pub fn write(&mut self, vm: &Vm, moment: &Moment) -> Result<(), RowError> {
        let agent = text_of(&vm.agent_id);
        let mut open: BTreeMap<i32, &str> = vm
            .flows
            .iter()
            .filter(|flow| flow.inbound)
            .map(|flow| (flow.port, text_of(&flow.process_name)))
            .collect();
        let (port, shell) = match vm.os {
            Os::Linux => (22, "sshd"),
            Os::Windows => (3389, "svchost"),
        };
        open.insert(port, shell);
        let load = load(self.common.seed, vm, moment.minute);
        for (port, process_name) in open {
            let mut dice = Dice::new(&[
                self.common.seed,
                0x7074,
                vm.index as u64,
                moment.minute as u64,
                port as u64,
            ]);
            let links = (load * 60.0 * dice.unit()) as i64;
            for wildcard in [false, true] {
                let ip = if wildcard { "0.0.0.0" } else { &vm.ip };
                let count = |value: i64| Value::Long(if wildcard { 0 } else { value });
                self.rows.push(
                    moment.arrival,
                    [
                        self.common.workspace_id.clone(),
                        self.common.insights.clone(),
                        moment.start.clone(),
                        vm.agent_id.clone(),
                        vm.computer.clone(),
                        vm.machine.clone(),
                        process_id(agent, process_name),
                        Value::string(process_name),
                        Value::string(ip),
                        Value::Int(port),
                        Value::string(format!("{ip}:{port}")),
                        Value::string("tcp"),
                        Value::Bool(wildcard),
                        count(links * 5_000),
                        count(links * 700),
                        count(links),
                        count(links),
                        count(links / 4),
                        count(links * 2),
                        count(2),
                        count(2 + links),
                        count(links * 2 * 3),
                        Value::string("VMBoundPort"),
                        vm.resource_id.clone(),
                        vm.subscription_id.clone(),
                    ],
                )?;
            }
        }
        Ok(())
    }
}
