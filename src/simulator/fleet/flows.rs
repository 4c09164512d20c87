//! Who talks to whom on ordinary days: a VM's standing connection groups.

use super::dice::Dice;
use super::vm::{BLOCK, Os, Role, private_ip};
use crate::kql::Value;

/// A connection group that is there in most minutes. Its addresses and names never change.
pub struct Flow {
    pub process: Value,
    pub process_name: Value,
    pub inbound: bool,
    pub source_ip: Value,
    pub destination_ip: Value,
    pub remote_ip: Value,
    pub port: i32,
    pub connection_id: Value,
    /// Where the remote address is; empty and null inside.
    pub country: Value,
    pub latitude: Value,
    pub longitude: Value,
    /// A JSON array in a string.
    pub dns: Value,
    /// Connections a minute at full load.
    pub rate: f64,
    /// Bytes that a connection brings to the one who opened it.
    pub answer_bytes: i64,
}

/// Who is at the other end.
#[derive(Clone, Copy)]
enum Remote {
    /// A VM by its place in the block.
    Peer(usize),
    /// A private address that is no VM of the fleet.
    Inside(&'static str),
    Outside(&'static Outside),
    /// Somebody on the internet: another address for each VM.
    Visitor,
}

struct Outside {
    ip: &'static str,
    name: &'static str,
    country: &'static str,
    at: (f64, f64),
}

/// Ordinary services, at benchmarking addresses (198.18.0.0/15) that stand for the internet.
const MONITOR: Outside = Outside {
    ip: "198.18.4.80",
    name: "ingestion.monitor.example",
    country: "Netherlands",
    at: (52.37, 4.9),
};
const STORAGE: Outside = Outside {
    ip: "198.18.60.4",
    name: "shopassets.storage.example",
    country: "Ireland",
    at: (53.35, -6.26),
};
const PACKAGES: Outside = Outside {
    ip: "198.19.7.11",
    name: "packages.build.example",
    country: "United States",
    at: (37.77, -122.42),
};

const WEB: usize = 0;
const SQL: usize = 1;
const DC: usize = 3;
const DB: usize = 4;
const APP: usize = 6;
const FILE: usize = 7;
const OTHER_SQL: usize = 8;
const BUILD: usize = 9;
const JUMP: usize = 11;

/// One line of the plan: process, whether inbound, remote, port, rate, bytes of an answer.
type Line = (&'static str, bool, Remote, i32, f64, i64);

fn plan(role: Role, index: usize) -> Vec<Line> {
    use Remote::{Inside, Outside, Peer, Visitor};
    let place = index % BLOCK;
    match role {
        Role::Web => vec![
            ("nginx", true, Inside("10.250.1.4"), 443, 120.0, 18_000),
            ("nginx", true, Visitor, 443, 6.0, 42_000),
            ("nginx", false, Peer(APP), 8080, 80.0, 6_000),
            ("nginx", false, Outside(&STORAGE), 443, 4.0, 250_000),
        ],
        Role::App => vec![
            ("java", true, Peer(WEB), 8080, 80.0, 6_000),
            ("java", false, Peer(DB), 5432, 60.0, 3_500),
            ("java", false, Peer(SQL), 1433, 20.0, 5_000),
        ],
        Role::Database => vec![
            ("postgres", true, Peer(APP), 5432, 60.0, 3_500),
            ("postgres", true, Peer(BUILD), 5432, 1.0, 900),
            ("pgbackrest", false, Outside(&STORAGE), 443, 2.0, 4_000),
        ],
        Role::SqlServer => vec![
            ("sqlservr", true, Peer(APP), 1433, 20.0, 5_000),
            (
                "sqlservr",
                place == OTHER_SQL,
                Peer(if place == SQL { OTHER_SQL } else { SQL }),
                5022,
                1.0,
                90_000,
            ),
            ("lsass", false, Peer(DC), 389, 2.0, 1_800),
        ],
        Role::DomainController => vec![
            ("lsass", true, Peer(SQL), 389, 2.0, 1_800),
            ("lsass", true, Peer(FILE), 88, 3.0, 1_200),
            ("lsass", true, Peer(JUMP), 88, 1.0, 1_200),
        ],
        Role::FileServer => vec![
            ("System", true, Peer(JUMP), 445, 4.0, 160_000),
            ("lsass", false, Peer(DC), 88, 3.0, 1_200),
        ],
        Role::Build => vec![
            ("dockerd", false, Outside(&PACKAGES), 443, 12.0, 900_000),
            ("git", false, Outside(&PACKAGES), 22, 2.0, 60_000),
            ("psql", false, Peer(DB), 5432, 1.0, 900),
        ],
        Role::Jump => vec![
            ("svchost", true, Visitor, 3389, 0.5, 300_000),
            ("mstsc", false, Peer(SQL), 3389, 0.3, 200_000),
            ("ssh", false, Peer(WEB), 22, 0.3, 20_000),
            ("lsass", false, Peer(DC), 88, 1.0, 1_200),
        ],
    }
}

impl Flow {
    /// The standing flows of a VM, by what it does.
    pub(super) fn of(
        role: Role,
        os: Os,
        index: usize,
        fleet_size: usize,
        agent_id: &str,
    ) -> Vec<Self> {
        let agent = match os {
            Os::Linux => "mdsd",
            Os::Windows => "MonAgentCore",
        };
        let mut lines = plan(role, index);
        lines.push((agent, false, Remote::Outside(&MONITOR), 443, 3.0, 2_500));
        lines
            .into_iter()
            .map(|line| Self::new(line, index, fleet_size, agent_id))
            .collect()
    }

    fn new(line: Line, index: usize, fleet_size: usize, agent_id: &str) -> Self {
        let (process_name, inbound, remote, port, rate, answer_bytes) = line;
        let own = private_ip(index);
        let (remote, name, country, at) = match remote {
            Remote::Peer(place) => (peer(index, place, fleet_size), "", "", None),
            Remote::Inside(ip) => (ip.to_owned(), "", "", None),
            Remote::Outside(outside) => (
                outside.ip.to_owned(),
                outside.name,
                outside.country,
                Some(outside.at),
            ),
            Remote::Visitor => {
                let ip = format!("198.19.{}.{}", 128 + (index >> 8) % 128, index & 255);
                (ip, "", "Germany", Some((50.11, 8.68)))
            }
        };
        let (source, destination) = if inbound {
            (&remote, &own)
        } else {
            (&own, &remote)
        };
        let degrees =
            |pick: fn((f64, f64)) -> f64| at.map_or(Value::Null, |at| Value::Real(pick(at)));
        Self {
            process: process_id(agent_id, process_name),
            process_name: Value::string(process_name),
            inbound,
            connection_id: connection_id(agent_id, inbound, source, destination, port),
            source_ip: Value::string(source.as_str()),
            destination_ip: Value::string(destination.as_str()),
            remote_ip: Value::string(remote.as_str()),
            port,
            country: Value::string(country),
            latitude: degrees(|at| at.0),
            longitude: degrees(|at| at.1),
            dns: Value::string(if name.is_empty() {
                String::new()
            } else {
                format!("[\"{name}\"]")
            }),
            rate,
            answer_bytes,
        }
    }
}

/// The address of the VM at `place` in the block of `index`; an address outside the fleet if the
/// fleet has no such VM.
fn peer(index: usize, place: usize, fleet_size: usize) -> String {
    let peer = index / BLOCK * BLOCK + place;
    if peer < fleet_size {
        private_ip(peer)
    } else {
        format!("10.250.0.{}", 10 + place)
    }
}

/// The Map's id of a process (group) on a machine.
pub fn process_id(agent_id: &str, process_name: &str) -> Value {
    let key = text_key(agent_id) ^ text_key(process_name).rotate_left(17);
    Value::string(format!("p-{}", Dice::new(&[key]).guid().simple()))
}

/// The id of a connection group, a function of what makes the group.
pub fn connection_id(
    agent_id: &str,
    inbound: bool,
    source: &str,
    destination: &str,
    port: i32,
) -> Value {
    let keys = [
        text_key(agent_id),
        u64::from(inbound),
        text_key(source),
        text_key(destination),
        u64::from(port.unsigned_abs()),
    ];
    Value::string(Dice::new(&keys).guid().to_string())
}

/// FNV-1a.
fn text_key(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}
