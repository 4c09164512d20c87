//! The part of Microsoft Entra ID that a client needs: discovery, and tokens for a client secret or a
//! client assertion.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Form, Path, State, rejection::FormRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::assertion::{self, Expected};
use super::{Workspace, headers};
use crate::config::Secret;

/// By which Azure Resource Manager is known, beside its address here.
const RESOURCE_MANAGER: [&str; 2] = [
    "https://management.azure.com",
    "https://management.core.windows.net",
];

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The Logs Query API.
    Logs,
    ResourceManager,
}

/// Why a request is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsigned {
    /// It has no token.
    Missing,
    /// Its token is good for nothing.
    Invalid,
}

/// Who may sign in, and the tokens that are out.
pub struct SignIn {
    /// Resource Manager's address too.
    pub authority: String,
    /// Of the Logs Query API.
    pub audience: String,
    pub tenant_id: String,
    pub client_id: String,
    client_secret: Secret,
    lifetime: Duration,
    /// By token: what for and until when it is good.
    tokens: Mutex<HashMap<String, (Service, Instant)>>,
}

impl SignIn {
    pub fn new(
        authority: String,
        audience: String,
        tenant_id: String,
        client_id: String,
        client_secret: Secret,
        lifetime: Duration,
    ) -> Self {
        Self {
            authority,
            audience,
            tenant_id,
            client_id,
            client_secret,
            lifetime,
            tokens: Mutex::default(),
        }
    }

    /// What a token is good for at `now`; `None` if for nothing.
    pub fn service_of(&self, token: &str, now: Instant) -> Option<Service> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let (service, until) = tokens.get(token)?;
        (now < *until).then_some(*service)
    }

    /// Which service a client means by this resource (a scope without its `/.default`).
    pub fn service_named(&self, resource: &str) -> Option<Service> {
        let resource = resource.trim_end_matches('/');
        if resource == self.audience {
            Some(Service::Logs)
        } else if resource == self.authority || RESOURCE_MANAGER.contains(&resource) {
            Some(Service::ResourceManager)
        } else {
            None
        }
    }

    /// Takes back every token that is out.
    pub fn expire_all(&self) {
        self.tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// How long a token is good.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Whether this is the client's secret.
    pub fn is_secret(&self, text: &str) -> bool {
        text == self.client_secret.expose()
    }

    /// A new token for a service.
    pub fn issue(&self, service: Service, now: Instant) -> String {
        let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, (_, until)| now < *until);
        tokens.insert(token.clone(), (service, now + self.lifetime));
        token
    }

    fn check_tenant(&self, tenant: &str) -> Result<(), Refusal> {
        if tenant.eq_ignore_ascii_case(&self.tenant_id) {
            return Ok(());
        }
        Err(Refusal::new(
            400,
            "invalid_request",
            90002,
            format!(
                "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."
            ),
        ))
    }

    fn check(&self, tenant: &str, form: &HashMap<String, String>) -> Result<Service, Refusal> {
        self.check_tenant(tenant)?;
        let field = |name: &str| {
            form.get(name)
                .map(String::as_str)
                .filter(|value| !value.is_empty())
                .ok_or_else(|| {
                    Refusal::new(
                        400,
                        "invalid_request",
                        900144,
                        format!("The request body must contain the following parameter: '{name}'."),
                    )
                })
        };
        let grant_type = field("grant_type")?;
        if grant_type != "client_credentials" {
            return Err(Refusal::new(
                400,
                "unsupported_grant_type",
                70003,
                format!("The app requested an unsupported grant type '{grant_type}'."),
            ));
        }
        let client_id = field("client_id")?;
        let scope = field("scope")?;
        if !client_id.eq_ignore_ascii_case(&self.client_id) {
            return Err(Refusal::new(
                400,
                "unauthorized_client",
                700_016,
                format!(
                    "Application with identifier '{client_id}' was not found in the directory '{tenant}'."
                ),
            ));
        }
        self.check_proof(client_id, form)?;
        scope
            .strip_suffix("/.default")
            .and_then(|resource| self.service_named(resource))
            .ok_or_else(|| Refusal::new(
                400,
                "invalid_scope",
                70011,
                format!(
                    "The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid."
                ),
            ))
    }

    /// The secret, or the assertion in its place.
    fn check_proof(&self, client_id: &str, form: &HashMap<String, String>) -> Result<(), Refusal> {
        let field = |name: &str| form.get(name).filter(|value| !value.is_empty());
        let is_jwt =
            field("client_assertion_type").is_some_and(|kind| kind == assertion::JWT_BEARER);
        match (field("client_secret"), field("client_assertion")) {
            (Some(secret), _) if self.is_secret(secret) => Ok(()),
            (Some(_), _) => Err(Refusal::new(
                401,
                "invalid_client",
                7_000_215,
                format!(
                    "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client_id}'."
                ),
            )),
            (None, Some(assertion)) if is_jwt => {
                let expected = Expected {
                    authority: &self.authority,
                    tenant_id: &self.tenant_id,
                    client_id: &self.client_id,
                };
                assertion::check(assertion, &expected, Timestamp::now())
                    .map_err(|wrong| Refusal::new(wrong.status, wrong.error, wrong.code, wrong.text))
            }
            (None, _) => Err(Refusal::new(
                401,
                "invalid_client",
                7_000_216,
                "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.".into(),
            )),
        }
    }
}

