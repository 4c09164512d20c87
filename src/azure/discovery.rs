//! Finding workspaces: Azure Resource Graph says which ones the identity may see.
//!
//! It asks as the same credential does, with a token of its own for Azure Resource Manager.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;
use serde_json::{Value, json};

use super::chain::SignIn;
use super::credential::host_of;
use super::environment::Environment;
use super::failure::QueryFailure;
use super::hints;
use super::sign_in::SignInError;
use super::text::{one_line, without};
use super::token::{Counting, TokenCache};
use super::transport::{ClientError, azure_client};
use crate::config::{AzureSettings, DiscoverSettings, Workspace, WorkspaceId};
use crate::telemetry::SelfMetrics;
use crate::telemetry::events::Discovered;

/// For one page.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Resource Graph's own limit.
const PAGE_ROWS: usize = 1_000;
/// A page is some 300 bytes a workspace.
const BODY_CAP: usize = 16 * 1024 * 1024;
/// No identity sees a hundred thousand workspaces; an endless paging ends here.
const MOST_PAGES: usize = 100;

const API: &str = "providers/Microsoft.ResourceGraph/resources?api-version=2021-03-01";
const QUERY: &str = "resources | where type =~ 'microsoft.operationalinsights/workspaces' \
     | project id, name, resourceGroup, location, tags, customerId = tostring(properties.customerId) \
     | order by id asc";

/// Why there is no list of workspaces. A caller keeps the list that it has.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    #[error("cannot sign in at {host} to find workspaces")]
    SignIn {
        host: String,
        #[source]
        source: Box<QueryFailure>,
    },
    #[error("cannot ask {host} for workspaces")]
    Network {
        host: String,
        #[source]
        source: Box<QueryFailure>,
    },
    #[error("{host} refuses to list workspaces: HTTP {status}: {text}")]
    Refused {
        host: String,
        status: u16,
        text: String,
    },
    #[error("{host}: the list of workspaces cannot be read: {text}")]
    Unreadable { host: String, text: String },
    #[error(
        "no workspace was found in {subscriptions} subscriptions; discover.allow_empty takes that for good"
    )]
    Empty { subscriptions: usize },
}

impl DiscoveryError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::SignIn { source, .. } | Self::Network { source, .. } => source.hint(),
            Self::Refused {
                status: 401 | 403, ..
            }
            | Self::Empty { .. } => Some(hints::GRANT_READER),
            _ => None,
        }
    }
}

/// A workspace as Resource Graph knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub workspace: Workspace,
    /// Its ARM id, in lower case.
    pub resource_id: String,
    pub resource_group: String,
    /// Such as `westeurope`; empty if it was not told.
    pub location: String,
    /// The tags that `discover.tag_labels` names, by those names, with their values.
    pub tags: Vec<(String, String)>,
}

/// Asks for the list of workspaces, again and again.
pub struct Discovery {
    http: reqwest::Client,
    address: String,
    host: String,
    tokens: TokenCache,
    settings: DiscoverSettings,
    metrics: SelfMetrics,
}

impl Discovery {
    /// Builds TLS, proxy and credential; asks nobody yet.
    ///
    /// # Errors
    /// If a setting cannot be used; the error names it.
    pub fn new(
        azure: &AzureSettings,
        settings: DiscoverSettings,
        metrics: &SelfMetrics,
        environment: Environment,
    ) -> Result<Self, ClientError> {
        let manager = azure.endpoints.resource_manager.clone();
        let mut azure = azure.clone();
        azure.endpoints.audience = manager.as_str().trim_end_matches('/').to_owned();
        Ok(Self {
            http: azure_client(&azure)?,
            address: format!("{manager}{API}"),
            host: host_of(&manager),
            tokens: TokenCache::new(
                Box::new(SignIn::new(&azure, environment)?),
                Counting::resource_manager(metrics),
            ),
            settings,
            metrics: metrics.clone(),
        })
    }

    /// All workspaces that the settings want, by their ids; names are unique.
    ///
    /// # Errors
    /// If the list is not whole, or is empty and may not be.
    pub async fn find(&self) -> Result<Vec<Found>, DiscoveryError> {
        let outcome = self.all_pages().await;
        Discovered {
            workspaces: outcome.as_ref().ok().map(Vec::len),
            at: Timestamp::now(),
        }
        .emit(&self.metrics);
        outcome
    }

    async fn all_pages(&self) -> Result<Vec<Found>, DiscoveryError> {
        let mut rows = Vec::new();
        let mut skip_token = None;
        for _ in 0..MOST_PAGES {
            let page = self.page(skip_token.as_deref()).await?;
            rows.extend(page.data);
            skip_token = page.skip_token.filter(|token| !token.is_empty());
            if skip_token.is_none() {
                return self.wanted(rows);
            }
        }
        Err(self.unreadable("it does not end"))
    }

