//! The scenarios by name.

use std::fmt;
use std::str::FromStr;

/// What happens in the simulated workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scenario {
    /// Ordinary days: no threats, no full disk, nobody silent.
    Calm,
    /// Botnet scans from many addresses in waves, and one VM that talks to a C2 server.
    Attack,
    /// One disk goes from plenty to almost full in about two hours; another VM's logs come close and
    /// are rotated in time.
    DiskFilling,
    /// VMConnection rows stopped coming 20 minutes before the start; one VM is gone altogether.
    SilentFeed,
    /// Something of each: attacks, a filling disk, a VM gone silent.
    Mixed,
}

impl Scenario {
    pub const ALL: [Self; 5] = [
        Self::Calm,
        Self::Attack,
        Self::DiskFilling,
        Self::SilentFeed,
        Self::Mixed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Attack => "attack",
            Self::DiskFilling => "disk-filling",
            Self::SilentFeed => "silent-feed",
            Self::Mixed => "mixed",
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scenario {
    type Err = UnknownScenario;

    fn from_str(name: &str) -> Result<Self, UnknownScenario> {
        Self::ALL
            .into_iter()
            .find(|scenario| scenario.as_str() == name)
            .ok_or_else(|| UnknownScenario(name.to_owned()))
    }
}

/// A name that no scenario has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no scenario {0:?}; a scenario is one of calm, attack, disk-filling, silent-feed, mixed")]
pub struct UnknownScenario(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_and_the_error_lists_them_all() {
        for scenario in Scenario::ALL {
            assert_eq!(scenario.to_string().parse(), Ok(scenario));
        }
        let error = "Calm".parse::<Scenario>().unwrap_err().to_string();
        assert_eq!(
            error,
            "no scenario \"Calm\"; a scenario is one of calm, attack, disk-filling, silent-feed, mixed"
        );
        assert!(Scenario::ALL.iter().all(|one| error.contains(one.as_str())));
    }
}
