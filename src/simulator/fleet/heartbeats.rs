//! Heartbeat: each agent says each minute that it is there.

use serde_json::json;

use super::vm::{Os, Vm};
use super::writer::Writer;
use super::{Common, Moment};
use crate::kql::{Batch, RowError, Schema, Value};

const COLUMNS: [&str; 33] = [
    "TenantId",
    "SourceSystem",
    "TimeGenerated",
    "MG",
    "ManagementGroupName",
    "SourceComputerId",
    "ComputerIP",
    "Computer",
    "Category",
    "OSType",
    "OSName",
    "OSMajorVersion",
    "OSMinorVersion",
    "Version",
    "SCAgentChannel",
    "IsGatewayInstalled",
    "RemoteIPLongitude",
    "RemoteIPLatitude",
    "RemoteIPCountry",
    "SubscriptionId",
    "ResourceGroup",
    "ResourceProvider",
    "Resource",
    "ResourceId",
    "ResourceType",
    "ComputerEnvironment",
    "Solutions",
    "VMUUID",
    "ComputerPrivateIPs",
    "Type",
    "_ResourceId",
    "_SubscriptionId",
    "_TimeReceived",
];

/// Writes the Heartbeat rows of VMs and minutes.
pub struct Heartbeats<'a> {
    rows: Writer<{ COLUMNS.len() }>,
    common: &'a Common,
}

impl<'a> Heartbeats<'a> {
    pub fn new(schema: &Schema, common: &'a Common) -> Self {
        Self {
            rows: Writer::new(schema, "Heartbeat", &COLUMNS),
            common,
        }
    }

    pub fn finish(self) -> Option<(&'static str, Batch)> {
        self.rows.finish()
    }

    pub fn write(&mut self, vm: &Vm, moment: &Moment) -> Result<(), RowError> {
        let text = |text: &str| Value::string(text);
        let (os_type, os_name, major, minor, version, category) = match vm.os {
            Os::Linux => (
                "Linux",
                "Ubuntu",
                "22",
                "04",
                "1.33.4",
                "Azure Monitor Agent",
            ),
            Os::Windows => (
                "Windows",
                "Windows Server 2022 Datacenter",
                "10",
                "0",
                "1.31.0.0",
                "Azure Monitor Agent",
            ),
        };
        let kind = match vm.provider {
            "Microsoft.HybridCompute" => "machines",
            "" => "",
            _ => "virtualMachines",
        };
        let environment = if vm.provider == "Microsoft.Compute" {
            "Azure"
        } else {
            "Non-Azure"
        };
        self.rows.push(
            moment.arrival,
            [
                self.common.workspace_id.clone(),
                text(match vm.os {
                    Os::Linux => "Linux",
                    Os::Windows => "OpsManager",
                }),
                moment.generated.clone(),
                self.common.management_group.clone(),
                self.common.management_group_name.clone(),
                vm.agent_id.clone(),
                text("198.18.0.1"),
                vm.computer.clone(),
                text(category),
                text(os_type),
                text(os_name),
                text(major),
                text(minor),
                text(version),
                text("Direct"),
                Value::Bool(false),
                Value::Real(4.9),
                Value::Real(52.37),
                text("Netherlands"),
                vm.subscription_id.clone(),
                text(&vm.resource_group),
                text(vm.provider),
                text(if vm.provider.is_empty() { "" } else { &vm.name }),
                vm.resource_id.clone(),
                text(kind),
                text(environment),
                text("\"vmInsights\""),
                text(&vm.azure_vm_id),
                Value::Dynamic(json!([&*vm.ip]).into()),
                text("Heartbeat"),
                vm.resource_id.clone(),
                vm.subscription_id.clone(),
                moment.received.clone(),
            ],
        )
    }
}
