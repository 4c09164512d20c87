//! VMComputer and VMProcess: what each machine tells the Map once an hour.

use std::collections::BTreeMap;

use serde_json::json;

use super::dice::Dice;
use super::vm::{Os, Vm};
use super::writer::Writer;
use super::{Common, Moment, TICKS_PER_SECOND, text_of};
use crate::kql::{Batch, DateTime, RowError, Schema, Value};

const COMPUTER_COLUMNS: [&str; 38] = [
    "TenantId",
    "SourceSystem",
    "TimeGenerated",
    "AgentId",
    "Machine",
    "Computer",
    "DisplayName",
    "FullDisplayName",
    "HostName",
    "BootTime",
    "TimeZone",
    "VirtualizationState",
    "Ipv4Addresses",
    "Ipv4SubnetMasks",
    "Ipv4DefaultGateways",
    "Ipv6Addresses",
    "MacAddresses",
    "DnsNames",
    "DependencyAgentVersion",
    "OperatingSystemFamily",
    "OperatingSystemFullName",
    "PhysicalMemoryMB",
    "Cpus",
    "CpuSpeed",
    "VirtualMachineType",
    "HypervisorType",
    "HostingProvider",
    "AzureSubscriptionId",
    "AzureResourceGroup",
    "AzureResourceName",
    "AzureLocation",
    "AzureVmId",
    "AzureSize",
    "AzureImagePublisher",
    "AzureImageOffering",
    "Type",
    "_ResourceId",
    "_SubscriptionId",
];

const PROCESS_COLUMNS: [&str; 18] = [
    "TenantId",
    "SourceSystem",
    "TimeGenerated",
    "AgentId",
    "Computer",
    "Machine",
    "Process",
    "ExecutableName",
    "DisplayName",
    "StartTime",
    "FirstPid",
    "ExecutablePath",
    "CommandLine",
    "Services",
    "UserName",
    "Type",
    "_ResourceId",
    "_SubscriptionId",
];

/// Writes the hourly rows.
pub struct Inventory<'a> {
    computers: Writer<{ COMPUTER_COLUMNS.len() }>,
    processes: Writer<{ PROCESS_COLUMNS.len() }>,
    common: &'a Common,
}

impl<'a> Inventory<'a> {
    pub fn new(schema: &Schema, common: &'a Common) -> Self {
        Self {
            computers: Writer::new(schema, "VMComputer", &COMPUTER_COLUMNS),
            processes: Writer::new(schema, "VMProcess", &PROCESS_COLUMNS),
            common,
        }
    }

    pub fn finish(self) -> impl Iterator<Item = (&'static str, Batch)> {
        self.computers
            .finish()
            .into_iter()
            .chain(self.processes.finish())
    }

    /// Whether this is the minute of the VM's hour in which it sends its inventory.
    pub fn is_due(vm: &Vm, minute: i64) -> bool {
        minute.rem_euclid(60) == (vm.index as i64 * 7) % 60
    }

    pub fn write(&mut self, vm: &Vm, moment: &Moment) -> Result<(), RowError> {
        self.write_computer(vm, moment)?;
        self.write_processes(vm, moment)
    }

    fn write_computer(&mut self, vm: &Vm, moment: &Moment) -> Result<(), RowError> {
        let text = |text: &str| Value::string(text);
        let list = |items: &[&str]| Value::Dynamic(json!(items).into());
        let (family, full_name, publisher, offering) = match vm.os {
            Os::Linux => (
                "linux",
                "Ubuntu 22.04.4 LTS",
                "canonical",
                "0001-com-ubuntu-server-jammy",
            ),
            Os::Windows => (
                "windows",
                "Microsoft Windows Server 2022 Datacenter",
                "microsoftwindowsserver",
                "windowsserver",
            ),
        };
        let in_azure = vm.provider == "Microsoft.Compute";
        let azure = |value: &str| Value::string(if in_azure { value } else { "" });
        let mut dice = Dice::new(&[self.common.seed, 0x6276, vm.index as u64]);
        let mac = format!(
            "00-0D-3A-{:02X}-{:02X}-{:02X}",
            dice.between(0, 255),
            dice.between(0, 255),
            dice.between(0, 255)
        );
        self.computers.push(
            moment.arrival,
            [
                self.common.workspace_id.clone(),
                self.common.insights.clone(),
                moment.generated.clone(),
                vm.agent_id.clone(),
                vm.machine.clone(),
                vm.computer.clone(),
                text(&vm.name),
                vm.computer.clone(),
                text(&vm.name),
                Value::DateTime(self.common.booted(vm.index)),
                text("UTC"),
                text("virtual"),
                list(&[&vm.ip]),
                list(&["255.255.0.0"]),
                list(&["10.1.0.1"]),
                list(&[]),
                list(&[&mac]),
                list(&[text_of(&vm.computer)]),
                text("9.10.18.4770"),
                text(family),
                text(full_name),
                Value::Long(vm.memory_mb),
                Value::Int(vm.cpus),
                Value::Int(2793),
                text(if in_azure { "hyperv" } else { "vmware" }),
                text(if in_azure { "hyperv" } else { "" }),
                azure("azure"),
                azure(text_of(&vm.subscription_id)),
                azure(&vm.resource_group),
                azure(&vm.name),
                azure(vm.location),
                azure(&vm.azure_vm_id),
                azure(vm.size),
                azure(publisher),
                azure(offering),
                text("VMComputer"),
                vm.resource_id.clone(),
                vm.subscription_id.clone(),
            ],
        )
    }

    fn write_processes(&mut self, vm: &Vm, moment: &Moment) -> Result<(), RowError> {
        let names: BTreeMap<_, _> = vm
            .flows
            .iter()
            .map(|flow| (text_of(&flow.process_name), &flow.process))
            .collect();
        for (number, (name, process)) in names.into_iter().enumerate() {
            let (executable, path, user) = match vm.os {
                Os::Linux => (name.to_owned(), format!("/usr/bin/{name}"), "root"),
                Os::Windows => (
                    format!("{name}.exe"),
                    format!("C:\\Program Files\\{name}\\{name}.exe"),
                    "SYSTEM",
                ),
            };
            self.processes.push(
                moment.arrival,
                [
                    self.common.workspace_id.clone(),
                    self.common.insights.clone(),
                    moment.generated.clone(),
                    vm.agent_id.clone(),
                    vm.computer.clone(),
                    vm.machine.clone(),
                    process.clone(),
                    Value::string(executable),
                    Value::string(name),
                    Value::DateTime(self.common.booted(vm.index)),
                    Value::Int(1200 + 16 * number as i32),
                    Value::string(path.as_str()),
                    Value::string(path),
                    Value::Dynamic(json!([]).into()),
                    Value::string(user),
                    Value::string("VMProcess"),
                    vm.resource_id.clone(),
                    vm.subscription_id.clone(),
                ],
            )?;
        }
        Ok(())
    }
}

impl Common {
    /// When a VM booted: some weeks before the fleet's start.
    fn booted(&self, vm: usize) -> DateTime {
        let mut dice = Dice::new(&[self.seed, 0x626F, vm as u64]);
        let before = dice.between(2_000, 60_000) * 60 * TICKS_PER_SECOND;
        DateTime(self.pace.start_of(self.start).0 - before)
    }
}
