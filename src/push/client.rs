//! One receiver, over HTTP or gRPC.

use std::io::{self, Write};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message;

use super::answer::{Accepted, Again, SendError};
use super::connection::Connection;
use super::grpc::Grpc;
use super::http::Http;
use crate::config::{OtlpCompression, OtlpProtocol};

pub(super) const USER_AGENT: &str = concat!("vminsights-exporter/", env!("CARGO_PKG_VERSION"));

/// A setting that no client can be built with.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("otlp: TLS cannot be set up with the system's certificates and otlp.ca_file")]
    HttpTls(#[source] reqwest::Error),
    #[error("otlp: TLS cannot be set up with the system's certificates and otlp.ca_file")]
    GrpcTls(#[source] tonic::transport::Error),
    #[error("otlp: the endpoint cannot be used")]
    Endpoint(#[source] tonic::transport::Error),
}

/// Sends requests to one receiver. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    transport: Transport,
    timeout: Duration,
    gzip: bool,
}

#[derive(Clone)]
enum Transport {
    Http(Http),
    Grpc(Grpc),
}

impl Client {
    /// Connects to nothing yet. For gRPC it must be called within a tokio runtime.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(connection: &Connection) -> Result<Self, ClientError> {
        // `main` does this first thing; whoever uses the library alone gets it here. A second time is
        // refused and harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let transport = match connection.protocol {
            OtlpProtocol::HttpProtobuf => Transport::Http(Http::new(connection)?),
            OtlpProtocol::Grpc => Transport::Grpc(Grpc::new(connection)?),
        };
        Ok(Self {
            transport,
            timeout: connection.timeout,
            gzip: connection.compression == OtlpCompression::Gzip,
        })
    }

    /// The request as [`Client::send`] takes it. Not for an async thread.
    ///
    /// # Errors
    /// If compression fails, which in memory it does not.
    pub fn encode(&self, request: &ExportMetricsServiceRequest) -> io::Result<Bytes> {
        let bytes = request.encode_to_vec();
        match &self.transport {
            Transport::Http(_) if self.gzip => {
                let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
                gzip.write_all(&bytes)?;
                Ok(gzip.finish()?.into())
            }
            // Over gRPC the connection compresses.
            _ => Ok(bytes.into()),
        }
    }

    /// Sends a request once.
    ///
    /// # Errors
    /// If the receiver cannot be reached, does not answer in time, or does not take it.
    pub async fn send(&self, request: Bytes) -> Result<Accepted, SendError> {
        let sent = async {
            match &self.transport {
                Transport::Http(http) => http.send(request, self.gzip).await,
                Transport::Grpc(grpc) => grpc.send(request).await,
            }
        };
        match tokio::time::timeout(self.timeout, sent).await {
            Ok(answer) => answer,
            Err(_) => Err(SendError {
                text: format!(
                    "no answer within {}",
                    humantime::format_duration(self.timeout)
                ),
                again: Again::After(None),
            }),
        }
    }
}
