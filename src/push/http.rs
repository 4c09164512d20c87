//! OTLP over HTTP, in protobuf.

use bytes::Bytes;
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};

use super::answer::{Accepted, Again, SendError, Status, readable};
use super::client::{ClientError, USER_AGENT};
use super::connection::Connection;
use super::retry::retry_after;
use crate::telemetry::error_chain;

const PROTOBUF: &str = "application/x-protobuf";

/// No answer is longer; of one that is, the rest is not read.
const LONGEST_ANSWER: usize = 64 << 10;

#[derive(Clone)]
pub(super) struct Http {
    client: reqwest::Client,
    endpoint: Url,
    headers: HeaderMap,
}

impl Http {
    pub(super) fn new(connection: &Connection) -> Result<Self, ClientError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            // Headers must not travel where an answer points to.
            .redirect(reqwest::redirect::Policy::none());
        if let Some(roots) = &connection.roots {
            builder = builder.tls_certs_merge(roots.certificates.clone());
        }
        Ok(Self {
            client: builder.build().map_err(ClientError::HttpTls)?,
            endpoint: connection.endpoint.clone(),
            headers: connection.headers.clone(),
        })
    }

    pub(super) async fn send(&self, body: Bytes, gzip: bool) -> Result<Accepted, SendError> {
        let mut request = self
            .client
            .post(self.endpoint.clone())
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, PROTOBUF)
            .body(body);
        if gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let wait =
            header(&response, &RETRY_AFTER).and_then(|value| retry_after(value, Timestamp::now()));
        let location = header(&response, &LOCATION).map(readable);
        let protobuf = header(&response, &CONTENT_TYPE)
            .is_none_or(|kind| kind.trim_start().starts_with(PROTOBUF));
        if status.is_success() {
            let body = body_of(response).await.map_err(unreachable)?;
            // It has been taken; an answer that is not the protocol's says nothing against that.
            let answer = protobuf.then(|| ExportMetricsServiceResponse::decode(&*body).ok());
            return Ok(answer.flatten().unwrap_or_default().into());
        }
        // A body that breaks off changes nothing about the status.
        let body = body_of(response).await.unwrap_or_default();
        let said = match Status::decode(&*body) {
            Ok(status) if protobuf => readable(&status.message),
            _ => readable(&String::from_utf8_lossy(&body)),
        };
        let mut text = format!("the receiver answered {status}");
        match location {
            Some(location) if status.is_redirection() => {
                text.push_str(&format!(" to {location}; redirects are not followed"));
            }
            _ if !said.is_empty() => text.push_str(&format!(": {said}")),
            _ => {}
        }
        Err(SendError {
            text,
            again: match status {
                StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT => Again::After(wait),
                _ => Again::Never,
            },
        })
    }
}

fn header<'a>(response: &'a Response, name: &reqwest::header::HeaderName) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

async fn body_of(mut response: Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = LONGEST_ANSWER - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == LONGEST_ANSWER {
            break;
        }
    }
    Ok(body)
}

fn unreachable(error: reqwest::Error) -> SendError {
    SendError {
        text: error_chain(&error),
        again: Again::After(None),
    }
}
