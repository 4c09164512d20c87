//! What a scenario makes happen, to whom and when: counted in minutes from the start, so that there
//! is something to see in the first minutes of a demo.

use super::dice::Dice;
use crate::simulator::Scenario;

/// A scenario set at a moment in a fleet.
pub struct Story {
    seed: u64,
    scenario: Scenario,
    fleet_size: usize,
    start: i64,
}

/// One malicious remote address at one machine in one minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Always of 192.0.2.0/24, 198.51.100.0/24 or 203.0.113.0/24: addresses that nobody has.
    pub address: [u8; 4],
    pub inbound: bool,
    pub port: i32,
}

/// Botnet scans come in waves: so many minutes of every so many.
const WAVE: i64 = 12;
const WAVE_CYCLE: i64 = 22;
/// Minutes into a wave at the start.
const WAVE_AT_START: i64 = 6;

/// The same for the talk to a C2 server: it has just ended at the start, and comes again soon.
const BEACON: i64 = 18;
const BEACON_CYCLE: i64 = 34;
const BEACON_AT_START: i64 = 25;

/// Minutes before the start at which the connection feed stopped (SilentFeed), and a VM went.
const FEED_STOPPED: i64 = 20;
const VM_WENT: i64 = 12;

impl Story {
    /// `start` counts minutes since the Unix epoch.
    pub fn new(seed: u64, scenario: Scenario, fleet_size: usize, start: i64) -> Self {
        Self {
            seed,
            scenario,
            fleet_size,
            start,
        }
    }

    pub fn start(&self) -> i64 {
        self.start
    }

    fn has_attacks(&self) -> bool {
        matches!(self.scenario, Scenario::Attack | Scenario::Mixed)
    }

    fn has_filling_disk(&self) -> bool {
        matches!(self.scenario, Scenario::DiskFilling | Scenario::Mixed)
    }

    /// Whether this disk fills up: the system disk of the second VM (of the only one).
    pub fn fills(&self, vm: usize, disk: usize) -> bool {
        self.has_filling_disk() && disk == 0 && vm == 1.min(self.fleet_size.saturating_sub(1))
    }

    /// Whether this VM's logs come close to filling their disk before each rotation.
    pub fn logs_swell(&self, vm: usize) -> bool {
        self.has_filling_disk() && vm == 4
    }

    /// Whether this VM sends anything in this minute. The one that goes is never the only one.
    pub fn is_alive(&self, vm: usize, minute: i64) -> bool {
        let goes = matches!(self.scenario, Scenario::SilentFeed | Scenario::Mixed)
            && self.fleet_size > 1
            && vm == 7.min(self.fleet_size - 1);
        !goes || minute < self.start - VM_WENT
    }

    /// Whether the Dependency agents report connections and ports in this minute.
    pub fn reports_connections(&self, minute: i64) -> bool {
        self.scenario != Scenario::SilentFeed || minute < self.start - FEED_STOPPED
    }

    /// The malicious addresses that a VM has to do with in a minute.
    pub fn contacts(&self, vm: usize, minute: i64) -> Vec<Contact> {
        let mut contacts = Vec::new();
        if !self.has_attacks() {
            return contacts;
        }
        self.scan(vm, minute, &mut contacts);
        self.beacon(vm, minute, &mut contacts);
        self.stray(vm, minute, &mut contacts);
        contacts
    }

    /// Part of a botnet of the wave's own addresses tries the VMs' remote shells.
    fn scan(&self, vm: usize, minute: i64, contacts: &mut Vec<Contact>) {
        let (victims, most) = match self.scenario {
            Scenario::Attack => ([0, 3, 11], 16),
            _ => ([0, 3, 0], 8),
        };
        let since = minute - self.start + WAVE_AT_START;
        if since.rem_euclid(WAVE_CYCLE) >= WAVE
            || !victims
                .iter()
                .any(|&victim| victim % self.fleet_size.max(1) == vm)
        {
            return;
        }
        let wave = since.div_euclid(WAVE_CYCLE) as u64;
        let first = Dice::new(&[self.seed, 0x7761_7665, wave]).between(0, 253);
        let mut dice = Dice::new(&[self.seed, 0x7363_616E, vm as u64, minute as u64]);
        let port = dice.pick([22, 3389]);
        // Each address once a minute: a connection group is one row.
        let start = dice.between(0, 23);
        for number in 0..dice.between(most / 2, most) {
            let host = 1 + (first + (start + number) % 24) % 254;
            contacts.push(Contact {
                address: [192, 0, 2, host as u8],
                inbound: true,
                port,
            });
        }
    }

