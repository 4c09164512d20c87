//! `--shard=i/n`: which of the workspaces this replica asks.

use std::str::FromStr;

use twox_hash::XxHash64;

use crate::config::WorkspaceId;

/// One of so many equal parts of all workspaces. A workspace's part follows from its id alone, so
/// that replicas agree without talking, and in every version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    count: u64,
}

impl Shard {
    /// Whether the workspace is this replica's.
    pub fn has(self, id: &WorkspaceId) -> bool {
        XxHash64::oneshot(0, id.to_string().as_bytes()) % self.count == self.index
    }

    /// This shard's number, from 0.
    pub fn index(self) -> u64 {
        self.index
    }

    /// How many there are.
    pub fn count(self) -> u64 {
        self.count
    }
}

impl Default for Shard {
    /// The only one, which has all.
    fn default() -> Self {
        Self { index: 0, count: 1 }
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Kubernetes gives a container its pod's name as HOSTNAME unless the pod says otherwise.
        let pod = ["POD_NAME", "HOSTNAME"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok());
        parse(text, pod.as_deref())
    }
}

fn parse(text: &str, pod: Option<&str>) -> Result<Shard, String> {
    let shape = || "must be i/n or auto/n, such as 0/3: shard 0 of 3".to_owned();
    let (index, count) = text.split_once('/').ok_or_else(shape)?;
    let count: u64 = count.parse().map_err(|_| shape())?;
    let index = match index {
        "auto" => ordinal(pod).ok_or(
            "auto needs a name that ends in a number, as a StatefulSet's pods have, in the environment variable POD_NAME or HOSTNAME",
        )?,
        number => number.parse().map_err(|_| shape())?,
    };
    if index >= count {
        return Err(format!(
            "of {count} shards there is no {index}: the first is 0, the last n-1"
        ));
    }
    Ok(Shard { index, count })
}

/// The number at the end of `exporter-2`.
fn ordinal(pod: Option<&str>) -> Option<u64> {
    pod?.rsplit_once('-')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_a_number_below_their_count() {
        let shard = |index, count| Ok(Shard { index, count });
        assert_eq!(parse("0/1", None), shard(0, 1));
        assert_eq!(parse("2/3", None), shard(2, 3));
        assert_eq!(parse("auto/3", Some("vminsights-exporter-2")), shard(2, 3));
        for bad in ["", "1", "a/b", "-1/2", "0/0", "3/3", "1/2/3", "auto/0"] {
            assert!(parse(bad, Some("x-0")).is_err(), "{bad}");
        }
        assert_eq!(
            parse("3/3", None).unwrap_err(),
            "of 3 shards there is no 3: the first is 0, the last n-1"
        );
        for pod in [None, Some("laptop"), Some("exporter-7d9f-x2x9z")] {
            assert!(parse("auto/3", pod).unwrap_err().starts_with("auto needs"));
        }
        assert!(parse("auto/2", Some("exporter-2")).is_err());
    }

    /// Each workspace has one shard, about as many have each, and which does not change with versions.
    #[test]
    fn every_workspace_is_in_one_shard_for_ever() {
        let ids: Vec<WorkspaceId> = (0..3_000)
            .map(|n| format!("5f6d2b1c-0000-4000-8000-{n:012}").parse().unwrap())
            .collect();
        let shards = [0, 1, 2].map(|index| Shard { index, count: 3 });
        for id in &ids {
            assert_eq!(shards.iter().filter(|shard| shard.has(id)).count(), 1);
        }
        for shard in shards {
            let size = ids.iter().filter(|id| shard.has(id)).count();
            assert!((900..1_100).contains(&size), "{shard:?}: {size}");
        }
        assert!(ids.iter().all(|id| Shard::default().has(id)));
    }
}
