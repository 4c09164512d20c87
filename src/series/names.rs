//! Names as types: a [`MetricName`] or [`LabelName`] that exists is one that Prometheus takes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};

/// A metric family's name: `[a-zA-Z_][a-zA-Z0-9_]*`. No colon: those belong to recording rules.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricName(Arc<str>);

/// A label's name: `[a-zA-Z_][a-zA-Z0-9_]*`, not `__…`, and none that Prometheus writes itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelName(Arc<str>);

/// The rule that a name broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error(
        "metric name {0:?} must match [a-zA-Z_][a-zA-Z0-9_]* (a colon is for recording rules only)"
    )]
    Metric(String),
    #[error("label name {0:?} must match [a-zA-Z_][a-zA-Z0-9_]*")]
    Label(String),
    #[error("label name {0:?} must not begin with __, which Prometheus keeps for itself")]
    DoubleUnderscore(String),
    #[error(
        "label name {0:?} is one that Prometheus or its scrape configuration sets ({RESERVED_LIST})"
    )]
    Reserved(String),
}

/// Label names that a scraped page must not carry: Prometheus sets them (`job`, `instance`) or
/// gives them a meaning of their own (`le`, `quantile`).
const RESERVED: [&str; 4] = ["job", "instance", "le", "quantile"];
const RESERVED_LIST: &str = "job, instance, le, quantile";

fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl LabelName {
    /// The label that every data series bears first: the workspace's configured name.
    pub fn workspace() -> Self {
        Self("workspace".into())
    }
}

impl FromStr for MetricName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        if is_identifier(name) {
            Ok(Self(name.into()))
        } else {
            Err(NameError::Metric(name.into()))
        }
    }
}

impl FromStr for LabelName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        if !is_identifier(name) {
            Err(NameError::Label(name.into()))
        } else if name.starts_with("__") {
            Err(NameError::DoubleUnderscore(name.into()))
        } else if RESERVED.contains(&name) {
            Err(NameError::Reserved(name.into()))
        } else {
            Ok(Self(name.into()))
        }
    }
}

macro_rules! text_like {
    ($name:ident) => {
        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

text_like!(MetricName);
text_like!(LabelName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_names_state_the_rule() {
        assert!("vminsights_disk_free_percent".parse::<MetricName>().is_ok());
        for bad in ["", "9lives", "a:b", "disk free", "größe"] {
            let error = bad.parse::<MetricName>().unwrap_err().to_string();
            assert!(error.contains(&format!("{bad:?}")), "{error}");
            assert!(error.contains("[a-zA-Z_]"), "{error}");
        }
    }

    #[test]
    fn label_names_that_prometheus_owns_are_refused() {
        assert!("remote_ip".parse::<LabelName>().is_ok());
        assert_eq!(
            "__name__".parse::<LabelName>().unwrap_err(),
            NameError::DoubleUnderscore("__name__".into())
        );
        for reserved in RESERVED {
            assert_eq!(
                reserved.parse::<LabelName>().unwrap_err(),
                NameError::Reserved(reserved.into())
            );
        }
        assert_eq!(RESERVED.join(", "), RESERVED_LIST);
    }
}
