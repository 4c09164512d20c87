//! Loopback servers with real TLS, which note what they were asked.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// A certificate authority of our own.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.as_ref().pem()
    }

    /// TLS for a server of this name that speaks HTTP/1.1 and HTTP/2, as Azure's do.
    pub fn acceptor(&self, name: &str) -> TlsAcceptor {
        self.acceptor_for(name, &["h2", "http/1.1"])
    }

    /// TLS for a server of this name that speaks these protocols.
    pub fn acceptor_for(&self, name: &str, protocols: &[&str]) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// A field of a form that was posted, percent-decoded.
    pub fn form(&self, name: &str) -> Option<String> {
        pair(&self.body, name)
    }

    /// A parameter of the URL's query, percent-decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        pair(&self.query, name)
    }
}

fn pair(pairs: &str, name: &str) -> Option<String> {
    let url = reqwest::Url::parse(&format!("http://form/?{pairs}")).unwrap();
    url.query_pairs()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// What a server does about a request.
#[derive(Clone)]
pub enum Reply {
    Whole {
        status: u16,
        headers: Vec<(String, String)>,
        body: Bytes,
    },
    /// A 200 whose connection breaks after these bytes.
    Half(&'static str),
    /// Never answers.
    Silence,
    /// Answers so once a permit can be had.
    When(Arc<Semaphore>, Box<Reply>),
}

impl Reply {
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        Self::Whole {
            status,
            headers: vec![("content-type".into(), "application/json".into())],
            body,
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Self::Whole { headers, .. } = &mut self {
            headers.push((name.into(), value.into()));
        }
        self
    }
}

/// How a server behaves. A closure will do, too.
pub trait Behaviour: Send + Sync + 'static {
    fn reply(&self, request: &Seen) -> Reply;
}

impl<F: Fn(&Seen) -> Reply + Send + Sync + 'static> Behaviour for F {
    fn reply(&self, request: &Seen) -> Reply {
        self(request)
    }
}

/// A running server; it ends when dropped.
pub struct Server {
    pub address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// On https, with this certificate.
    pub async fn tls(acceptor: TlsAcceptor, behaviour: impl Behaviour) -> Self {
        Self::start(Some(acceptor), Arc::new(behaviour)).await
    }

    /// On plain http.
    pub async fn plain(behaviour: impl Behaviour) -> Self {
        Self::start(None, Arc::new(behaviour)).await
    }

    async fn start(acceptor: Option<TlsAcceptor>, behaviour: Arc<dyn Behaviour>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let address = format!("{scheme}://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, behaviour, log) =
                    (acceptor.clone(), Arc::clone(&behaviour), Arc::clone(&log));
                connections.spawn(async move {
                    match acceptor {
                        None => serve(stream, behaviour, log).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, behaviour, log).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            address,
            seen,
            task,
        }
    }

    /// The requests so far, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    behaviour: Arc<dyn Behaviour>,
    log: Arc<Mutex<Vec<Seen>>>,
) {
    let service = hyper::service::service_fn(move |request| {
        let (behaviour, log) = (Arc::clone(&behaviour), Arc::clone(&log));
        async move {
            let seen = note(request).await;
            log.lock().unwrap().push(seen.clone());
            Ok::<_, Infallible>(respond(behaviour.reply(&seen)).await)
        }
    });
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn note(request: Request<Incoming>) -> Seen {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let headers = parts.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    Seen {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: headers.collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

type Chunk = Result<Frame<Bytes>, std::io::Error>;

async fn respond(mut reply: Reply) -> Response<UnsyncBoxBody<Bytes, std::io::Error>> {
    while let Reply::When(permits, then) = reply {
        permits.acquire().await.unwrap().forget();
        reply = *then;
    }
    let (status, headers, chunks): (u16, _, Vec<Chunk>) = match reply {
        Reply::Whole {
            status,
            headers,
            body,
        } => (status, headers, vec![Ok(Frame::data(body))]),
        Reply::Half(text) => {
            let broken = Err(std::io::Error::other("the wire is cut"));
            (200, Vec::new(), vec![Ok(Frame::data(text.into())), broken])
        }
        Reply::Silence | Reply::When(..) => std::future::pending().await,
    };
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    let body = StreamBody::new(stream::iter(chunks));
    response.body(body.boxed_unsync()).unwrap()
}
