//! Which workspaces a discovery wants.

use std::time::Duration;

/// Where workspaces are looked for, and which of them are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoverSettings {
    /// At least one.
    pub subscriptions: Vec<String>,
    /// Taken if one of these fits; all, if there is none.
    pub include: Vec<Choice>,
    /// Not taken if one of these fits.
    pub exclude: Vec<Choice>,
    /// How often the list is asked for again.
    pub interval: Duration,
    /// Whether a list without a workspace is good.
    pub allow_empty: bool,
    /// Tags that become labels of `vminsights_workspace_info`; no two of them the same label.
    pub tag_labels: Vec<String>,
}

/// The label that a tag becomes: its name behind `tag_`, with `_` for what a label may not have.
pub fn tag_label(tag: &str) -> String {
    let part = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = tag.chars().map(part).collect();
    format!("tag_{name}")
}

/// One property of a workspace, compared without regard to case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    Name(String),
    /// The ARM id.
    Id(String),
    ResourceGroup(String),
    Tag {
        name: String,
        value: String,
    },
}

impl DiscoverSettings {
    /// Whether a workspace of these properties is taken; `tag` finds a tag's value by its name.
    pub fn wants<'a>(
        &self,
        name: &str,
        id: &str,
        resource_group: &str,
        tag: &dyn Fn(&str) -> Option<&'a str>,
    ) -> bool {
        let fits = |choice: &Choice| match choice {
            Choice::Name(wanted) => wanted.eq_ignore_ascii_case(name),
            Choice::Id(wanted) => wanted.eq_ignore_ascii_case(id),
            Choice::ResourceGroup(wanted) => wanted.eq_ignore_ascii_case(resource_group),
            Choice::Tag { name, value } => {
                tag(name).is_some_and(|found| found.eq_ignore_ascii_case(value))
            }
        };
        (self.include.is_empty() || self.include.iter().any(fits)) && !self.exclude.iter().any(fits)
    }
}
