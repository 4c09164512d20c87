//! NTANetAnalytics and NTAIpDetails: the same attacks as VMConnection has, as Traffic Analytics tells of
//! them: a record a malicious address and ten minutes, not a minute.

use std::collections::BTreeMap;

use super::dice::Dice;
use super::story::{Contact, Story};
use super::threats::Indicator;
use super::vm::Vm;
use super::writer::Writer;
use super::{Common, Moment, TICKS_PER_SECOND};
use crate::kql::{Batch, DateTime, RowError, Schema, Value};

/// Minutes that one processing of the flow logs covers.
const PROCESSING: i64 = 10;

const FLOW_COLUMNS: [&str; 27] = [
    "TenantId",
    "TimeGenerated",
    "TimeProcessed",
    "SubType",
    "FaSchemaVersion",
    "FlowIntervalStartTime",
    "FlowIntervalEndTime",
    "FlowStartTime",
    "FlowEndTime",
    "FlowType",
    "FlowDirection",
    "FlowStatus",
    "SrcIp",
    "DestIp",
    "DestPort",
    "L4Protocol",
    "SrcPublicIps",
    "DestPublicIps",
    "SrcVm",
    "DestVm",
    "SrcSubscription",
    "DestSubscription",
    "Country",
    "AllowedInFlows",
    "AllowedOutFlows",
    "RecordCount",
    "Type",
];

const ADDRESS_COLUMNS: [&str; 11] = [
    "TenantId",
    "TimeGenerated",
    "SubType",
    "FlowIntervalStartTime",
    "FlowIntervalEndTime",
    "FlowType",
    "Ip",
    "Location",
    "ThreatType",
    "ThreatDescription",
    "Type",
];

/// Writes the flow records and what is known of their addresses.
pub struct NetFlows<'a> {
    flows: Writer<{ FLOW_COLUMNS.len() }>,
    addresses: Writer<{ ADDRESS_COLUMNS.len() }>,
    common: &'a Common,
}

impl<'a> NetFlows<'a> {
    pub fn new(schema: &Schema, common: &'a Common) -> Self {
        Self {
            flows: Writer::new(schema, "NTANetAnalytics", &FLOW_COLUMNS),
            addresses: Writer::new(schema, "NTAIpDetails", &ADDRESS_COLUMNS),
            common,
        }
    }

    pub fn finish(self) -> impl Iterator<Item = (&'static str, Batch)> {
        self.flows
            .finish()
            .into_iter()
            .chain(self.addresses.finish())
    }

    /// Whether the flow logs are processed in this minute.
    pub fn is_due(minute: i64) -> bool {
        minute.rem_euclid(PROCESSING) == PROCESSING - 1
    }

    /// A VM's flows with malicious addresses in the minutes up to this one, which is due. Flow logs are of
    /// virtual networks, so a machine elsewhere has none.
    pub fn write(&mut self, vm: &Vm, moment: &Moment, story: &Story) -> Result<(), RowError> {
        if vm.provider != "Microsoft.Compute" {
            return Ok(());
        }
        // One record a group of what has the same ends.
        let mut groups: BTreeMap<([u8; 4], bool, i32), (i64, i64)> = BTreeMap::new();
        let first = moment.minute - PROCESSING + 1;
        for minute in (first..=moment.minute).filter(|&minute| story.is_alive(vm.index, minute)) {
            for Contact {
                address,
                inbound,
                port,
            } in story.contacts(vm.index, minute)
            {
                let (count, newest) = groups.entry((address, inbound, port)).or_default();
                *count += 1;
                *newest = minute;
            }
        }
        for ((address, inbound, port), (count, newest)) in groups {
            let contact = Contact {
                address,
                inbound,
                port,
            };
            self.write_group(vm, moment, contact, count, newest)?;
        }
        Ok(())
    }

    /// A contact that `count` of the minutes had, `newest` last.
    fn write_group(
        &mut self,
        vm: &Vm,
        moment: &Moment,
        contact: Contact,
        count: i64,
        newest: i64,
    ) -> Result<(), RowError> {
        let text = |text: &str| Value::string(text);
        let Contact {
            address,
            inbound,
            port,
        } = contact;
        let pace = self.common.pace;
        let start_of = |minute| Value::DateTime(pace.start_of(minute));
        let from = start_of(moment.minute - PROCESSING + 1);
        let to = start_of(moment.minute + 1);
        let [a, b, c, d] = address;
        let remote = format!("{a}.{b}.{c}.{d}");
        let keys = [
            self.common.seed,
            0x6E74,
            vm.index as u64,
            moment.minute as u64,
            u64::from(u32::from_be_bytes(address)),
        ];
        let sent = Dice::new(&keys).between(300, 9_000) * count;
        let public = text(&format!(
            "{remote}|{count}|{count}|{0}|{0}|{sent}|{sent}",
            count * 4
        ));
        let machine = text(&format!("{}/{}", vm.resource_group, vm.name).to_ascii_lowercase());
        let own = text(&vm.ip);
        let empty = || text("");
        let indicator = Indicator::of(address);
        // Each end has its own columns, those of the VM and those of the public address.
        let sides = |mine: Value, theirs: Value| {
            if inbound {
                (theirs, mine)
            } else {
                (mine, theirs)
            }
        };
        let (source, destination) = sides(own, empty());
        let (source_public, destination_public) = sides(empty(), public);
        let (source_vm, destination_vm) = sides(machine, empty());
        let (source_subscription, destination_subscription) =
            sides(vm.subscription_id.clone(), empty());
        let (allowed_out, allowed_in) = if inbound { (0, count) } else { (count, 0) };
        self.flows.push(
            moment.arrival,
            [
                self.common.workspace_id.clone(),
                to.clone(),
                to.clone(),
                text("FlowLog"),
                text("3"),
                from.clone(),
                to.clone(),
                from.clone(),
                start_of(newest),
                text("MaliciousFlow"),
                text(if inbound { "Inbound" } else { "Outbound" }),
                text("Allowed"),
                source,
                destination,
                Value::Int(port),
                text("T"),
                source_public,
                destination_public,
                source_vm,
                destination_vm,
                source_subscription,
                destination_subscription,
                text(indicator.country),
                Value::Long(allowed_in),
                Value::Long(allowed_out),
                Value::Long(count),
                text("NTANetAnalytics"),
            ],
        )?;
        // Traffic Analytics spells two of the types in its own way.
        let threat_type = match indicator.threat_type {
            "Darknet" => "DarkNet",
            "Watchlist" => "WatchList",
            other => other,
        };
        // What an address is must be known before its flows are.
        let known = DateTime(moment.arrival.0 - pace.scaled(TICKS_PER_SECOND));
        self.addresses.push(
            known,
            [
                self.common.workspace_id.clone(),
                to.clone(),
                text("FlowLog"),
                from,
                to,
                text("MaliciousFlow"),
                text(&remote),
                text(indicator.country),
                text(threat_type),
                text(indicator.description),
                text("NTAIpDetails"),
            ],
        )
    }
}