/// Why there is no token.
struct Refusal {
    status: StatusCode,
    error: &'static str,
    code: u32,
    text: String,
}

impl Refusal {
    fn new(status: u16, error: &'static str, code: u32, text: String) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
            error,
            code,
            text,
        }
    }

    fn body(&self, authority: &str) -> Value {
        let (trace, correlation) = (Uuid::new_v4(), Uuid::new_v4());
        let now = Timestamp::now().strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        json!({
            "error": self.error,
            "error_description": format!(
                "AADSTS{}: {}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {now}",
                self.code, self.text
            ),
            "error_codes": [self.code],
            "timestamp": now,
            "trace_id": trace.to_string(),
            "correlation_id": correlation.to_string(),
            "error_uri": format!("{authority}/error?code={}", self.code),
        })
    }

    fn respond(self, authority: &str) -> Response {
        tracing::info!(code = self.code, error = self.error, "refused to sign in");
        headers::sign_in(self.status, self.body(authority).to_string(), self.code)
    }
}

/// `POST /{tenant}/oauth2/v2.0/token`
pub async fn token(
    State(workspace): State<Arc<Workspace>>,
    Path(tenant): Path<String>,
    form: Result<Form<HashMap<String, String>>, FormRejection>,
) -> Response {
    let sign_in = &workspace.sign_in;
    // A body that is no form has none of its fields.
    let form = form.map(|Form(form)| form).unwrap_or_default();
    match sign_in.check(&tenant, &form) {
        Err(refusal) => refusal.respond(&sign_in.authority),
        Ok(service) => {
            let seconds = sign_in.lifetime.as_secs();
            let body = json!({
                "token_type": "Bearer",
                "expires_in": seconds,
                "ext_expires_in": seconds,
                "access_token": sign_in.issue(service, Instant::now()),
            });
            headers::sign_in(StatusCode::OK, body.to_string(), 0)
        }
    }
}

/// `GET /{tenant}/v2.0/.well-known/openid-configuration`
pub async fn openid_configuration(
    State(workspace): State<Arc<Workspace>>,
    Path(tenant): Path<String>,
) -> Response {
    let sign_in = &workspace.sign_in;
    if let Err(refusal) = sign_in.check_tenant(&tenant) {
        return refusal.respond(&sign_in.authority);
    }
    let base = format!("{}/{tenant}", sign_in.authority);
    Json(json!({
        "issuer": format!("{base}/v2.0"),
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        "jwks_uri": format!("{base}/discovery/v2.0/keys"),
        "response_modes_supported": ["query"],
        "response_types_supported": ["code"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid"],
        "tenant_region_scope": null,
        "cloud_instance_name": "microsoftonline.com",
    }))
    .into_response()
}

/// `GET /common/discovery/instance`
pub async fn instance(State(workspace): State<Arc<Workspace>>) -> Response {
    let sign_in = &workspace.sign_in;
    let host = sign_in
        .authority
        .split_once("://")
        .map_or("", |(_, host)| host);
    Json(json!({
        "tenant_discovery_endpoint": format!(
            "{}/{}/v2.0/.well-known/openid-configuration",
            sign_in.authority, sign_in.tenant_id
        ),
        "api-version": "1.1",
        "metadata": [{
            "preferred_network": host, "preferred_cache": host, "aliases": [host],
        }],
    }))
    .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_until_it_expires() {
        let sign_in = SignIn::new(
            "https://localhost:1".into(),
            "https://api.example".into(),
            "tenant".into(),
            "client".into(),
            Secret::new("hunter2"),
            Duration::from_secs(60),
        );
        let start = Instant::now();
        let first = sign_in.issue(Service::Logs, start);
        let second = sign_in.issue(Service::ResourceManager, start);
        assert_ne!(first, second);
        let at =
            |token: &str, seconds| sign_in.service_of(token, start + Duration::from_secs(seconds));
        assert_eq!(at(&first, 59), Some(Service::Logs));
        assert_eq!(at(&second, 59), Some(Service::ResourceManager));
        assert_eq!(at(&first, 60), None);
        assert_eq!(at("", 0), None);
        sign_in.issue(Service::Logs, start + Duration::from_secs(61));
        assert_eq!(sign_in.tokens.lock().unwrap().len(), 1);
    }

    #[test]
    fn each_service_has_its_names() {
        let sign_in = SignIn::new(
            "https://localhost:1".into(),
            "https://api.example".into(),
            "tenant".into(),
            "client".into(),
            Secret::new("hunter2"),
            Duration::from_secs(60),
        );
        for (resource, service) in [
            ("https://api.example", Some(Service::Logs)),
            ("https://localhost:1", Some(Service::ResourceManager)),
            (
                "https://management.azure.com/",
                Some(Service::ResourceManager),
            ),
            (
                "https://management.core.windows.net/",
                Some(Service::ResourceManager),
            ),
            ("https://vault.azure.net", None),
            ("", None),
        ] {
            assert_eq!(sign_in.service_named(resource), service, "{resource}");
        }
    }
}
