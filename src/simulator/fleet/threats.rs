//! What threat intelligence says of an address.

use super::dice::Dice;
use crate::kql::{DateTime, Value};

/// The threat columns of a VMConnection row. Of one address it always says the same.
pub struct Indicator {
    pub threat_type: &'static str,
    pub description: &'static str,
    pub tlp_level: &'static str,
    /// 0 to 100; the column is a string.
    pub confidence: i64,
    /// 0 to 5.
    pub severity: i32,
    /// Days before the row.
    first_reported_days: i64,
    pub country: &'static str,
    pub latitude: f64,
    pub longitude: f64,
}

/// Types of 203.0.113.0/24, with what is said of them.
const OTHERS: [(&str, &str); 9] = [
    ("CryptoMining", "Address of a mining pool"),
    ("Darknet", "Relay of an anonymising network"),
    ("DDos", "Took part in a denial-of-service attack"),
    ("MaliciousUrl", "Serves pages that attack browsers"),
    ("Malware", "Distributes malware"),
    ("Phishing", "Hosts phishing pages"),
    ("Proxy", "Open proxy"),
    ("PUA", "Distributes unwanted software"),
    ("Watchlist", "Address under observation"),
];

const PLACES: [(&str, f64, f64); 6] = [
    ("Brazil", -23.55, -46.63),
    ("Canada", 43.65, -79.38),
    ("Kenya", -1.29, 36.82),
    ("Norway", 59.91, 10.75),
    ("Singapore", 1.35, 103.82),
    ("Viet Nam", 10.82, 106.63),
];

impl Indicator {
    pub fn of(address: [u8; 4]) -> Self {
        let mut dice = Dice::new(&[0x7468_7265, u64::from(u32::from_be_bytes(address))]);
        let (threat_type, description, severity) = match address {
            [192, 0, 2, _] => ("Botnet", "Member of a scanning botnet", 3),
            [198, 51, 100, _] => ("C2", "Command-and-control server", 5),
            _ => {
                let (kind, description) = dice.pick(OTHERS);
                (kind, description, dice.between(0, 4) as i32)
            }
        };
        let (country, latitude, longitude) = dice.pick(PLACES);
        Self {
            threat_type,
            description,
            tlp_level: dice.pick(["White", "Green", "Amber", "Red"]),
            confidence: dice.between(30, 100),
            severity,
            first_reported_days: dice.between(20, 400),
            country,
            latitude,
            longitude,
        }
    }

    /// The moments of the first and the last report, as the columns spell them; `today` counts days
    /// since the Unix epoch.
    pub fn reported(&self, today: i64) -> (Value, Value) {
        let day = |day: i64| {
            let moment = DateTime::from_unix_seconds(day * 86_400).to_timestamp();
            Value::string(moment.to_string())
        };
        (day(today - self.first_reported_days), day(today - 1))
    }
}

/// Whether an address is of the ranges that only malicious rows use.
#[cfg(test)]
pub fn is_threat_range(ip: &str) -> bool {
    ["192.0.2.", "198.51.100.", "203.0.113."]
        .iter()
        .any(|range| ip.starts_with(range))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_type_occurs_and_an_address_keeps_its_own() {
        let types: BTreeSet<_> = (0..=255)
            .flat_map(|host| [[192, 0, 2, host], [198, 51, 100, host], [203, 0, 113, host]])
            .map(|address| {
                let indicator = Indicator::of(address);
                assert!((0..=100).contains(&indicator.confidence));
                assert!((0..=5).contains(&indicator.severity));
                assert_eq!(Indicator::of(address).confidence, indicator.confidence);
                indicator.threat_type
            })
            .collect();
        assert_eq!(
            types.into_iter().collect::<Vec<_>>(),
            [
                "Botnet",
                "C2",
                "CryptoMining",
                "DDos",
                "Darknet",
                "MaliciousUrl",
                "Malware",
                "PUA",
                "Phishing",
                "Proxy",
                "Watchlist"
            ]
        );
    }

    #[test]
    fn reports_are_days_before_the_row() {
        let mut indicator = Indicator::of([192, 0, 2, 1]);
        indicator.first_reported_days = 31;
        let (first, last) = indicator.reported(31);
        assert_eq!(first, Value::string("1970-01-01T00:00:00Z"));
        assert_eq!(last, Value::string("1970-01-31T00:00:00Z"));
    }
}
