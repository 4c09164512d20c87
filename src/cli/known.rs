//! What is known of the workspaces that are asked, as the labels of `vminsights_workspace_info`.

use crate::azure::Found;
use crate::config::{DiscoverSettings, Workspace, WorkspaceId, tag_label};

const LABELS: [&str; 6] = [
    "workspace",
    "workspace_id",
    "resource_id",
    "subscription_id",
    "resource_group",
    "location",
];

/// Names of labels, and a value for each of them for each workspace.
pub struct Known {
    pub labels: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Known {
    /// Of a workspace that was not found, only what the configuration says.
    pub fn of(
        workspaces: &[Workspace],
        found: &[Found],
        discover: Option<&DiscoverSettings>,
    ) -> Self {
        let tags = discover.map_or(&[][..], |discover| discover.tag_labels.as_slice());
        let labels = LABELS.iter().map(|label| (*label).to_owned());
        let rows = workspaces.iter().map(|workspace| {
            let details = found.iter().find(|one| one.workspace.id == workspace.id);
            row(workspace, details, tags)
        });
        Self {
            labels: labels
                .chain(tags.iter().map(|tag| tag_label(tag)))
                .collect(),
            rows: rows.collect(),
        }
    }
}

fn row(workspace: &Workspace, found: Option<&Found>, tags: &[String]) -> Vec<String> {
    let (guid, resource) = match &workspace.id {
        WorkspaceId::Workspace(_) => {
            let resource = found.map_or("", |found| found.resource_id.as_str());
            (workspace.id.to_string(), resource)
        }
        WorkspaceId::Resource(id) => (String::new(), &**id),
    };
    // "/subscriptions/S/resourcegroups/G/…"
    let segment = |at| resource.split('/').nth(at).unwrap_or_default().to_owned();
    let location = found.map_or("", |found| found.location.as_str()).to_owned();
    let mut row = vec![
        workspace.name.to_string(),
        guid,
        resource.to_owned(),
        segment(2),
        segment(4),
        location,
    ];
    row.extend(tags.iter().map(|tag| {
        let tags = found.map_or(&[][..], |found| found.tags.as_slice());
        let value = tags.iter().find(|(name, _)| name == tag);
        value.map_or_else(String::new, |(_, value)| value.clone())
    }));
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUID: &str = "5f6d2b1c-0000-4000-8000-000000000001";

    fn workspace(id: &str, name: &str) -> Workspace {
        Workspace {
            id: id.parse().unwrap(),
            name: name.into(),
        }
    }

    #[test]
    fn what_is_not_known_is_empty() {
        let resource = format!("/subscriptions/{GUID}/resourcegroups/rg");
        let listed = [workspace(GUID, "prod"), workspace(&resource, "rg")];
        let known = Known::of(&listed, &[], None);
        assert_eq!(known.labels, LABELS);
        assert_eq!(
            known.rows,
            [
                ["prod", GUID, "", "", "", ""],
                ["rg", "", &resource, GUID, "rg", ""],
            ]
        );
    }

    #[test]
    fn a_found_one_has_its_place_and_its_tags() {
        let resource_id = format!("/subscriptions/{GUID}/resourcegroups/rg/providers/p/k/n");
        let found = Found {
            workspace: workspace(GUID, "law"),
            resource_id: resource_id.clone(),
            resource_group: "rg".into(),
            location: "westeurope".into(),
            tags: vec![("cost-centre".into(), "7".into())],
        };
        let settings = DiscoverSettings {
            subscriptions: vec![GUID.into()],
            include: Vec::new(),
            exclude: Vec::new(),
            interval: std::time::Duration::from_secs(600),
            allow_empty: false,
            tag_labels: vec!["team".into(), "cost-centre".into()],
        };
        // A listed one keeps its name.
        let known = Known::of(&[workspace(GUID, "prod")], &[found], Some(&settings));
        assert_eq!(known.labels[6..], ["tag_team", "tag_cost_centre"]);
        assert_eq!(
            known.rows,
            [[
                "prod",
                GUID,
                &resource_id,
                GUID,
                "rg",
                "westeurope",
                "",
                "7"
            ]]
        );
    }
}
