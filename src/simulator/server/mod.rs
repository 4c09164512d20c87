//! The workspace's three services behind one address: sign-in, the Logs Query API, and as much of
//! Azure Resource Manager as finding the workspace takes.
//!
//! | route | |
//! |---|---|
//! | `POST /{tenant}/oauth2/v2.0/token` | a token for a client secret or assertion |
//! | `GET /metadata/identity/oauth2/token`, `GET /msi/token` | a token for a managed identity |
//! | `GET /{tenant}/v2.0/.well-known/openid-configuration`, `GET /common/discovery/instance` | what SDKs ask first |
//! | `POST`, `GET /v1/workspaces/{id}/query` | a query |
//! | `POST`, `GET /v1/subscriptions/…/query` | a query of one Azure resource's rows |
//! | `POST /v1/$batch` | several queries |
//! | `GET`, `POST /v1/workspaces/{id}/metadata` | the tables |
//! | `POST /providers/Microsoft.ResourceGraph/resources` | a query of the Azure resources |
//! | `GET /subscriptions/{id}/providers/Microsoft.OperationalInsights/workspaces` | the workspace, in a list |
//!
//! Everything else is a 404, and another method a 405, in the API's shape.

mod assertion;
mod batch;
mod cache;
mod certificate;
mod error;
mod extras;
mod headers;
mod inject;
mod listen;
mod managed_identity;
mod metadata;
mod query;
mod request;
mod resource;
mod resource_graph;
mod resource_manager;
mod sign_in;
mod throttle;
mod timespan;
mod wire;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, header};
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tower_http::compression::CompressionLayer;
use uuid::Uuid;

use self::cache::Cache;
pub use self::certificate::{Certificate, CertificateError, make as make_certificate};
use self::error::ApiError;
pub use self::listen::Server;
pub use self::sign_in::SignIn;
use self::sign_in::{Service, Unsigned};
pub use self::throttle::{Limits, Throttle};
use super::clock::Clock;
use super::faults::Faults;
use super::tables::Tables;

/// The workspace's name, by which a query's `workspaces` may call it.
pub const NAME: &str = "simulated-workspace";
/// The subscription and the resource group that it is in.
pub const SUBSCRIPTION: Uuid = Uuid::nil();
const RESOURCE_GROUP: &str = "simulated";
const REGION: &str = "local";

/// Largest request body, in bytes.
const MAX_BODY: usize = 4 << 20;

/// What the routes share.
pub struct Workspace {
    /// A GUID in lower case.
    pub id: String,
    pub sign_in: SignIn,
    pub tables: Arc<Tables>,
    pub clock: Clock,
    throttle: Throttle,
    cache: Cache,
}

impl Workspace {
    pub fn new(
        id: String,
        sign_in: SignIn,
        tables: Arc<Tables>,
        clock: Clock,
        limits: Limits,
    ) -> Self {
        Self {
            id,
            sign_in,
            tables,
            clock,
            throttle: Throttle::new(limits),
            cache: Cache::default(),
        }
    }

    /// Whether a request for the workspace `id` may go on.
    fn admit(&self, id: &str, headers: &HeaderMap) -> Result<(), ApiError> {
        self.authorize(headers)?;
        self.check_own(id)
    }

    /// Whether this is the workspace of that id.
    fn check_own(&self, id: &str) -> Result<(), ApiError> {
        let id: Uuid = id.parse().map_err(|_| ApiError::PathNotFound)?;
        if id.to_string() == self.id {
            Ok(())
        } else {
            Err(ApiError::InsufficientAccess)
        }
    }

    /// Whether whoever asks may ask at all. The one place where requests are refused before
    /// anything looks at what they want.
    fn authorize(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let now = Instant::now();
        match self.token_service(headers, now) {
            Ok(Service::Logs) => {}
            Ok(Service::ResourceManager) => return Err(ApiError::InvalidAudience),
            Err(Unsigned::Missing) => return Err(ApiError::MissingAuthorization),
            Err(Unsigned::Invalid) => return Err(ApiError::InvalidToken),
        }
        self.throttle.admit(now)
    }

    /// What the request's token is good for.
    fn token_service(&self, headers: &HeaderMap, now: Instant) -> Result<Service, Unsigned> {
        headers
            .get(header::AUTHORIZATION)
            .ok_or(Unsigned::Missing)?
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .and_then(|(_, token)| self.sign_in.service_of(token.trim(), now))
            .ok_or(Unsigned::Invalid)
    }

    /// Whether a query may also ask the workspace of this id, name or resource id: only itself.
    fn check_other(&self, name: &str) -> Result<(), ApiError> {
        let is_own = [&self.id, NAME, &self.resource_id()]
            .iter()
            .any(|own| own.eq_ignore_ascii_case(name));
        if is_own {
            Ok(())
        } else if name.parse::<Uuid>().is_ok() {
            Err(ApiError::InsufficientAccess)
        } else {
            Err(ApiError::UnknownWorkspace)
        }
    }

    /// Its ARM id as the portal shows it.
    fn resource_id(&self) -> String {
        format!(
            "/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.OperationalInsights/workspaces/{NAME}"
        )
    }
}

/// All routes, behind the faults if there are any.
pub fn router(workspace: Arc<Workspace>, faults: Faults) -> Router {
    let injection =
        (!faults.is_empty()).then(|| Arc::new(inject::Injection::new(faults, workspace.clone())));
    let mut router = Router::new()
        .route("/{tenant}/oauth2/v2.0/token", post(sign_in::token))
        .route(
            "/{tenant}/v2.0/.well-known/openid-configuration",
            get(sign_in::openid_configuration),
        )
        .route(
            "/metadata/identity/oauth2/token",
            get(managed_identity::virtual_machine),
        )
        .route("/msi/token", get(managed_identity::app_service))
        .route("/common/discovery/instance", get(sign_in::instance))
        .route(
            "/v1/workspaces/{id}/query",
            post(query::post).get(query::get),
        )
        .route(
            "/v1/subscriptions/{*path}",
            post(resource::post).get(resource::get),
        )
        // Microsoft's JavaScript client puts its own slash before that of the id.
        .route(
            "/v1//subscriptions/{*path}",
            post(resource::post).get(resource::get),
        )
        .route("/v1/$batch", post(batch::post))
        .route(
            "/v1/workspaces/{id}/metadata",
            get(metadata::get).post(metadata::get),
        )
        .route(
            "/providers/Microsoft.ResourceGraph/resources",
            post(resource_graph::post),
        )
        .route(
            "/subscriptions/{id}/providers/Microsoft.OperationalInsights/workspaces",
            get(resource_manager::workspaces),
        )
        .fallback(|| async { ApiError::PathNotFound.into_response() })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed.into_response() })
        .layer(DefaultBodyLimit::max(MAX_BODY));
    if let Some(injection) = injection {
        router = router.layer(middleware::from_fn_with_state(injection, inject::inject));
    }
    // Outermost: faults see bodies as they were written.
    router.layer(CompressionLayer::new()).with_state(workspace)
}
