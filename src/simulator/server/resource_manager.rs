//! Azure Resource Manager, as much of it as finding the workspace takes: who may ask, errors in its
//! shape, and the list of a subscription's workspaces.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::sign_in::{Service, Unsigned};
use super::{NAME, REGION, SUBSCRIPTION, Workspace, headers};

/// As the service's own paths have it.
pub const WORKSPACE_TYPE: &str = "Microsoft.OperationalInsights/workspaces";

/// Why Resource Manager does not answer.
#[derive(Clone, Debug, PartialEq)]
pub struct ManagerError {
    status: StatusCode,
    code: &'static str,
    message: String,
    details: Vec<Value>,
}

impl ManagerError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            details: Vec::new(),
        }
    }

    fn unauthorized(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, message)
    }

    /// The request is wrong; `details` say why.
    pub fn bad_request(message: &str, details: Vec<Value>) -> Self {
        let error = Self::new(StatusCode::BAD_REQUEST, "BadRequest", message);
        Self { details, ..error }
    }

    /// The body is not of the request's form.
    pub fn content(what: &str) -> Self {
        let message =
            format!("The request content was invalid and could not be deserialized: '{what}'.");
        Self::new(StatusCode::BAD_REQUEST, "InvalidRequestContent", message)
    }

    /// The server failed; the cause is logged.
    pub fn internal() -> Self {
        let message = "The simulated workspace failed; its log says why";
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalServerError",
            message,
        )
    }
}

impl IntoResponse for ManagerError {
    fn into_response(self) -> Response {
        let mut error = json!({"code": self.code, "message": self.message});
        if !self.details.is_empty() {
            error["details"] = self.details.into();
        }
        let mut response = headers::manager(self.status, json!({ "error": error }).to_string());
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl Workspace {
    /// Whether whoever asks Resource Manager may ask at all.
    pub(super) fn admit_to_manager(
        &self,
        headers: &HeaderMap,
        parameters: &HashMap<String, String>,
    ) -> Result<(), ManagerError> {
        match self.token_service(headers, Instant::now()) {
            Err(Unsigned::Missing) => Err(ManagerError::unauthorized(
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is missing.",
            )),
            Err(Unsigned::Invalid) => Err(ManagerError::unauthorized(
                "InvalidAuthenticationToken",
                "The access token is invalid.",
            )),
            Ok(Service::Logs) => Err(ManagerError::unauthorized(
                "InvalidAuthenticationTokenAudience",
                format!(
                    "The access token has been obtained for wrong audience or resource '{}'. It should exactly match with one of the allowed audiences 'https://management.core.windows.net/','https://management.core.windows.net','https://management.azure.com/','https://management.azure.com'.",
                    self.sign_in.audience
                ),
            )),
            Ok(Service::ResourceManager)
                if parameters.get("api-version").is_none_or(String::is_empty) =>
            {
                Err(ManagerError::new(
                    StatusCode::BAD_REQUEST,
                    "MissingApiVersionParameter",
                    "The api-version query parameter (?api-version=) is required for all requests.",
                ))
            }
            Ok(Service::ResourceManager) => Ok(()),
        }
    }

    /// What Resource Manager says of the workspace beside its id and name.
    pub(super) fn properties(&self) -> Value {
        json!({
            "customerId": self.id,
            "provisioningState": "Succeeded",
            "sku": {"name": "PerGB2018"},
            "retentionInDays": 30,
        })
    }
}

/// `GET /subscriptions/{id}/providers/Microsoft.OperationalInsights/workspaces`: one, so without a
/// `nextLink`.
pub async fn workspaces(
    State(workspace): State<Arc<Workspace>>,
    Path(subscription): Path<String>,
    Query(parameters): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if let Err(error) = workspace.admit_to_manager(&headers, &parameters) {
        return error.into_response();
    }
    if !subscription.eq_ignore_ascii_case(&SUBSCRIPTION.to_string()) {
        let message = format!("The subscription '{subscription}' could not be found.");
        let code = "SubscriptionNotFound";
        return ManagerError::new(StatusCode::NOT_FOUND, code, message).into_response();
    }
    let one = json!({
        "properties": workspace.properties(),
        "location": REGION,
        "tags": {},
        "id": workspace.resource_id(),
        "name": NAME,
        "type": WORKSPACE_TYPE,
    });
    headers::manager(StatusCode::OK, json!({ "value": [one] }).to_string())
}
