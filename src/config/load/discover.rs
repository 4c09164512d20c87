//! The rules of `discover`.

use std::time::Duration;

use serde_saphyr::Spanned;
use uuid::Uuid;

use super::{Reader, raw, yaml};
use crate::config::discover::{Choice, DiscoverSettings, tag_label};

const INTERVAL: Duration = Duration::from_secs(600);

impl Reader<'_> {
    pub(super) fn discover(&mut self, raw: raw::Discover) -> DiscoverSettings {
        let interval = raw.interval.and_then(|text| {
            yaml::duration("discover.interval", &text.value, Duration::from_secs(1))
                .map_err(|rule| self.problem(yaml::line(&text), rule))
                .ok()
        });
        DiscoverSettings {
            subscriptions: self.subscriptions(raw.subscriptions),
            include: self.choices("discover.include", raw.include),
            exclude: self.choices("discover.exclude", raw.exclude),
            interval: interval.unwrap_or(INTERVAL),
            allow_empty: raw.allow_empty,
            tag_labels: self.tag_labels(raw.tag_labels),
        }
    }

    fn subscriptions(&mut self, raw: Spanned<Vec<Spanned<String>>>) -> Vec<String> {
        if raw.value.is_empty() {
            let rule = "discover.subscriptions must list at least one, by its id";
            self.problem(yaml::line(&raw), rule);
        }
        let mut ids = Vec::new();
        for text in raw.value {
            match text.value.parse::<Uuid>() {
                Ok(id) => ids.push(id.to_string()),
                Err(_) => {
                    let rule = format!(
                        "discover.subscriptions: {:?} must be a GUID like {}",
                        text.value,
                        Uuid::nil()
                    );
                    self.problem(yaml::line(&text), rule);
                }
            }
        }
        ids
    }

    fn tag_labels(&mut self, raw: Vec<Spanned<String>>) -> Vec<String> {
        let mut tags: Vec<String> = Vec::new();
        for text in raw {
            let (tag, line) = (&text.value, yaml::line(&text));
            // Azure does not tell the case of a tag's name.
            let label = tag_label(tag).to_lowercase();
            let same = tags
                .iter()
                .find(|one| tag_label(one).to_lowercase() == label);
            let rule = match same {
                _ if tag.trim().is_empty() => "discover.tag_labels: a tag must not be empty".into(),
                Some(same) => {
                    format!("discover.tag_labels: {tag:?} and {same:?} would be one label, {label}")
                }
                None => {
                    tags.push(text.value);
                    continue;
                }
            };
            self.problem(line, rule);
        }
        tags
    }

    fn choices(&mut self, key: &str, raw: Vec<raw::Choice>) -> Vec<Choice> {
        let mut text = |part: &str, text: Spanned<String>| {
            if text.value.trim().is_empty() {
                let rule = format!("{key}: {part} must not be empty");
                self.problem(yaml::line(&text), rule);
            }
            text.value
        };
        let choices = raw.into_iter().map(|choice| match choice {
            raw::Choice::Name(name) => Choice::Name(text("name", name)),
            raw::Choice::Id(id) => Choice::Id(text("id", id)),
            raw::Choice::ResourceGroup(group) => {
                Choice::ResourceGroup(text("resource_group", group))
            }
            raw::Choice::Tag(tag) => Choice::Tag {
                name: text("tag.name", tag.name),
                // A tag may be there without a value.
                value: tag.value.value,
            },
        });
        choices.collect()
    }
}
