//! What a query request asks for: body or parameters, and the headers that steer it.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use serde_json::Value;

use super::error::ApiError;

/// The request's body, or the same as parameters of a GET.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryRequest {
    pub query: String,
    pub timespan: Option<String>,
    pub workspaces: Vec<String>,
}

impl QueryRequest {
    /// From a POST's body. Properties that are null count as absent; unknown ones are ignored.
    ///
    /// # Errors
    /// If it is no JSON, or a property is missing or of the wrong type.
    pub fn from_json(body: &[u8]) -> Result<Self, ApiError> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|error| ApiError::InvalidBody(error.to_string()))?;
        let Value::Object(mut body) = body else {
            return Err(ApiError::InvalidBody("The body is no JSON object".into()));
        };
        let mut text = |name: &str| match body.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(property(format!("'{name}' is no string"))),
        };
        let (query, timespan) = (text("query")?, text("timespan")?);
        let not_strings = || property("'workspaces' is no list of strings");
        let workspaces = match body.remove("workspaces") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items
                .into_iter()
                .map(|item| match item {
                    Value::String(name) => Ok(name),
                    _ => Err(not_strings()),
                })
                .collect::<Result<_, _>>()?,
            Some(_) => return Err(not_strings()),
        };
        Self::new(query, timespan, workspaces)
    }

    /// From a GET's parameters, where `workspaces` is separated by commas.
    ///
    /// # Errors
    /// If `query` is missing.
    pub fn from_parameters(
        query: Option<String>,
        timespan: Option<String>,
        workspaces: Option<String>,
    ) -> Result<Self, ApiError> {
        let workspaces = workspaces
            .iter()
            .flat_map(|list| list.split(','))
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect();
        Self::new(query, timespan, workspaces)
    }

    fn new(
        query: Option<String>,
        timespan: Option<String>,
        workspaces: Vec<String>,
    ) -> Result<Self, ApiError> {
        let query = query
            .filter(|query| !query.trim().is_empty())
            .ok_or_else(|| property("'query' is missing or empty"))?;
        Ok(Self {
            query,
            timespan,
            workspaces,
        })
    }
}

fn property(what: impl Into<String>) -> ApiError {
    ApiError::InvalidProperty(what.into())
}

/// The `Prefer` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preferences {
    pub wait: Duration,
    pub statistics: bool,
    pub render: bool,
    /// The preferences that were understood, as `Preference-Applied` echoes them.
    pub applied: String,
}

const DEFAULT_WAIT: u64 = 180;
const LONGEST_WAIT: u64 = 600;

impl Preferences {
    /// Comma-joined or in several headers; what is not known is ignored, as RFC 7240 has it.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut preferences = Self {
            wait: Duration::from_secs(DEFAULT_WAIT),
            statistics: false,
            render: false,
            applied: String::new(),
        };
        let mut applied = Vec::new();
        for preference in tokens(headers, "prefer") {
            let (name, value) = preference.split_once('=').unwrap_or((preference, "true"));
            match name.trim().to_ascii_lowercase().as_str() {
                "wait" => match value.trim().parse::<u64>() {
                    Ok(seconds) => {
                        preferences.wait = Duration::from_secs(seconds.min(LONGEST_WAIT));
                    }
                    Err(_) => continue,
                },
                "include-statistics" => preferences.statistics = value.trim() == "true",
                "include-render" => preferences.render = value.trim() == "true",
                _ => continue,
            }
            applied.push(preference);
        }
        preferences.applied = applied.join(",");
        preferences
    }
}

/// How old a cached answer may be, by the `Cache-Control` header.
///
/// The service answers from its cache for two minutes unless told otherwise.
pub fn cache_age(headers: &HeaderMap) -> Duration {
    let mut age = Duration::from_secs(120);
    for directive in tokens(headers, header::CACHE_CONTROL.as_str()) {
        let directive = directive.to_ascii_lowercase();
        if directive == "no-cache" || directive == "no-store" {
            return Duration::ZERO;
        }
        if let Some(seconds) = directive.strip_prefix("max-age=")
            && let Ok(seconds) = seconds.parse()
        {
            age = age.min(Duration::from_secs(seconds));
        }
    }
    age
}

fn tokens<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

/// Whether a body was declared as JSON; a request whose body was not counts as one without a body.
pub fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for &(name, value) in pairs {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn null_counts_as_absent() {
        let request =
            QueryRequest::from_json(br#"{"query": "T", "timespan": null, "workspaces": null}"#);
        assert_eq!(
            request,
            Ok(QueryRequest {
                query: "T".into(),
                ..QueryRequest::default()
            })
        );
    }

    #[test]
    fn each_bad_body_says_what_is_wrong() {
        let property = |what: &str| Err(ApiError::InvalidProperty(what.into()));
        for (body, expected) in [
            ("{}", property("'query' is missing or empty")),
            (r#"{"query": " "}"#, property("'query' is missing or empty")),
            (r#"{"query": 1}"#, property("'query' is no string")),
            (
                r#"{"query": "T", "timespan": 5}"#,
                property("'timespan' is no string"),
            ),
            (
                r#"{"query": "T", "workspaces": "a"}"#,
                property("'workspaces' is no list of strings"),
            ),
            (
                r#"{"query": "T", "workspaces": [1]}"#,
                property("'workspaces' is no list of strings"),
            ),
            (
                "[]",
                Err(ApiError::InvalidBody("The body is no JSON object".into())),
            ),
            (
                r#"{"query"#,
                Err(ApiError::InvalidBody(
                    "EOF while parsing a string at line 1 column 7".into(),
                )),
            ),
        ] {
            assert_eq!(QueryRequest::from_json(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn preferences_come_joined_or_apart() {
        let joined = Preferences::of(&headers(&[("prefer", "include-render=true, wait=7")]));
        assert_eq!(
            (joined.wait, joined.render, joined.statistics),
            (Duration::from_secs(7), true, false)
        );
        assert_eq!(joined.applied, "include-render=true,wait=7");
        let apart = Preferences::of(&headers(&[
            ("prefer", "include-statistics=true"),
            ("prefer", "wait=9999,respond-async"),
        ]));
        assert_eq!(
            (apart.wait, apart.statistics),
            (Duration::from_secs(600), true)
        );
        assert_eq!(apart.applied, "include-statistics=true,wait=9999");
        let none = Preferences::of(&headers(&[("prefer", ""), ("prefer", "wait=soon")]));
        assert_eq!(
            (none.wait, none.applied),
            (Duration::from_secs(180), "".into())
        );
    }

    #[test]
    fn cache_control_can_only_shorten() {
        let age = |value| cache_age(&headers(&[("cache-control", value)])).as_secs();
        assert_eq!(cache_age(&HeaderMap::new()).as_secs(), 120);
        assert_eq!(age("no-cache"), 0);
        assert_eq!(age("max-age=30"), 30);
        assert_eq!(age("max-age=9999"), 120);
        assert_eq!(age("max-age=60, no-cache"), 0);
    }

    #[test]
    fn the_content_type_may_have_parameters() {
        let is_json = |value| is_json(&headers(&[("content-type", value)]));
        assert!(is_json("application/json; charset=utf-8") && is_json("Application/JSON"));
        assert!(!is_json("text/plain") && !super::is_json(&HeaderMap::new()));
    }
}
