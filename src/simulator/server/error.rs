//! Errors in the shape in which the Logs Query API sends them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::headers;
use crate::kql::{Diagnostic, QueryError};

/// Why a request has no result.
#[derive(Clone, Debug, PartialEq)]
pub enum ApiError {
    MissingAuthorization,
    InvalidToken,
    /// The token is good, but for another service.
    InvalidAudience,
    InsufficientAccess,
    PathNotFound,
    MethodNotAllowed,
    /// No Azure resource of this id has sent rows here.
    ResourceNotFound,
    /// A workspace's name that cannot be resolved.
    UnknownWorkspace,
    /// The body is no JSON object of the request's form; what is wrong with it.
    InvalidBody(String),
    /// A property has a bad value; what is wrong with it.
    InvalidProperty(String),
    BodyTooLarge,
    Query(QueryError),
    /// The wait is over, or the client did not wait for the end.
    Timeout,
    /// Seconds after which a further request may pass.
    Throttled(u64),
    /// The server failed; the cause is logged.
    Internal,
}

const BAD_ARGUMENT: (&str, &str) = (
    "BadArgumentError",
    "The request had some invalid properties",
);

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::MissingAuthorization => StatusCode::UNAUTHORIZED,
            Self::InvalidToken | Self::InvalidAudience | Self::InsufficientAccess => {
                StatusCode::FORBIDDEN
            }
            Self::PathNotFound | Self::ResourceNotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnknownWorkspace
            | Self::InvalidBody(_)
            | Self::InvalidProperty(_)
            | Self::Query(_) => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Code, message and, where there is one, the inner error.
    fn parts(&self) -> (&'static str, &'static str, Option<Value>) {
        let validation = |code: &str, message: &str| {
            json!({
                "code": "QueryValidationError",
                "message": "Failed parsing the query",
                "details": [{"code": code, "message": message, "target": null}],
            })
        };
        let (bad_argument, invalid) = BAD_ARGUMENT;
        match self {
            Self::MissingAuthorization => (
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is missing.",
                None,
            ),
            Self::InvalidToken => (
                "InvalidAuthenticationToken",
                "The access token is invalid.",
                None,
            ),
            Self::InvalidAudience => (
                "InvalidAuthenticationTokenAudience",
                "The access token has been obtained for a wrong audience or resource. It should exactly match one of the allowed audiences.",
                None,
            ),
            Self::InsufficientAccess => (
                "InsufficientAccessError",
                "The provided credentials have insufficient access to perform the requested operation",
                None,
            ),
            Self::PathNotFound => (
                "PathNotFoundError",
                "The requested path does not exist",
                None,
            ),
            // The service's own words for these two are not on record.
            Self::MethodNotAllowed => (
                "MethodNotAllowedError",
                "The requested path does not take this method",
                None,
            ),
            Self::ResourceNotFound => (
                "ResourceNotFoundError",
                "The requested resource does not exist",
                None,
            ),
            Self::UnknownWorkspace => (
                "FailedToResolveResource",
                "Resource identity could not be resolved",
                None,
            ),
            Self::InvalidBody(what) => (
                bad_argument,
                invalid,
                Some(validation("InvalidJsonBody", what)),
            ),
            Self::InvalidProperty(what) => (
                bad_argument,
                invalid,
                Some(validation("InvalidProperty", what)),
            ),
            Self::BodyTooLarge => (
                "RequestEntityTooLarge",
                "The request body is larger than 4 MiB",
                None,
            ),
            Self::Query(error) => (bad_argument, invalid, Some(query_error(error))),
            Self::Timeout => (
                "GatewayTimeout",
                "Gateway timeout",
                Some(json!({"code": "GatewayTimeout", "message": "ADX query timed out"})),
            ),
            Self::Throttled(_) => ("ThrottledError", "Your request has been throttled", None),
            Self::Internal => (
                "InternalServerError",
                "The simulated workspace failed; its log says why",
                None,
            ),
        }
    }

    /// The body, with this correlation id.
    fn body(&self, correlation_id: &str) -> Value {
        let (code, message, inner) = self.parts();
        let mut error = Map::new();
        error.insert("message".into(), message.into());
        error.insert("code".into(), code.into());
        error.insert("correlationId".into(), correlation_id.into());
        if let Some(inner) = inner {
            error.insert("innererror".into(), inner);
        }
        json!({ "error": error })
    }
}

