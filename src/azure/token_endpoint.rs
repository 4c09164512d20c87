//! How `azure_identity` reaches a token endpoint: through our own clients, once.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use azure_core::error::ErrorKind;
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Request};
use reqwest::Url;
use serde_json::Value;

use super::hints;
use super::text::one_line;

const TIMEOUT: Duration = Duration::from_secs(15);
/// A token is a few kilobytes.
const BODY_CAP: usize = 256 * 1024;

/// What `azure_identity` sends through.
///
/// Every failure is final here, an answer that is no success included: `azure_identity` would try
/// managed identities again for over a minute, whatever it is told, and a poll comes again soon
/// enough by itself.
pub(super) struct TokenTransport {
    client: reqwest::Client,
    /// Where the metadata service is, if not at its usual address.
    metadata: Option<Url>,
}

const METADATA_HOST: &str = "169.254.169.254";

impl TokenTransport {
    pub fn new(client: reqwest::Client, metadata: Option<Url>) -> Self {
        Self { client, metadata }
    }

    fn target(&self, url: &Url) -> Url {
        let mut target = url.clone();
        if let Some(metadata) = &self.metadata
            && url.host_str() == Some(METADATA_HOST)
        {
            target = metadata.clone();
            target.set_path(url.path());
            target.set_query(url.query());
        }
        target
    }

    async fn send(&self, request: &Request) -> Result<AsyncRawResponse, Failed> {
        let method = reqwest::Method::from_bytes(request.method().as_ref().as_bytes())
            .map_err(|error| Failed::Unfit(error.to_string()))?;
        let Body::Bytes(body) = request.body().clone() else {
            return Err(Failed::Unfit("a streamed body".into()));
        };
        let mut sending = self
            .client
            .request(method, self.target(request.url()))
            .timeout(TIMEOUT)
            .body(body);
        for (name, value) in request.headers().iter() {
            sending = sending.header(name.as_str(), value.as_str());
        }
        let mut response = sending.send().await?;
        let status = response.status();
        let headers: Headers = response
            .headers()
            .iter()
            .filter_map(|(name, value)| {
                let name = HeaderName::from(name.as_str().to_owned());
                Some((name, HeaderValue::from(value.to_str().ok()?.to_owned())))
            })
            .collect::<HashMap<_, _>>()
            .into();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > BODY_CAP {
                return Err(Failed::Unfit("the answer is too long for a token".into()));
            }
            body.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            return Err(Refusal::of(status.as_u16(), &body).into());
        }
        let status = status.as_u16().into();
        Ok(AsyncRawResponse::from_bytes(status, headers, body))
    }
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Network(reqwest::Error),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("{0}")]
    Unfit(String),
}

impl From<reqwest::Error> for Failed {
    fn from(error: reqwest::Error) -> Self {
        Self::Network(error.without_url())
    }
}

#[async_trait::async_trait]
impl HttpClient for TokenTransport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let failed = match self.send(request).await {
            Ok(response) => return Ok(response),
            Err(failed) => failed,
        };
        // Neither kind is one that the retry policy takes up.
        Err(match failed {
            Failed::Network(error) => azure_core::Error::new(ErrorKind::Other, error),
            Failed::Refused(refusal) => azure_core::Error::new(ErrorKind::Credential, refusal),
            Failed::Unfit(text) => azure_core::Error::with_message(ErrorKind::Other, text),
        })
    }
}

/// The inner client's own `Debug` would print a proxy's password.
impl fmt::Debug for TokenTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenTransport").finish_non_exhaustive()
    }
}

/// A token endpoint that answered, but not with a token.
#[derive(Debug, thiserror::Error)]
#[error("{text} (HTTP {status})")]
pub(super) struct Refusal {
    status: u16,
    text: String,
    hint: Option<&'static str>,
}

impl Refusal {
    fn of(status: u16, body: &[u8]) -> Self {
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let text_of = |key| json.get(key).and_then(Value::as_str);
        let text = match text_of("error_description").or_else(|| text_of("message")) {
            Some(description) => first_sentence(description),
            None => one_line(&String::from_utf8_lossy(body)),
        };
        let hint = entra_code(&text).and_then(hints::for_entra);
        Self {
            status,
            hint: hint.or((text == "Identity not found").then_some(hints::NO_SUCH_IDENTITY)),
            text: if text.is_empty() {
                "no token".into()
            } else {
                text
            },
        }
    }

    pub fn hint(&self) -> Option<&'static str> {
        self.hint
    }
}

/// Entra's descriptions go on with trace ids and times, on new lines or after a blank.
fn first_sentence(description: &str) -> String {
    let line = description.lines().next().unwrap_or_default();
    one_line(line.split(" Trace ID:").next().unwrap_or_default())
}

/// The number in `AADSTS7000215: …`.
fn entra_code(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("AADSTS")?;
    digits
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_the_first_sentence_and_knows_what_to_do() {
        let refusal = Refusal::of(
            401,
            br#"{"error": "invalid_client", "error_description":
            "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: a6492f90\r\nTimestamp: 2022"}"#,
        );
        assert_eq!(
            refusal.to_string(),
            "AADSTS7000215: Invalid client secret provided. (HTTP 401)"
        );
        assert_eq!(refusal.hint(), hints::for_entra(7_000_215));
        assert!(refusal.hint().is_some());

        let blank = br#"{"error_description": "AADSTS90002: Tenant not found. Trace ID: 1 Correlation ID: 2"}"#;
        let refusal = Refusal::of(400, blank);
        assert_eq!(
            refusal.to_string(),
            "AADSTS90002: Tenant not found. (HTTP 400)"
        );
    }

    #[test]
    fn other_bodies_are_quoted() {
        let plain = Refusal::of(502, b"<h1>Bad\r\ngateway</h1>");
        assert_eq!(plain.to_string(), "<h1>Bad gateway</h1> (HTTP 502)");
        assert_eq!(Refusal::of(500, b"").to_string(), "no token (HTTP 500)");
        let imds = Refusal::of(
            400,
            br#"{"error": "invalid_request", "error_description": "Identity not found"}"#,
        );
        assert_eq!(imds.hint(), Some(hints::NO_SUCH_IDENTITY));
    }

    #[test]
    fn only_the_metadata_address_moves() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().tls_certs_only([]).build();
        let transport = TokenTransport::new(
            client.unwrap(),
            Some(Url::parse("http://127.0.0.1:8080").unwrap()),
        );
        let target = |url: &str| transport.target(&Url::parse(url).unwrap()).to_string();
        assert_eq!(
            target("http://169.254.169.254/metadata/identity?resource=x"),
            "http://127.0.0.1:8080/metadata/identity?resource=x"
        );
        assert_eq!(target("http://127.0.0.1:41/msi"), "http://127.0.0.1:41/msi");
    }
}
