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
        return refusal(400, "Required metadata header not specified");
    }
    match workspace.grant(&parameters) {
        Err(refused) => refused,
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
        return refusal(
            401,
            "The X-IDENTITY-HEADER is missing or not this process's",
        );
    }
    match workspace.grant(&parameters) {
        Err(refused) => refused,
        Ok(mut token) => {
            let client_id = workspace.sign_in.client_id.as_str();
            token.insert("client_id".into(), client_id.into());
            headers::json(StatusCode::OK, Value::from(token).to_string())
        }
    }
}

impl Workspace {
    /// What both answers have in common.
    fn grant(&self, parameters: &Parameters) -> Result<Map<String, Value>, Response> {
        let given = |value: &Option<String>, name: &str| match value.as_deref() {
            None | Some("") => Err(refusal(
                400,
                &format!("Required query variable '{name}' is missing"),
            )),
            Some(value) => Ok(value.to_owned()),
        };
        given(&parameters.api_version, "api-version")?;
        let resource = given(&parameters.resource, "resource")?;
        let sign_in = &self.sign_in;
        if let Some(id) = &parameters.client_id
            && !id.eq_ignore_ascii_case(&sign_in.client_id)
        {
            return Err(refusal(400, "Identity not found"));
        }
        if resource.trim_end_matches('/') != sign_in.audience {
            let text = format!(
                "AADSTS500011: The resource principal named {resource} was not found in the tenant named {}.",
                sign_in.tenant_id
            );
            return Err(error(400, "invalid_resource", &text));
        }
        let expires = Timestamp::now()
            .as_second()
            .saturating_add_unsigned(sign_in.lifetime().as_secs());
        let mut token = Map::new();
        let access_token = sign_in.issue(Instant::now());
        token.insert("access_token".into(), access_token.into());
        token.insert("expires_on".into(), expires.to_string().into());
        token.insert("resource".into(), resource.into());
        token.insert("token_type".into(), "Bearer".into());
        Ok(token)
    }
}

fn refusal(status: u16, text: &str) -> Response {
    error(status, "invalid_request", text)
}

fn error(status: u16, code: &str, text: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let body = json!({"error": code, "error_description": text});
    headers::json(status, body.to_string())
}
