//! The token endpoints of managed identities: that of virtual machines (IMDS) and that of App Service.
//!
//! In Azure each has an address of its own, in plain HTTP; here they are two paths of the one server.
//! The secret that App Service puts into a process's environment is the client secret.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Workspace, headers};

/// What a client asks for.
#[derive(Deserialize)]
pub struct Parameters {
    #[serde(rename = "api-version")]
    api_version: Option<String>,
    resource: Option<String>,
    client_id: Option<String>,
}

/// `GET /metadata/identity/oauth2/token`
pub async fn virtual_machine(
    State(workspace): State<Arc<Workspace>>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Response {
    let is_marked = headers
        .get("metadata")
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
    if !is_marked {
        let text = "Required metadata header not specified";
        return Refused::request(StatusCode::BAD_REQUEST, text).respond();
    }
    match workspace.grant(&parameters) {
        Err(refused) => refused.respond(),
        Ok(mut token) => {
            let lifetime = workspace.sign_in.lifetime().as_secs();
            token.insert("refresh_token".into(), "".into());
            token.insert("expires_in".into(), lifetime.to_string().into());
            token.insert(
                "not_before".into(),
                Timestamp::now().as_second().to_string().into(),
            );
            headers::json(StatusCode::OK, Value::from(token).to_string())
        }
    }
}

/// `GET /msi/token`
pub async fn app_service(
    State(workspace): State<Arc<Workspace>>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Response {
    let is_known = headers
        .get("x-identity-header")
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| workspace.sign_in.is_secret(value));
    if !is_known {
        let text = "The X-IDENTITY-HEADER is missing or not this process's";
        return Refused::request(StatusCode::UNAUTHORIZED, text).respond();
    }
    match workspace.grant(&parameters) {
        Err(refused) => refused.respond(),
        Ok(mut token) => {
            let client_id = workspace.sign_in.client_id.as_str();
            token.insert("client_id".into(), client_id.into());
            headers::json(StatusCode::OK, Value::from(token).to_string())
        }
    }
}

impl Workspace {
    /// What both answers have in common.
    fn grant(&self, parameters: &Parameters) -> Result<Map<String, Value>, Refused> {
        let given = |value: &Option<String>, name: &str| match value.as_deref() {
            None | Some("") => Err(Refused::request(
                StatusCode::BAD_REQUEST,
                format!("Required query variable '{name}' is missing"),
            )),
            Some(value) => Ok(value.to_owned()),
        };
        given(&parameters.api_version, "api-version")?;
        let resource = given(&parameters.resource, "resource")?;
        let sign_in = &self.sign_in;
        if let Some(id) = &parameters.client_id
            && !id.eq_ignore_ascii_case(&sign_in.client_id)
        {
            return Err(Refused::request(
                StatusCode::BAD_REQUEST,
                "Identity not found",
            ));
        }
        let Some(service) = sign_in.service_named(&resource) else {
            let text = format!(
                "AADSTS500011: The resource principal named {resource} was not found in the tenant named {}.",
                sign_in.tenant_id
            );
            return Err(Refused {
                status: StatusCode::BAD_REQUEST,
                error: "invalid_resource",
                text,
            });
        };
        let expires = Timestamp::now()
            .as_second()
            .saturating_add_unsigned(sign_in.lifetime().as_secs());
        let mut token = Map::new();
        let access_token = sign_in.issue(service, Instant::now());
        token.insert("access_token".into(), access_token.into());
        token.insert("expires_on".into(), expires.to_string().into());
        token.insert("resource".into(), resource.into());
        token.insert("token_type".into(), "Bearer".into());
        Ok(token)
    }
}

/// Why there is no token.
struct Refused {
    status: StatusCode,
    error: &'static str,
    text: String,
}

impl Refused {
    fn request(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            error: "invalid_request",
            text: text.into(),
        }
    }

    fn respond(self) -> Response {
        let body = json!({"error": self.error, "error_description": self.text});
        headers::json(self.status, body.to_string())
    }
}
