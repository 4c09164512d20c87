//! VMConnection: what the Dependency agent saw of the network in a minute.

use super::dice::Dice;
use super::flows::{Flow, connection_id, process_id};
use super::metrics::load;
use super::story::Contact;
use super::threats::Indicator;
use super::vm::{Os, Vm};
use super::writer::Writer;
use super::{Common, Moment, text_of};
use crate::kql::{Batch, RowError, Schema, Value};

const COLUMNS: [&str; 44] = [
    "TenantId",
    "SourceSystem",
    "TimeGenerated",
    "AgentId",
    "Computer",
    "Machine",
    "Process",
    "ProcessName",
    "Direction",
    "SourceIp",
    "DestinationIp",
    "DestinationPort",
    "Protocol",
    "RemoteIp",
    "ConnectionId",
    "BytesSent",
    "BytesReceived",
    "LinksEstablished",
    "LinksTerminated",
    "LinksFailed",
    "LinksLive",
    "Responses",
    "ResponseTimeMin",
    "ResponseTimeMax",
    "ResponseTimeSum",
    "RemoteCountry",
    "RemoteLatitude",
    "RemoteLongitude",
    "RemoteDnsCanonicalNames",
    "RemoteDnsQuestions",
    "MaliciousIp",
    "IndicatorThreatType",
    "Description",
    "TLPLevel",
    "Confidence",
    "Severity",
    "FirstReportedDateTime",
    "LastReportedDateTime",
    "IsActive",
    "Type",
    "_ResourceId",
    "_SubscriptionId",
    "_IsBillable",
    "_TimeReceived",
];

/// Writes the VMConnection rows of VMs and minutes.
pub struct Connections<'a> {
    rows: Writer<{ COLUMNS.len() }>,
    common: &'a Common,
    kind: Value,
    protocol: Value,
    inbound: Value,
    outbound: Value,
}

/// A group's name, ends and counts.
struct Group<'a> {
    process: &'a Value,
    process_name: &'a Value,
    inbound: bool,
    source_ip: &'a Value,
    destination_ip: &'a Value,
    remote_ip: &'a Value,
    port: i32,
    connection_id: &'a Value,
    country: Value,
    latitude: Value,
    longitude: Value,
    dns: Value,
    traffic: Traffic,
    threat: Option<&'a Indicator>,
}

/// A minute's deltas, and what is open at its end.
struct Traffic {
    sent: i64,
    received: i64,
    established: i64,
    terminated: i64,
    failed: i64,
    live: i64,
    responses: i64,
    /// Milliseconds.
    fastest: i64,
    slowest: i64,
    waited: i64,
}

impl Traffic {
    /// Of so many new connections; the one who answers sends `answer_bytes` for each.
    fn of(links: i64, answer_bytes: i64, inbound: bool, dice: &mut Dice) -> Self {
        let asked = links * dice.between(300, 900);
        let answered =
            links * answer_bytes / 2 + dice.between(0, answer_bytes.max(1) * links.max(1));
        let (sent, received) = if inbound {
            (answered, asked)
        } else {
            (asked, answered)
        };
        let responses = links * dice.between(1, 4);
        let (fastest, slowest, waited) = if responses == 0 {
            (0, 0, 0)
        } else {
            let fastest = dice.between(1, 8);
            let slowest = fastest + dice.between(0, 120);
            let between = dice.between(fastest * (responses - 1), slowest * (responses - 1));
            (fastest, slowest, slowest + between)
        };
        Self {
            sent,
            received,
            established: links,
            terminated: (links - dice.between(-1, 1)).max(0),
            failed: i64::from(!inbound && dice.chance(0.03)),
            live: dice.between(0, links / 4 + 1),
            responses,
            fastest,
            slowest,
            waited,
        }
    }
}

impl<'a> Connections<'a> {
    pub fn new(schema: &Schema, common: &'a Common) -> Self {
        Self {
            rows: Writer::new(schema, "VMConnection", &COLUMNS),
            common,
            kind: Value::string("VMConnection"),
            protocol: Value::string("tcp"),
            inbound: Value::string("inbound"),
            outbound: Value::string("outbound"),
        }
    }

    pub fn finish(self) -> Option<(&'static str, Batch)> {
        self.rows.finish()
    }

    /// A VM's connection groups of a minute: its standing flows and its threats.
    pub fn write(
        &mut self,
        vm: &Vm,
        moment: &Moment,
        contacts: &[Contact],
    ) -> Result<(), RowError> {
        let minute = moment.minute as u64;
        let mut dice = Dice::new(&[self.common.seed, 0x636F, vm.index as u64, minute]);
        let load = load(self.common.seed, vm, moment.minute);
        for flow in &vm.flows {
            let links = (flow.rate * load * 2.0 * dice.unit()).round() as i64;
            let traffic = Traffic::of(links, flow.answer_bytes, flow.inbound, &mut dice);
            // A group without anything in a minute has no row.
            if links > 0 || traffic.live > 0 {
                self.write_flow(vm, moment, flow, traffic)?;
            }
        }
        for contact in contacts {
            self.write_contact(vm, moment, contact, &mut dice)?;
        }
        Ok(())
    }

