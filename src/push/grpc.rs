//! OTLP over gRPC. The requests are encoded already, so that sending one again copies nothing.

use bytes::{BufMut, Bytes};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message;
use tonic::client::Grpc as Calls;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request};

use super::answer::{Accepted, Again, SendError, Status, readable};
use super::client::{ClientError, USER_AGENT};
use super::connection::Connection;
use crate::config::OtlpCompression;
use crate::telemetry::error_chain;

const EXPORT: PathAndQuery =
    PathAndQuery::from_static("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export");

/// No answer is longer.
const LONGEST_ANSWER: usize = 64 << 10;

#[derive(Clone)]
pub(super) struct Grpc {
    calls: Calls<Channel>,
    headers: MetadataMap,
}

impl Grpc {
    pub(super) fn new(connection: &Connection) -> Result<Self, ClientError> {
        let mut endpoint = Endpoint::from_shared(connection.endpoint.to_string())
            .and_then(|endpoint| endpoint.user_agent(USER_AGENT))
            .map_err(ClientError::Endpoint)?
            .connect_timeout(connection.timeout)
            // Or a connection whose other end is gone would take, and lose, one push after another.
            // Both are over within one request. Not while idle: receivers take offence at pings that
            // belong to no request, and the next push finds out as well.
            .http2_keep_alive_interval(connection.timeout / 2)
            .keep_alive_timeout(connection.timeout / 2)
            .keep_alive_while_idle(false);
        if connection.endpoint.scheme() == "https" {
            let mut tls = ClientTlsConfig::new().with_native_roots();
            if let Some(roots) = &connection.roots {
                tls = tls.ca_certificate(Certificate::from_pem(&roots.pem));
            }
            endpoint = endpoint.tls_config(tls).map_err(ClientError::GrpcTls)?;
        }
        let mut calls =
            Calls::new(endpoint.connect_lazy()).max_decoding_message_size(LONGEST_ANSWER);
        if connection.compression == OtlpCompression::Gzip {
            calls = calls.send_compressed(CompressionEncoding::Gzip);
        }
        Ok(Self {
            calls: calls.accept_compressed(CompressionEncoding::Gzip),
            headers: MetadataMap::from_headers(connection.headers.clone()),
        })
    }

    pub(super) async fn send(&self, body: Bytes) -> Result<Accepted, SendError> {
        let mut calls = self.calls.clone();
        calls.ready().await.map_err(|error| SendError {
            text: error_chain(&error),
            again: Again::After(None),
        })?;
        let mut request = Request::new(body);
        *request.metadata_mut() = self.headers.clone();
        match calls.unary(request, EXPORT, Encoded).await {
            Ok(response) => Ok(response.into_inner().into()),
            Err(status) => Err(refusal(&status)),
        }
    }
}

fn refusal(status: &tonic::Status) -> SendError {
    let details = Status::decode(status.details()).unwrap_or_default();
    let asked = details.retry_delay();
    let again = match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Again::After(asked),
        // Only a receiver that says when can recover from it.
        Code::ResourceExhausted if asked.is_some() => Again::After(asked),
        _ => Again::Never,
    };
    let mut text = format!("the receiver answered {:?}", status.code());
    let said = readable(status.message());
    if !said.is_empty() {
        text.push_str(": ");
        text.push_str(&said);
    }
    let cause = std::error::Error::source(status).map(error_chain);
    if let Some(cause) = cause.filter(|cause| !text.ends_with(cause)) {
        text.push_str(": ");
        text.push_str(&cause);
    }
    SendError { text, again }
}

/// Requests that are bytes, answers that are messages.
struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = ExportMetricsServiceResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = tonic::Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), tonic::Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for Encoded {
    type Item = ExportMetricsServiceResponse;
    type Error = tonic::Status;

    fn decode(
        &mut self,
        answer: &mut DecodeBuf<'_>,
    ) -> Result<Option<ExportMetricsServiceResponse>, tonic::Status> {
        ExportMetricsServiceResponse::decode(answer)
            .map(Some)
            .map_err(|error| tonic::Status::internal(format!("no answer of the protocol: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::answer::{Any, RetryInfo};

    #[test]
    fn only_the_protocols_codes_are_tried_again() {
        let retryable = [
            Code::Cancelled,
            Code::DeadlineExceeded,
            Code::Aborted,
            Code::OutOfRange,
            Code::Unavailable,
            Code::DataLoss,
        ];
        for number in 1..=16 {
            let code = Code::from_i32(number);
            let expected = if retryable.contains(&code) {
                Again::After(None)
            } else {
                Again::Never
            };
            let error = refusal(&tonic::Status::new(code, "why"));
            assert_eq!(error.again, expected, "{code:?}");
            assert_eq!(error.text, format!("the receiver answered {code:?}: why"));
        }
    }

    #[test]
    fn an_exhausted_receiver_is_tried_again_if_it_says_when() {
        let details = Status {
            message: String::new(),
            details: vec![Any {
                type_url: "type.googleapis.com/google.rpc.RetryInfo".into(),
                value: RetryInfo {
                    retry_delay: Some(crate::push::answer::ProtoDuration {
                        seconds: 3,
                        nanos: 0,
                    }),
                }
                .encode_to_vec(),
            }],
        };
        let status = tonic::Status::with_details(
            Code::ResourceExhausted,
            "full",
            details.encode_to_vec().into(),
        );
        let asked = std::time::Duration::from_secs(3);
        assert_eq!(refusal(&status).again, Again::After(Some(asked)));
    }
}
