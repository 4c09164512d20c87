//! Who is in the fleet: each machine's names, size, disks and addresses.

use std::sync::Arc;

use super::dice::Dice;
use super::disk::Disk;
use super::flows::Flow;
use crate::kql::Value;

/// Machines repeat after so many, with higher numbers in their names.
pub const BLOCK: usize = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Os {
    Linux,
    Windows,
}

/// What a machine does, and so what it runs and whom it talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Web,
    App,
    Database,
    SqlServer,
    DomainController,
    FileServer,
    Build,
    Jump,
}

/// A machine. Texts that stand in every row are values already, so that a row costs no allocation.
pub struct Vm {
    pub index: usize,
    pub os: Os,
    /// As the agent spells it: the case is the machine's own.
    pub computer: Value,
    /// The short name, e.g. `SQL-01`.
    pub name: Arc<str>,
    /// Lower-case ARM id; empty for a machine that Azure does not know.
    pub resource_id: Value,
    pub subscription_id: Value,
    pub resource_group: Arc<str>,
    /// `Microsoft.Compute`, or `Microsoft.HybridCompute` for an Arc machine; empty for neither.
    pub provider: &'static str,
    pub agent_id: Value,
    /// `m-` and the agent's id: the Map's name for the machine.
    pub machine: Value,
    pub azure_vm_id: Arc<str>,
    pub ip: Arc<str>,
    pub location: &'static str,
    pub size: &'static str,
    pub cpus: i32,
    pub memory_mb: i64,
    pub device: &'static str,
    pub disks: Vec<Disk>,
    pub flows: Vec<Flow>,
    /// Tags that never change: memory's and the processors'.
    pub memory_tags: Value,
    pub cpu_tags: Value,
}

struct Place {
    base: &'static str,
    /// The name's number in the first block, and how many the block has of this name.
    number: (usize, usize),
    domain: &'static str,
    os: Os,
    role: Role,
    group: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Azure,
    Arc,
    Unknown,
}

const fn place(
    base: &'static str,
    number: (usize, usize),
    os: Os,
    role: Role,
    group: &'static str,
) -> Place {
    Place {
        base,
        number,
        domain: "",
        os,
        role,
        group,
        kind: Kind::Azure,
    }
}

/// One block of the fleet. The sixth machine bears the first one's name in another resource group;
/// the last two are an Arc machine and one without a resource id.
const PLACES: [Place; BLOCK] = [
    place("web", (1, 2), Os::Linux, Role::Web, "rg-shop-prod"),
    place("SQL", (1, 2), Os::Windows, Role::SqlServer, "rg-data-prod"),
    place("web", (2, 2), Os::Linux, Role::Web, "rg-shop-prod"),
    Place {
        domain: ".corp.example",
        ..place("DC", (1, 1), Os::Windows, Role::DomainController, "rg-core")
    },
    place("db", (1, 1), Os::Linux, Role::Database, "rg-data-prod"),
    place("web", (1, 2), Os::Linux, Role::Web, "rg-shop-test"),
    place("App", (1, 1), Os::Linux, Role::App, "rg-shop-prod"),
    place("FILE", (1, 1), Os::Windows, Role::FileServer, "rg-core"),
    place("SQL", (2, 2), Os::Windows, Role::SqlServer, "rg-data-prod"),
    place("build", (1, 1), Os::Linux, Role::Build, "rg-ci"),
    Place {
        kind: Kind::Arc,
        ..place("edge", (1, 1), Os::Linux, Role::App, "rg-edge")
    },
    Place {
        kind: Kind::Unknown,
        ..place("Jump", (1, 1), Os::Windows, Role::Jump, "")
    },
];

/// The machine's private address: 10.x.y.z by its index.
pub fn private_ip(index: usize) -> String {
    let number = index + 4;
    format!(
        "10.{}.{}.{}",
        1 + (number >> 16) % 200,
        (number >> 8) & 255,
        number & 255
    )
}

