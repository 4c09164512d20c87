//! An OTLP receiver on loopback: decodes what comes with the protocol's own types and answers as told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use prost::Message;
use rcgen::{CertificateParams, KeyPair};
use tokio::net::TcpListener;
use tonic::codec::CompressionEncoding;

/// What to say to a request, by its number from 0.
pub enum Reply {
    Take,
    /// Take, but say that some were rejected.
    Partial(i64, &'static str),
    /// Over HTTP: a status, headers and a body.
    Http(u16, Vec<(&'static str, String)>, &'static str),
    Grpc(tonic::Status),
}

type Behaviour = Arc<dyn Fn(usize) -> Reply + Send + Sync>;

/// A request as it came.
#[derive(Clone)]
pub struct Seen {
    pub path: String,
    pub headers: HeaderMap,
    pub bytes: usize,
    pub request: ExportMetricsServiceRequest,
}

#[derive(Clone)]
struct Desk {
    behaviour: Behaviour,
    seen: Arc<Mutex<Vec<Seen>>>,
}

pub struct Receiver {
    pub address: SocketAddr,
    /// What a client must trust, of a receiver with TLS.
    pub ca_pem: String,
    desk: Desk,
}

impl Receiver {
    pub async fn http(behaviour: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let desk = Desk::new(behaviour);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = router(&desk);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            ca_pem: String::new(),
            desk,
        }
    }

    pub async fn https() -> Self {
        let desk = Desk::new(|_| Reply::Take);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (acceptor, ca_pem) = tls(b"http/1.1");
        let router = router(&desk);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = hyper_util::service::TowerToHyperService::new(router.clone());
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that does not trust us goes away.
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let stream = hyper_util::rt::TokioIo::new(stream);
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(stream, service)
                        .await;
                });
            }
        });
        Self {
            address,
            ca_pem,
            desk,
        }
    }

    pub async fn grpc(behaviour: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let desk = Desk::new(behaviour);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = tonic::service::Routes::new(service(&desk)).into_axum_router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            ca_pem: String::new(),
            desk,
        }
    }

    pub async fn grpcs() -> Self {
        let desk = Desk::new(|_| Reply::Take);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (acceptor, ca_pem) = tls(b"h2");
        let router = tonic::service::Routes::new(service(&desk)).into_axum_router();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = hyper_util::service::TowerToHyperService::new(router.clone());
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let stream = hyper_util::rt::TokioIo::new(stream);
                    let executor = hyper_util::rt::TokioExecutor::new();
                    let _ = hyper::server::conn::http2::Builder::new(executor)
                        .serve_connection(stream, service)
                        .await;
                });
            }
        });
        Self {
            address,
            ca_pem,
            desk,
        }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.desk.seen.lock().unwrap().clone()
    }
}

impl Desk {
    fn new(behaviour: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        Self {
            behaviour: Arc::new(behaviour),
            seen: Arc::default(),
        }
    }

    fn note(&self, seen: Seen) -> Reply {
        let mut all = self.seen.lock().unwrap();
        all.push(seen);
        (self.behaviour)(all.len() - 1)
    }
}

fn router(desk: &Desk) -> Router {
    Router::new()
        .fallback(export)
        .layer(DefaultBodyLimit::max(4 << 20))
        .with_state(desk.clone())
}

async fn export(State(desk): State<Desk>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let encoded = match headers.get("content-encoding").map(|v| v.as_bytes()) {
        Some(b"gzip") => {
            let mut plain = Vec::new();
            let mut gzip = flate2::read::GzDecoder::new(&body[..]);
            std::io::Read::read_to_end(&mut gzip, &mut plain).unwrap();
            plain
        }
        None => body.to_vec(),
        other => panic!("{other:?}"),
    };
    let reply = desk.note(Seen {
        path: uri.path().to_owned(),
        headers,
        bytes: encoded.len(),
        request: ExportMetricsServiceRequest::decode(&encoded[..]).unwrap(),
    });
    let answer = match reply {
        Reply::Take => ExportMetricsServiceResponse::default(),
        Reply::Partial(rejected, message) => partial(rejected, message),
        Reply::Http(status, headers, body) => {
            let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
            for (name, value) in headers {
                let value = value.parse().unwrap();
                response.headers_mut().insert(name, value);
            }
            return response;
        }
        Reply::Grpc(status) => panic!("{status} over HTTP"),
    };
    let kind = [("content-type", "application/x-protobuf")];
    (kind, answer.encode_to_vec()).into_response()
}

fn service(desk: &Desk) -> MetricsServiceServer<Desk> {
    MetricsServiceServer::new(desk.clone()).accept_compressed(CompressionEncoding::Gzip)
}

#[tonic::async_trait]
impl MetricsService for Desk {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        let (headers, _, request) = request.into_parts();
        let reply = self.note(Seen {
            path: String::new(),
            headers: headers.into_headers(),
            bytes: request.encoded_len(),
            request,
        });
        match reply {
            Reply::Take => Ok(tonic::Response::new(ExportMetricsServiceResponse::default())),
            Reply::Partial(rejected, message) => {
                Ok(tonic::Response::new(partial(rejected, message)))
            }
            Reply::Grpc(status) => Err(status),
            Reply::Http(status, ..) => panic!("{status} over gRPC"),
        }
    }
}

fn partial(rejected: i64, message: &str) -> ExportMetricsServiceResponse {
    ExportMetricsServiceResponse {
        partial_success: Some(ExportMetricsPartialSuccess {
            rejected_data_points: rejected,
            error_message: message.into(),
        }),
    }
}

/// A certificate for the loopback address that only those trust who are told to.
fn tls(protocol: &[u8]) -> (tokio_rustls::TlsAcceptor, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let private = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private.into())
        .unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    (Arc::new(config).into(), certificate.pem())
}