    /// One VM calls a command-and-control server, every minute while it lasts.
    fn beacon(&self, vm: usize, minute: i64, contacts: &mut Vec<Contact>) {
        let since = minute - self.start + BEACON_AT_START;
        if vm == 6 % self.fleet_size.max(1) && since.rem_euclid(BEACON_CYCLE) < BEACON {
            let turn = since.div_euclid(BEACON_CYCLE) as u64;
            let host = Dice::new(&[self.seed, 0x6332, turn]).between(1, 254);
            contacts.push(Contact {
                address: [198, 51, 100, host as u8],
                inbound: false,
                port: 443,
            });
        }
    }

    /// Now and then an address of some other bad name, either way.
    fn stray(&self, vm: usize, minute: i64, contacts: &mut Vec<Contact>) {
        let share = if self.scenario == Scenario::Attack {
            0.04
        } else {
            0.015
        };
        let mut dice = Dice::new(&[self.seed, 0x7374_7279, vm as u64, minute as u64]);
        if dice.chance(share) {
            contacts.push(Contact {
                address: [203, 0, 113, dice.between(1, 254) as u8],
                inbound: dice.chance(0.5),
                port: dice.pick([80, 443, 8080]),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const START: i64 = 29_000_000;

    fn contacts(scenario: Scenario, minutes: std::ops::Range<i64>) -> Vec<Contact> {
        let story = Story::new(1, scenario, 12, START);
        minutes
            .flat_map(|minute| (0..12).flat_map(move |vm| [(vm, minute)]))
            .flat_map(|(vm, minute)| story.contacts(vm, START + minute))
            .collect()
    }

    #[test]
    fn only_attack_and_mixed_have_contacts() {
        for scenario in [Scenario::Calm, Scenario::DiskFilling, Scenario::SilentFeed] {
            assert_eq!(contacts(scenario, -600..600), []);
        }
    }

    #[test]
    fn any_half_hour_of_an_attack_has_scans_and_a_quiet_stretch() {
        for scenario in [Scenario::Attack, Scenario::Mixed] {
            for from in -60..60 {
                let scans = |minute: i64| {
                    contacts(scenario, minute..minute + 1)
                        .iter()
                        .filter(|contact| contact.address[0] == 192)
                        .count()
                };
                let scans: Vec<_> = (from..from + 30).map(scans).collect();
                assert!(scans.iter().any(|&rows| rows > 4), "{scans:?}");
                assert!(scans.contains(&0), "{scans:?}");
            }
        }
    }

    #[test]
    fn a_demo_starts_with_scans_and_a_server_that_was_called() {
        let recent = contacts(Scenario::Mixed, -13..-3);
        assert!(
            recent
                .iter()
                .any(|one| one.inbound && one.address[0] == 192)
        );
        assert!(
            recent
                .iter()
                .any(|one| !one.inbound && one.address[0] == 198)
        );
    }

    #[test]
    fn an_address_contacts_a_vm_once_a_minute() {
        let story = Story::new(1, Scenario::Attack, 12, START);
        for minute in START - 200..START + 200 {
            let contacts = story.contacts(0, minute);
            let distinct: HashSet<_> = contacts.iter().map(|one| one.address).collect();
            assert_eq!(distinct.len(), contacts.len());
        }
    }

    #[test]
    fn silence_spares_a_fleet_of_one() {
        let alone = Story::new(1, Scenario::SilentFeed, 1, START);
        assert!(alone.is_alive(0, START));
        let story = Story::new(1, Scenario::Mixed, 12, START);
        assert!(story.is_alive(7, START - 13) && !story.is_alive(7, START - 12));
        assert!(story.is_alive(6, START) && story.reports_connections(START));
        let silent = Story::new(1, Scenario::SilentFeed, 12, START);
        assert!(silent.reports_connections(START - 21));
        assert!(!silent.reports_connections(START - 20));
    }
}
