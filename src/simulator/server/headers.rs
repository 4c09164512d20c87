//! The headers that the live services put on every response.

use axum::http::{HeaderValue, Response as HttpResponse, StatusCode, header};
use axum::response::Response;

/// What the Logs Query API adds to a response of its own, errors included.
const API: [(&str, &str); 6] = [
    ("access-control-allow-origin", "*"),
    (
        "access-control-expose-headers",
        "Retry-After,Age,WWW-Authenticate,x-resource-identities,x-ms-status-location",
    ),
    (
        "strict-transport-security",
        "max-age=15724800; includeSubDomains",
    ),
    ("vary", "Accept-Encoding"),
    ("via", "1.1 simulated-workspace"),
    ("x-content-type-options", "nosniff"),
];

/// What Azure Resource Manager adds.
const MANAGER: [(&str, &str); 5] = [
    ("cache-control", "no-cache"),
    ("expires", "-1"),
    ("pragma", "no-cache"),
    (
        "strict-transport-security",
        "max-age=31536000; includeSubDomains",
    ),
    ("x-content-type-options", "nosniff"),
];

/// What the sign-in service adds.
const SIGN_IN: [(&str, &str); 5] = [
    ("cache-control", "no-store, no-cache"),
    ("expires", "-1"),
    ("pragma", "no-cache"),
    (
        "strict-transport-security",
        "max-age=31536000; includeSubDomains",
    ),
    ("x-content-type-options", "nosniff"),
];

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// A response of the Logs Query API with a JSON body.
pub fn json(status: StatusCode, body: impl Into<axum::body::Body>) -> Response {
    let mut response = bare(status, body);
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// The same without a type: a 204, or the empty body that the service sends for none.
pub fn bare(status: StatusCode, body: impl Into<axum::body::Body>) -> Response {
    build(status, body, &API)
}

/// A response of Azure Resource Manager.
pub fn manager(status: StatusCode, body: String) -> Response {
    let mut response = build(status, body, &MANAGER);
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// A response of the sign-in service. `code` is the AADSTS number, 0 for success.
pub fn sign_in(status: StatusCode, body: String, code: u32) -> Response {
    let mut response = build(status, body, &SIGN_IN);
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    if let Ok(telemetry) = HeaderValue::from_str(&format!("1,{code},0,,")) {
        response.headers_mut().insert("x-ms-clitelem", telemetry);
    }
    response
}

fn build(
    status: StatusCode,
    body: impl Into<axum::body::Body>,
    headers: &[(&'static str, &'static str)],
) -> Response {
    let mut response = HttpResponse::new(body.into());
    *response.status_mut() = status;
    for &(name, value) in headers {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}