    fn write_flow(
        &mut self,
        vm: &Vm,
        moment: &Moment,
        flow: &Flow,
        traffic: Traffic,
    ) -> Result<(), RowError> {
        self.push(
            vm,
            moment,
            Group {
                process: &flow.process,
                process_name: &flow.process_name,
                inbound: flow.inbound,
                source_ip: &flow.source_ip,
                destination_ip: &flow.destination_ip,
                remote_ip: &flow.remote_ip,
                port: flow.port,
                connection_id: &flow.connection_id,
                country: flow.country.clone(),
                latitude: flow.latitude.clone(),
                longitude: flow.longitude.clone(),
                dns: flow.dns.clone(),
                traffic,
                threat: None,
            },
        )
    }

    fn write_contact(
        &mut self,
        vm: &Vm,
        moment: &Moment,
        contact: &Contact,
        dice: &mut Dice,
    ) -> Result<(), RowError> {
        let [a, b, c, d] = contact.address;
        let remote = format!("{a}.{b}.{c}.{d}");
        let (source, destination) = if contact.inbound {
            (remote.as_str(), &*vm.ip)
        } else {
            (&*vm.ip, remote.as_str())
        };
        let process_name = match (contact.inbound, contact.port, vm.os) {
            (true, 22, _) => "sshd",
            (true, _, Os::Windows) => "svchost",
            (true, _, Os::Linux) => "nginx",
            (false, _, Os::Windows) => "powershell",
            (false, _, Os::Linux) => "curl",
        };
        let agent = text_of(&vm.agent_id);
        let indicator = Indicator::of(contact.address);
        let links = dice.between(1, if contact.inbound { 6 } else { 2 });
        let traffic = Traffic::of(links, 900, contact.inbound, dice);
        self.push(
            vm,
            moment,
            Group {
                process: &process_id(agent, process_name),
                process_name: &Value::string(process_name),
                inbound: contact.inbound,
                source_ip: &Value::string(source),
                destination_ip: &Value::string(destination),
                remote_ip: &Value::string(remote.as_str()),
                port: contact.port,
                connection_id: &connection_id(
                    agent,
                    contact.inbound,
                    source,
                    destination,
                    contact.port,
                ),
                country: Value::string(indicator.country),
                latitude: Value::Real(indicator.latitude),
                longitude: Value::Real(indicator.longitude),
                dns: Value::string(""),
                traffic,
                threat: Some(&indicator),
            },
        )
    }

    fn push(&mut self, vm: &Vm, moment: &Moment, group: Group<'_>) -> Result<(), RowError> {
        let traffic = &group.traffic;
        let [
            kind,
            confidence,
            description,
            tlp_level,
            first,
            last,
            active,
            malicious_ip,
        ] = match group.threat {
            None => std::array::from_fn(|_| self.common.empty.clone()),
            Some(threat) => {
                let (first, last) = threat.reported(moment.day);
                [
                    Value::string(threat.threat_type),
                    Value::string(threat.confidence.to_string()),
                    Value::string(threat.description),
                    Value::string(threat.tlp_level),
                    first,
                    last,
                    Value::string("True"),
                    group.remote_ip.clone(),
                ]
            }
        };
        let severity = group
            .threat
            .map_or(Value::Null, |threat| Value::Int(threat.severity));
        let direction = if group.inbound {
            &self.inbound
        } else {
            &self.outbound
        };
        self.rows.push(
            moment.arrival,
            [
                self.common.workspace_id.clone(),
                self.common.insights.clone(),
                moment.start.clone(),
                vm.agent_id.clone(),
                vm.computer.clone(),
                vm.machine.clone(),
                group.process.clone(),
                group.process_name.clone(),
                direction.clone(),
                group.source_ip.clone(),
                group.destination_ip.clone(),
                Value::Int(group.port),
                self.protocol.clone(),
                group.remote_ip.clone(),
                group.connection_id.clone(),
                Value::Long(traffic.sent),
                Value::Long(traffic.received),
                Value::Long(traffic.established),
                Value::Long(traffic.terminated),
                Value::Long(traffic.failed),
                Value::Long(traffic.live),
                Value::Long(traffic.responses),
                Value::Long(traffic.fastest),
                Value::Long(traffic.slowest),
                Value::Long(traffic.waited),
                group.country,
                group.latitude,
                group.longitude,
                group.dns.clone(),
                group.dns,
                malicious_ip,
                kind,
                description,
                tlp_level,
                confidence,
                severity,
                first,
                last,
                active,
                self.kind.clone(),
                vm.resource_id.clone(),
                vm.subscription_id.clone(),
                self.common.billable.clone(),
                moment.received.clone(),
            ],
        )
    }
}
