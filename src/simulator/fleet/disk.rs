//! How full a disk is at which minute.

use super::dice::Dice;
use super::story::Story;
use super::vm::{Os, Role};
use crate::kql::Value;

/// A mounted disk.
pub struct Disk {
    pub size_mb: i64,
    use_of_it: Use,
    /// Distinguishes this disk's noise from all others'.
    key: u64,
    /// `{"vm.azm.ms/mountId":"C:"}`
    pub tags: Value,
    /// The same with the disk's size, as FreeSpaceMB has it.
    pub size_tags: Value,
}

enum Use {
    /// About this share is used, a little more by day.
    Steady(f64),
    /// Logs: grows for so many minutes, then a rotation takes it back.
    Logs { period: i64, offset: i64 },
    /// A read-only image is always full.
    Image,
}

/// Minutes from plenty to almost full, in a scenario that fills a disk.
const FILLING: i64 = 110;
/// Minutes from one clean-up to the next: filling, then full for a while.
const FILLING_CYCLE: i64 = 150;
/// Where in that cycle the start is: about 16 % are free then, and less than 10 % ten minutes later.
const FILLING_AT_START: i64 = 85;

impl Disk {
    pub(super) fn of(os: Os, role: Role, index: usize, dice: &mut Dice) -> Vec<Self> {
        let mut disks = Vec::new();
        let mut add = |mount, size_mb, use_of_it, dice: &mut Dice| {
            disks.push(Self::new(mount, size_mb, use_of_it, dice.roll()));
        };
        let steady = |dice: &mut Dice| Use::Steady(0.25 + 0.4 * dice.unit());
        let logs = |dice: &mut Dice| {
            let period = dice.between(90, 150);
            Use::Logs {
                period,
                offset: dice.between(0, period - 1),
            }
        };
        match os {
            Os::Windows => {
                let system = steady(dice);
                add("C:", 129_461, system, dice);
                let second = match role {
                    Role::SqlServer | Role::FileServer => (1_048_445, steady(dice)),
                    _ => (32_765, logs(dice)),
                };
                add("D:", second.0, second.1, dice);
            }
            Os::Linux => {
                let root = steady(dice);
                add("/", 29_588, root, dice);
                let log = logs(dice);
                add("/var", 63_968, log, dice);
                if matches!(role, Role::Database | Role::Build | Role::Web) {
                    let temporary = steady(dice);
                    add("/mnt", 75_102, temporary, dice);
                }
                if index.is_multiple_of(12) {
                    add("/snap/core20/1974", 64, Use::Image, dice);
                }
            }
        }
        disks
    }

    fn new(mount: &str, size_mb: i64, use_of_it: Use, key: u64) -> Self {
        Self {
            size_mb,
            use_of_it,
            key,
            tags: Value::string(format!("{{\"vm.azm.ms/mountId\":\"{mount}\"}}")),
            size_tags: Value::string(format!(
                "{{\"vm.azm.ms/mountId\":\"{mount}\",\"vm.azm.ms/diskSizeMB\":{size_mb}}}"
            )),
        }
    }

    /// Whether reads and writes go to it.
    pub fn is_busy(&self) -> bool {
        !matches!(self.use_of_it, Use::Image)
    }

    /// Whole megabytes free in this minute, from 0 to the disk's size.
    pub fn free_mb(&self, vm: usize, disk: usize, minute: i64, story: &Story) -> i64 {
        let noise = 0.004 * Dice::new(&[self.key, minute as u64]).unit();
        let used = if story.fills(vm, disk) {
            let since = (minute - story.start() + FILLING_AT_START).rem_euclid(FILLING_CYCLE);
            let filled = since.min(FILLING) as f64 / FILLING as f64;
            0.35 + 0.63 * filled + noise
        } else {
            match self.use_of_it {
                Use::Steady(used) => used + 0.02 * daylight(minute) + noise,
                Use::Logs { period, offset } => {
                    let grown = (minute + offset).rem_euclid(period) as f64 / period as f64;
                    let peak = if story.logs_swell(vm) { 0.94 } else { 0.78 };
                    0.45 + (peak - 0.45) * grown + noise
                }
                Use::Image => return 0,
            }
        };
        let free = (self.size_mb as f64 * (1.0 - used)).round();
        (free as i64).clamp(0, self.size_mb)
    }
}

/// The working day as a wave from 0 (02:00) to 1 (14:00 UTC).
pub fn daylight(minute: i64) -> f64 {
    let of_day = (minute.rem_euclid(1440) - 120) as f64 / 1440.0;
    0.5 - 0.5 * (of_day * std::f64::consts::TAU).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::Scenario;

    const DAY: i64 = 20_000 * 1440;

    fn disks(os: Os, role: Role) -> Vec<Disk> {
        Disk::of(os, role, 0, &mut Dice::new(&[1]))
    }

    #[test]
    fn free_space_stays_within_the_disk_in_every_scenario() {
        for scenario in Scenario::ALL {
            let story = Story::new(1, scenario, 12, DAY);
            for vm in 0..12 {
                for (number, disk) in disks(Os::Linux, Role::Web).iter().enumerate() {
                    for minute in DAY - 300..DAY + 300 {
                        let free = disk.free_mb(vm, number, minute, &story);
                        assert!((0..=disk.size_mb).contains(&free), "{free}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_filling_disk_goes_from_plenty_to_almost_full_and_is_cleaned_up() {
        let story = Story::new(1, Scenario::DiskFilling, 12, DAY);
        let vm = (0..12).find(|&vm| story.fills(vm, 0)).unwrap();
        let disk = &disks(Os::Windows, Role::SqlServer)[0];
        let percent = |minute: i64| {
            100.0 * disk.free_mb(vm, 0, DAY + minute, &story) as f64 / disk.size_mb as f64
        };
        assert!(percent(-85) > 60.0, "{}", percent(-85));
        assert!((14.0..20.0).contains(&percent(0)), "{}", percent(0));
        assert!((1.0..2.5).contains(&percent(25)), "{}", percent(25));
        assert!(percent(65) > 60.0, "{}", percent(65));
    }

    #[test]
    fn logs_grow_and_are_rotated() {
        let story = Story::new(1, Scenario::Calm, 12, DAY);
        let disk = &disks(Os::Linux, Role::App)[1];
        assert_eq!(disk.tags, Value::string(r#"{"vm.azm.ms/mountId":"/var"}"#));
        let free: Vec<_> = (0..300)
            .map(|minute| disk.free_mb(0, 1, DAY + minute, &story))
            .collect();
        let rotations = free
            .windows(2)
            .filter(|pair| pair[1] - pair[0] > disk.size_mb / 5)
            .count();
        assert!((2..=3).contains(&rotations), "{rotations}");
    }

    #[test]
    fn the_day_peaks_in_the_afternoon() {
        assert_eq!(daylight(DAY + 120), 0.0);
        assert!((daylight(DAY + 840) - 1.0).abs() < 1e-9);
    }
}