fn query_error(error: &QueryError) -> Value {
    match error {
        QueryError::Syntax(Diagnostic {
            code,
            message,
            line,
            pos,
            token,
            ..
        }) => json!({
            "code": "SyntaxError",
            "message": "A recognition error occurred in the query.",
            "innererror": {
                "code": code, "message": message, "line": line, "pos": pos, "token": token,
            },
        }),
        QueryError::Semantic(Diagnostic { code, message, .. }) => json!({
            "code": "SemanticError",
            "message": "A semantic error occurred.",
            "innererror": {"code": code, "message": message},
        }),
        QueryError::Unsupported { what, .. } => json!({
            "code": "UnsupportedBySimulator",
            "message": format!(
                "{what} is beyond the simulated workspace's query engine; a real workspace may well take it"
            ),
        }),
        QueryError::Limit(message) => json!({"code": "EngineError", "message": message}),
        QueryError::Cancelled => json!({
            "code": "EngineError",
            "message": "The query was cancelled",
        }),
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = self.body(&Uuid::new_v4().to_string());
        let mut response = headers::json(self.status(), body.to_string());
        if let Self::Throttled(seconds) = self {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self == Self::MissingAuthorization {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: ApiError, status: u16, body: &str) {
        assert_eq!(error.status().as_u16(), status);
        assert_eq!(error.body("id").to_string(), body);
    }

    fn diagnostic() -> Diagnostic {
        Diagnostic {
            code: "SYN0002",
            message: "Query could not be parsed at 'b' on line [1,2]".into(),
            span: 2..3,
            line: 1,
            pos: 2,
            token: "b".into(),
        }
    }

    #[test]
    fn each_error_has_its_exact_body() {
        check(
            ApiError::PathNotFound,
            404,
            r#"{"error":{"message":"The requested path does not exist","code":"PathNotFoundError","correlationId":"id"}}"#,
        );
        check(
            ApiError::Query(QueryError::Syntax(diagnostic())),
            400,
            r#"{"error":{"message":"The request had some invalid properties","code":"BadArgumentError","correlationId":"id","innererror":{"code":"SyntaxError","message":"A recognition error occurred in the query.","innererror":{"code":"SYN0002","message":"Query could not be parsed at 'b' on line [1,2]","line":1,"pos":2,"token":"b"}}}}"#,
        );
        check(
            ApiError::Query(QueryError::Semantic(Diagnostic {
                code: "SEM0100",
                ..diagnostic()
            })),
            400,
            r#"{"error":{"message":"The request had some invalid properties","code":"BadArgumentError","correlationId":"id","innererror":{"code":"SemanticError","message":"A semantic error occurred.","innererror":{"code":"SEM0100","message":"Query could not be parsed at 'b' on line [1,2]"}}}}"#,
        );
        check(
            ApiError::Query(QueryError::Unsupported {
                what: "the operator 'scan'".into(),
                span: 0..1,
            }),
            400,
            r#"{"error":{"message":"The request had some invalid properties","code":"BadArgumentError","correlationId":"id","innererror":{"code":"UnsupportedBySimulator","message":"the operator 'scan' is beyond the simulated workspace's query engine; a real workspace may well take it"}}}"#,
        );
        check(
            ApiError::InvalidBody("Unexpected end of JSON input".into()),
            400,
            r#"{"error":{"message":"The request had some invalid properties","code":"BadArgumentError","correlationId":"id","innererror":{"code":"QueryValidationError","message":"Failed parsing the query","details":[{"code":"InvalidJsonBody","message":"Unexpected end of JSON input","target":null}]}}}"#,
        );
        check(
            ApiError::Timeout,
            504,
            r#"{"error":{"message":"Gateway timeout","code":"GatewayTimeout","correlationId":"id","innererror":{"code":"GatewayTimeout","message":"ADX query timed out"}}}"#,
        );
    }
}
