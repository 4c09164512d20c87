//! The process's environment, or a stand-in for it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Where environment variables are read. Changing the process's own from several threads is not
/// safe, so a test hands in a map.
///
/// One reader is out of its reach: `azure_identity` itself looks for `IDENTITY_ENDPOINT` and its
/// kin in the process's environment to tell App Service from a virtual machine.
#[derive(Clone, Default)]
pub struct Environment(Option<Arc<BTreeMap<String, String>>>);

impl Environment {
    /// The environment of this process.
    pub fn process() -> Self {
        Self(None)
    }

    /// These variables and no others.
    pub fn of<K: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let map = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Self(Some(Arc::new(map)))
    }

    /// The variable's value. One that is empty, or not UTF-8, counts as not set.
    pub fn get(&self, name: &str) -> Option<String> {
        match &self.0 {
            None => std::env::var(name).ok(),
            Some(map) => map.get(name).cloned(),
        }
        .filter(|value| !value.is_empty())
    }
}

/// Says which kind it is, never what is in it: an environment holds secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Environment(given)"
        } else {
            "Environment(process)"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_not_set_and_no_value_prints() {
        let environment = Environment::of([("A", "hunter2"), ("B", "")]);
        assert_eq!(environment.get("A").as_deref(), Some("hunter2"));
        assert_eq!(environment.get("B"), None);
        assert_eq!(environment.get("C"), None);
        assert_eq!(format!("{environment:?}"), "Environment(given)");
        assert!(Environment::process().get("PATH").is_some());
    }
}
