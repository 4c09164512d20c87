//! One receiver, over HTTP or gRPC.

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message;
use reqwest::Certificate;

use super::answer::{Accepted, Again, SendError};
use super::grpc::Grpc;
use super::http::Http;
use crate::config::{OtlpCompression, OtlpConnection, OtlpProtocol};

pub(super) const USER_AGENT: &str = concat!("vminsights-exporter/", env!("CARGO_PKG_VERSION"));

/// A setting that no client can be built with.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("otlp.ca_file: cannot read {}", path.display())]
    CaFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("otlp.ca_file: {} must hold certificates in PEM form", path.display())]
    CaFileContent {
        path: PathBuf,
        #[source]
        source: Option<reqwest::Error>,
    },
    #[error("otlp: TLS cannot be set up with the system's certificates and otlp.ca_file")]
    HttpTls(#[source] reqwest::Error),
    #[error("otlp: TLS cannot be set up with the system's certificates and otlp.ca_file")]
    GrpcTls(#[source] tonic::transport::Error),
    #[error("otlp: the endpoint cannot be used")]
    Endpoint(#[source] tonic::transport::Error),
    #[error("otlp: a header's value cannot be sent")]
    Header(#[source] reqwest::header::InvalidHeaderValue),
}

/// Sends requests to one receiver. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    transport: Transport,
    timeout: Duration,
    gzip: bool,
    /// The host that headers go to unencrypted, if any do and it is another machine.
    in_the_clear: Option<String>,
}

#[derive(Clone)]
enum Transport {
    Http(Http),
    Grpc(Grpc),
}

/// Certificates from `ca_file`, in PEM and as they are in the file.
pub(super) struct Roots {
    pub pem: Vec<u8>,
    pub certificates: Vec<Certificate>,
}

impl Client {
    /// Connects to nothing yet. For gRPC it must be called within a tokio runtime.
    ///
    /// # Errors
    /// If `ca_file` cannot be read or holds no certificates.
    pub fn new(connection: &OtlpConnection) -> Result<Self, ClientError> {
        // `main` does this first thing; whoever uses the library alone gets it here. A second time is
        // refused and harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let roots = connection.ca_file.clone().map(roots).transpose()?;
        let transport = match connection.protocol {
            OtlpProtocol::HttpProtobuf => Transport::Http(Http::new(connection, roots)?),
            OtlpProtocol::Grpc => Transport::Grpc(Grpc::new(connection, roots)?),
        };
        let host = connection.endpoint.host_str().unwrap_or_default();
        let open = connection.endpoint.scheme() == "http"
            && !connection.headers.is_empty()
            && !is_loopback(host);
        Ok(Self {
            transport,
            timeout: connection.timeout,
            gzip: connection.compression == OtlpCompression::Gzip,
            in_the_clear: open.then(|| host.to_owned()),
        })
    }

    /// The other machine that headers go to without TLS, if there is one.
    pub fn sends_headers_in_the_clear_to(&self) -> Option<&str> {
        self.in_the_clear.as_deref()
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

fn roots(path: PathBuf) -> Result<Roots, ClientError> {
    let pem = match std::fs::read(&path) {
        Ok(pem) => pem,
        Err(source) => return Err(ClientError::CaFile { path, source }),
    };
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(Roots { pem, certificates }),
        Ok(_) => Err(ClientError::CaFileContent { path, source: None }),
        Err(error) => Err(ClientError::CaFileContent {
            path,
            source: Some(error),
        }),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
