//! What the packs' queries leave out.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Rows that nobody wants to see. Each query of the packs, and of the user, that names one of these is
/// given it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterSettings {
    /// The least severity of a threat indicator, from 0 to 5.
    pub min_severity: i64,
    /// The least confidence in a threat indicator, from 0 to 100.
    pub min_confidence_percent: i64,
    /// Remote addresses that are no threat, whatever is said of them.
    pub allowed_addresses: Vec<Network>,
    /// Globs of disks that are not looked at.
    pub exclude_disks: Vec<Glob>,
}

impl Default for FilterSettings {
    /// All threats. Of the disks, not those that are read-only images (snap's are always full) or another
    /// disk's folders under a second name, as a container has them.
    fn default() -> Self {
        let globs = [
            "/snap",
            "/snap/*",
            "/run/*",
            "/var/lib/docker/*",
            "/var/lib/containerd/*",
            "/var/lib/containers/*",
            "/var/lib/kubelet/*",
        ];
        Self {
            min_severity: 0,
            min_confidence_percent: 0,
            allowed_addresses: Vec::new(),
            exclude_disks: globs.map(|glob| Glob(glob.to_owned())).into(),
        }
    }
}

/// Addresses that share the first bits, as CIDR writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    length: u8,
}

/// The rule that a network broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("{0:?} must be an address or a network such as 10.0.0.0/8 or 2001:db8::/32")]
    Form(String),
    #[error("{0:?} has bits behind its prefix; the network is {1}")]
    HostBits(String, Network),
    #[error("{0:?} is every address: no threat would be seen")]
    Everything(String),
}

impl Network {
    pub fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    fn masked(self) -> Self {
        let address = match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.length));
                IpAddr::V4((address.to_bits() & mask.unwrap_or(0)).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.length));
                IpAddr::V6((address.to_bits() & mask.unwrap_or(0)).into())
            }
        };
        Self { address, ..self }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let form = || NetworkError::Form(text.to_owned());
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| form())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            // `parse` would take a sign, too.
            Some(length) if length.bytes().all(|b| b.is_ascii_digit()) => {
                length.parse().map_err(|_| form())?
            }
            Some(_) => return Err(form()),
            None => most,
        };
        let network = Self { address, length };
        if length > most {
            Err(form())
        } else if length == 0 {
            Err(NetworkError::Everything(text.to_owned()))
        } else if network.masked() != network {
            Err(NetworkError::HostBits(text.to_owned(), network.masked()))
        } else {
            Ok(network)
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// A pattern of a whole text: `*` stands for any characters, `?` for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

/// The rule that a glob broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    #[error("{0:?} must have 1 to {most} characters", most = LONGEST_GLOB)]
    Length(String),
    #[error("{0:?} fits every disk: none would be seen")]
    Everything(String),
    #[error("{0:?}: only * and ? are special; there are no sets such as [ab] or {{a,b}}")]
    Sets(String),
}

const LONGEST_GLOB: usize = 256;

impl Glob {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Glob {
    type Err = GlobError;

    fn from_str(text: &str) -> Result<Self, GlobError> {
        if text.is_empty() || text.chars().count() > LONGEST_GLOB {
            Err(GlobError::Length(text.to_owned()))
        } else if text.chars().all(|c| c == '*') {
            Err(GlobError::Everything(text.to_owned()))
        } else if text.contains(['[', ']', '{', '}']) {
            Err(GlobError::Sets(text.to_owned()))
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_written_as_it_is_meant() {
        for (text, meant) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("128.0.0.0/1", "128.0.0.0/1"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
        ] {
            let network: Network = text.parse().unwrap();
            assert_eq!(network.to_string(), meant);
        }
    }

    #[test]
    fn what_is_no_network_is_told_so() {
        for (text, rule) in [
            ("", "must be an address or a network"),
            ("10.0.0/8", "must be an address or a network"),
            ("10.0.0.0/", "must be an address or a network"),
            ("10.0.0.0/+8", "must be an address or a network"),
            ("10.0.0.0/33", "must be an address or a network"),
            ("::/129", "must be an address or a network"),
            ("10.0.0.0/8\n", "must be an address or a network"),
            (
                "10.1.2.3/8",
                "has bits behind its prefix; the network is 10.0.0.0/8",
            ),
            (
                "2001:db8::1/32",
                "has bits behind its prefix; the network is 2001:db8::/32",
            ),
            ("0.0.0.0/0", "is every address: no threat would be seen"),
            ("::/0", "is every address: no threat would be seen"),
        ] {
            let error = text.parse::<Network>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{text:?} {rule}")), "{error}");
        }
    }

    #[test]
    fn what_is_no_glob_is_told_so() {
        let long = "x".repeat(257);
        for (text, rule) in [
            ("", " must have 1 to 256 characters"),
            (&long, " must have 1 to 256 characters"),
            ("**", " fits every disk: none would be seen"),
            (
                "/mnt/[ab]",
                ": only * and ? are special; there are no sets such as [ab] or {a,b}",
            ),
        ] {
            let error = text.parse::<Glob>().unwrap_err().to_string();
            assert_eq!(error, format!("{text:?}{rule}"));
        }
    }
}