    fn wanted(&self, rows: Vec<Row>) -> Result<Vec<Found>, DiscoveryError> {
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            if !self
                .settings
                .wants(&row.name, &row.id, &row.resource_group, &|tag| row.tag(tag))
            {
                continue;
            }
            // A workspace that is being made has no id for queries yet.
            let Ok(id) = row.customer_id.parse::<WorkspaceId>() else {
                continue;
            };
            let labels = &self.settings.tag_labels;
            let tags = labels
                .iter()
                .filter_map(|tag| Some((tag.clone(), row.tag(tag)?.to_owned())));
            found.push(Found {
                tags: tags.collect(),
                workspace: Workspace {
                    id,
                    name: row.name.as_str().into(),
                },
                resource_id: row.id.to_lowercase(),
                resource_group: row.resource_group.to_lowercase(),
                location: row.location.clone(),
            });
        }
        found.sort_by(|one, other| one.workspace.id.cmp(&other.workspace.id));
        found.dedup_by(|one, other| one.workspace.id == other.workspace.id);
        tell_apart(&mut found);
        if found.is_empty() && !self.settings.allow_empty {
            let subscriptions = self.settings.subscriptions.len();
            return Err(DiscoveryError::Empty { subscriptions });
        }
        Ok(found)
    }

    async fn page(&self, skip_token: Option<&str>) -> Result<Page, DiscoveryError> {
        let signing_in = |error: SignInError| DiscoveryError::SignIn {
            host: self.host.clone(),
            source: Box::new(QueryFailure::signing_in(error)),
        };
        let token = self.tokens.token().await.map_err(signing_in)?;
        let lost = |error| DiscoveryError::Network {
            host: self.host.clone(),
            source: Box::new(QueryFailure::network(&self.host, error)),
        };
        let mut options = json!({"resultFormat": "objectArray", "$top": PAGE_ROWS});
        if let Some(skip_token) = skip_token {
            options["$skipToken"] = skip_token.into();
        }
        let body = json!({
            "subscriptions": self.settings.subscriptions,
            "query": QUERY,
            "options": options,
        });
        let request = self.http.post(&self.address).timeout(TIMEOUT).json(&body);
        let sending = request.header(AUTHORIZATION, token.header()).send();
        let mut response = sending.await.map_err(lost)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > BODY_CAP {
                return Err(self.unreadable("a page is too long"));
            }
            body.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            if status.as_u16() == 401 {
                self.tokens.discard(&token);
            }
            let json: Value = serde_json::from_slice(&body).unwrap_or_default();
            let text = match json.pointer("/error/message").and_then(Value::as_str) {
                Some(message) => message.to_owned(),
                None => String::from_utf8_lossy(&body).into_owned(),
            };
            return Err(DiscoveryError::Refused {
                host: self.host.clone(),
                status: status.as_u16(),
                text: one_line(&without(&text, token.expose())),
            });
        }
        // The error's own text may quote the answer.
        serde_json::from_slice(&body).map_err(|error| {
            self.unreadable(&format!("line {} column {}", error.line(), error.column()))
        })
    }

    fn unreadable(&self, text: &str) -> DiscoveryError {
        DiscoveryError::Unreadable {
            host: self.host.clone(),
            text: text.into(),
        }
    }
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Discovery").field(&self.host).finish()
    }
}

/// Names are unique within a resource group only, and tell series apart here: those that two share
/// are followed by their ids.
fn tell_apart(found: &mut [Found]) {
    let mut times = std::collections::HashMap::new();
    for one in found.iter() {
        *times.entry(one.workspace.name.clone()).or_insert(0) += 1;
    }
    for one in found {
        if times
            .get(&one.workspace.name)
            .is_some_and(|&times| times > 1)
        {
            let Workspace { id, name } = &one.workspace;
            one.workspace.name = format!("{name} {id}").into();
        }
    }
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Row>,
    #[serde(rename = "$skipToken")]
    skip_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    name: String,
    #[serde(default)]
    resource_group: String,
    #[serde(default)]
    location: String,
    #[serde(default)]
    tags: Value,
    #[serde(default)]
    customer_id: String,
}

impl Row {
    /// Azure does not tell the case of a tag's name.
    fn tag(&self, name: &str) -> Option<&str> {
        let mut tags = self.tags.as_object()?.iter();
        tags.find(|(key, _)| key.eq_ignore_ascii_case(name))?
            .1
            .as_str()
    }
}
