//! Which workspaces this replica asks: listed and found ones, as far as they are its shard's.

use std::collections::HashSet;

use super::shard::Shard;
use crate::config::Workspace;
use crate::telemetry::events::{WorkspaceCame, WorkspaceWent};

/// The listed workspaces, then those that were found and are not listed. Names stay unique: a found
/// one that bears a listed one's name is told apart by its id. Every replica gives the same names.
pub fn roster(shard: Shard, listed: &[Workspace], found: &[Workspace]) -> Vec<Workspace> {
    let ids: HashSet<_> = listed.iter().map(|one| &one.id).collect();
    let names: HashSet<_> = listed.iter().map(|one| &one.name).collect();
    let more = found.iter().filter(|one| !ids.contains(&one.id));
    let more = more.map(|one| match names.contains(&one.name) {
        true => Workspace {
            id: one.id.clone(),
            name: format!("{} {}", one.name, one.id).into(),
        },
        false => one.clone(),
    });
    let all = listed.iter().cloned().chain(more);
    all.filter(|one| shard.has(&one.id)).collect()
}

/// Logs a line for each workspace that came or went.
pub fn tell(before: &[Workspace], after: &[Workspace]) {
    for one in before.iter().filter(|one| !after.contains(one)) {
        WorkspaceWent {
            workspace: &one.name,
            id: &one.id,
        }
        .emit();
    }
    for one in after.iter().filter(|one| !before.contains(one)) {
        WorkspaceCame {
            workspace: &one.name,
            id: &one.id,
        }
        .emit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(number: u64, name: &str) -> Workspace {
        Workspace {
            id: format!("5f6d2b1c-0000-4000-8000-{number:012}")
                .parse()
                .unwrap(),
            name: name.into(),
        }
    }

    #[test]
    fn a_listed_one_keeps_its_name_and_a_namesake_gets_another() {
        let listed = [workspace(1, "prod"), workspace(2, "test")];
        let found = [
            workspace(1, "law-prod"),
            workspace(3, "prod"),
            workspace(4, "dev"),
        ];
        assert_eq!(
            roster(Shard::default(), &listed, &found),
            [
                workspace(1, "prod"),
                workspace(2, "test"),
                workspace(3, "prod 5f6d2b1c-0000-4000-8000-000000000003"),
                workspace(4, "dev"),
            ]
        );
    }

    #[test]
    fn shards_share_all_with_the_names_that_one_would_give() {
        let listed = [workspace(1, "prod"), workspace(2, "test")];
        let found = [workspace(3, "prod"), workspace(4, "test")];
        let mut shared: Vec<_> = ["0/2", "1/2"]
            .iter()
            .flat_map(|shard| roster(shard.parse().unwrap(), &listed, &found))
            .collect();
        shared.sort_by_key(|one| one.id.clone());
        assert_eq!(shared, roster(Shard::default(), &listed, &found));
    }
}
