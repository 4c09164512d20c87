//! The HTTP clients: TLS, proxy, time limits.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Certificate, ClientBuilder, Proxy};

use crate::config::AzureSettings;

/// A setting that no client can be built with.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("azure.ca_file: cannot read {}", path.display())]
    CaFile {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("azure.ca_file: {} must hold certificates in PEM form", path.display())]
    CaFileContent {
        path: PathBuf,
        #[source]
        source: Option<reqwest::Error>,
    },
    #[error("azure.proxy: the address cannot be used")]
    Proxy(#[source] reqwest::Error),
    #[error("azure.credential: the environment variable {0} is not set")]
    Variable(String),
    #[error("the environment variable {name} must be a URL")]
    VariableUrl {
        name: &'static str,
        #[source]
        source: url::ParseError,
    },
    #[error("TLS cannot be set up with the system's certificates and azure.ca_file")]
    Tls(#[source] reqwest::Error),
}

impl ClientError {
    /// What to do about it, where the text does not say so itself.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Tls(_) => Some(
                "install the system's root certificates (package ca-certificates), or name some in azure.ca_file",
            ),
            Self::Proxy(_) => Some("write it like http://proxy.example:3128"),
            _ => None,
        }
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The metadata service is one hop away; off Azure its address leads nowhere, often in silence.
const METADATA_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) const USER_AGENT: &str = concat!("vminsights-exporter/", env!("CARGO_PKG_VERSION"));

/// For the Logs Query API: as [`azure_client`], unless the settings put it on this machine in plain
/// http. Then no proxy stands between, which would carry the token off.
pub(super) fn logs_client(settings: &AzureSettings) -> Result<reqwest::Client, ClientError> {
    if settings.endpoints.logs.scheme() == "https" || !settings.allow_http_on_loopback {
        return azure_client(settings);
    }
    common(settings)?
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .build()
        .map_err(ClientError::Tls)
}

/// For everything beyond this machine: https only, by the proxy if there is one.
pub(super) fn azure_client(settings: &AzureSettings) -> Result<reqwest::Client, ClientError> {
    let mut builder = common(settings)?
        .https_only(true)
        .connect_timeout(CONNECT_TIMEOUT);
    if let Some(proxy) = &settings.proxy {
        builder = builder.proxy(Proxy::all(proxy.clone()).map_err(ClientError::Proxy)?);
    }
    builder.build().map_err(ClientError::Tls)
}

/// For the metadata service and App Service's: plain http, here, and never by a proxy, which would
/// ask from its own machine.
pub(super) fn metadata_client(settings: &AzureSettings) -> Result<reqwest::Client, ClientError> {
    common(settings)?
        .no_proxy()
        .connect_timeout(METADATA_CONNECT_TIMEOUT)
        .build()
        .map_err(ClientError::Tls)
}

fn common(settings: &AzureSettings) -> Result<ClientBuilder, ClientError> {
    // `main` does this first thing; whoever uses the library alone gets it here. A second time is
    // refused and harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        // A bearer token must not travel where an answer points to.
        .redirect(reqwest::redirect::Policy::none());
    let Some(path) = &settings.ca_file else {
        return Ok(builder);
    };
    let pem = std::fs::read(path).map_err(|source| ClientError::CaFile {
        path: path.clone(),
        source,
    })?;
    let content = |source| ClientError::CaFileContent {
        path: path.clone(),
        source,
    };
    let certificates =
        Certificate::from_pem_bundle(&pem).map_err(|source| content(Some(source)))?;
    if certificates.is_empty() {
        return Err(content(None));
    }
    Ok(builder.tls_certs_merge(certificates))
}