impl Vm {
    /// The machine with this index of a fleet of `fleet_size`.
    pub fn new(seed: u64, index: usize, fleet_size: usize) -> Self {
        let place = &PLACES[index % BLOCK];
        let block = index / BLOCK;
        let mut dice = Dice::new(&[seed, 0x766D, index as u64]);
        let (first, step) = place.number;
        let name: Arc<str> = format!("{}-{:02}", place.base, first + block * step).into();
        let subscription = Dice::new(&[seed, 0x7375_6273, (block / 50) as u64]).guid();
        let (provider, kind) = match place.kind {
            Kind::Azure => ("Microsoft.Compute", "virtualmachines"),
            Kind::Arc => ("Microsoft.HybridCompute", "machines"),
            Kind::Unknown => ("", ""),
        };
        let (resource_id, subscription_id) = if provider.is_empty() {
            (String::new(), String::new())
        } else {
            let id = format!(
                "/subscriptions/{subscription}/resourcegroups/{}/providers/{provider}/{kind}/{name}",
                place.group
            );
            (id.to_ascii_lowercase(), subscription.to_string())
        };
        let agent_id = dice.guid().to_string();
        let machine = format!("m-{agent_id}");
        let (size, cpus, memory_mb) = dice.pick([
            ("Standard_D2s_v5", 2, 7961),
            ("Standard_D4s_v5", 4, 15_981),
            ("Standard_E4s_v5", 4, 32_093),
            ("Standard_D8s_v5", 8, 32_061),
        ]);
        let tags =
            |key: &str, value: &str| Value::string(format!("{{\"vm.azm.ms/{key}\":{value}}}"));
        Self {
            index,
            os: place.os,
            computer: Value::string(format!("{name}{}", place.domain)),
            resource_id: Value::string(resource_id),
            subscription_id: Value::string(subscription_id),
            resource_group: place.group.into(),
            provider,
            machine: Value::string(machine),
            azure_vm_id: dice.guid().to_string().into(),
            ip: private_ip(index).into(),
            location: dice.pick(["westeurope", "northeurope"]),
            size,
            cpus,
            memory_mb,
            device: match place.os {
                Os::Linux => "eth0",
                Os::Windows => "Ethernet",
            },
            disks: Disk::of(place.os, place.role, index, &mut dice),
            flows: Flow::of(place.role, place.os, index, fleet_size, &agent_id),
            memory_tags: tags("memorySizeMB", &memory_mb.to_string()),
            cpu_tags: tags("totalCpus", &cpus.to_string()),
            agent_id: Value::string(agent_id),
            name,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn text(value: &Value) -> &str {
        match value {
            Value::String(text) => text,
            other => panic!("{other:?} is no string"),
        }
    }

    #[test]
    fn two_machines_share_a_name_but_no_two_a_resource_id() {
        let fleet: Vec<_> = (0..BLOCK).map(|index| Vm::new(1, index, BLOCK)).collect();
        let names: Vec<_> = fleet.iter().map(|vm| text(&vm.computer)).collect();
        assert_eq!(
            names,
            [
                "web-01",
                "SQL-01",
                "web-02",
                "DC-01.corp.example",
                "db-01",
                "web-01",
                "App-01",
                "FILE-01",
                "SQL-02",
                "build-01",
                "edge-01",
                "Jump-01"
            ]
        );
        let ids: HashSet<_> = fleet.iter().map(|vm| text(&vm.resource_id)).collect();
        assert_eq!(ids.len(), BLOCK);
        let id = text(&fleet[1].resource_id);
        assert!(id.starts_with("/subscriptions/"), "{id}");
        assert!(
            id.ends_with(
                "/resourcegroups/rg-data-prod/providers/microsoft.compute/virtualmachines/sql-01"
            ),
            "{id}"
        );
        assert!(text(&fleet[10].resource_id).contains("/microsoft.hybridcompute/machines/edge-01"));
        assert_eq!(text(&fleet[11].resource_id), "");
    }

    #[test]
    fn a_large_fleet_repeats_no_resource_id_and_no_address() {
        let fleet: Vec<_> = (0..2400).map(|index| Vm::new(1, index, 2400)).collect();
        let ids: HashSet<_> = fleet.iter().map(|vm| text(&vm.resource_id)).collect();
        assert_eq!(ids.len(), 2400 - 2400 / BLOCK + 1);
        let addresses: HashSet<_> = fleet.iter().map(|vm| vm.ip.clone()).collect();
        assert_eq!(addresses.len(), 2400);
        assert_eq!(&*fleet[252].ip, "10.1.1.0");
    }
}
