//! The way to a receiver: what the settings name has been read, and found to be of use.
//!
//! Metrics and traces both take it from here, so that one rule holds for both, and so that `check` finds
//! what `serve` would.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use reqwest::{Certificate, Url};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

use crate::config::{OtlpCompression, OtlpConnection, OtlpProtocol, Secret, Signal};
use crate::telemetry::push::HeadersInTheClear;

/// A setting that no connection can be made with.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    #[error("otlp.ca_file: cannot read {}", path.display())]
    CaFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("otlp.ca_file: {} must hold certificates in PEM form", path.display())]
    CaFileContent {
        path: PathBuf,
        /// None if it holds something else, or nothing.
        #[source]
        source: Option<pem::Error>,
    },
    #[error("otlp.ca_file: {} holds a certificate that cannot be used", path.display())]
    CaFileCertificate {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("otlp: a header's value cannot be sent")]
    Header(#[source] InvalidHeaderValue),
}

/// How one signal reaches its receiver.
#[derive(Clone, Debug)]
pub struct Connection {
    /// As in [`OtlpConnection`].
    pub endpoint: Url,
    pub protocol: OtlpProtocol,
    pub compression: OtlpCompression,
    /// Of one request.
    pub timeout: Duration,
    /// Marked as sensitive, so that they are not printed. Of a name that was given twice, the later value.
    pub headers: HeaderMap,
    /// Trust roots beside the system's.
    pub roots: Option<Roots>,
}

/// Certificates from `ca_file`, one or more, as they are in the file and each for itself.
#[derive(Clone, Debug)]
pub struct Roots {
    pub pem: Vec<u8>,
    pub certificates: Vec<Certificate>,
}

impl Connection {
    /// Reads what the settings name; connects to nothing. Headers that would go to another machine
    /// without TLS are worth a warning in the log.
    ///
    /// # Errors
    /// If `ca_file` cannot be read or holds no certificates, or ones that are of no use.
    pub fn new(signal: Signal, settings: &OtlpConnection) -> Result<Self, ConnectionError> {
        let connection = Self {
            endpoint: settings.endpoint.clone(),
            protocol: settings.protocol,
            compression: settings.compression,
            timeout: settings.timeout,
            headers: headers(&settings.headers)?,
            roots: settings.ca_file.clone().map(Roots::read).transpose()?,
        };
        if let Some(host) = connection.sends_headers_in_the_clear_to() {
            let signal = match signal {
                Signal::Metrics => "metrics",
                Signal::Traces => "traces",
            };
            HeadersInTheClear { signal, host }.emit();
        }
        Ok(connection)
    }

    /// The other machine that headers go to without TLS, if there is one.
    pub fn sends_headers_in_the_clear_to(&self) -> Option<&str> {
        let open = self.endpoint.scheme() == "http" && !self.headers.is_empty();
        self.endpoint
            .host_str()
            .filter(|host| open && !is_loopback(host))
    }
}

fn headers(given: &[(HeaderName, Secret)]) -> Result<HeaderMap, ConnectionError> {
    let mut headers = HeaderMap::new();
    for (name, secret) in given {
        let mut value = HeaderValue::from_str(secret.expose()).map_err(ConnectionError::Header)?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

impl Roots {
    fn read(path: PathBuf) -> Result<Self, ConnectionError> {
        let pem = match std::fs::read(&path) {
            Ok(pem) => pem,
            Err(source) => return Err(ConnectionError::CaFile { path, source }),
        };
        let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let parsed = match parsed {
            Ok(parsed) if !parsed.is_empty() => parsed,
            other => {
                let source = other.err();
                return Err(ConnectionError::CaFileContent { path, source });
            }
        };
        match usable(parsed) {
            Ok(certificates) => Ok(Self { pem, certificates }),
            Err(source) => Err(ConnectionError::CaFileCertificate { path, source }),
        }
    }
}

/// The clients would find out as well, those of traces only when they start.
fn usable(
    parsed: Vec<CertificateDer<'static>>,
) -> Result<Vec<Certificate>, Box<dyn std::error::Error + Send + Sync>> {
    let mut store = RootCertStore::empty();
    let mut certificates = Vec::with_capacity(parsed.len());
    for certificate in parsed {
        certificates.push(Certificate::from_der(&certificate)?);
        store.add(certificate)?;
    }
    Ok(certificates)
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(endpoint: &str, headers: &[(&str, &str)]) -> OtlpConnection {
        let headers = headers.iter();
        OtlpConnection {
            endpoint: endpoint.parse().unwrap(),
            protocol: OtlpProtocol::HttpProtobuf,
            compression: OtlpCompression::Gzip,
            timeout: Duration::from_secs(10),
            headers: headers
                .map(|(name, value)| (name.parse().unwrap(), Secret::new(*value)))
                .collect(),
            ca_file: None,
        }
    }

    #[test]
    fn of_a_header_given_twice_the_later_value_goes_out_and_neither_is_shown() {
        let given = [
            ("api-key", "first-one"),
            ("x", "1"),
            ("api-key", "later-one"),
        ];
        let connection = Connection::new(Signal::Traces, &settings("http://c:1", &given)).unwrap();
        let keys: Vec<_> = connection.headers.get_all("api-key").iter().collect();
        assert_eq!(keys, ["later-one"]);
        assert_eq!(connection.headers.len(), 2);
        let shown = format!("{connection:?}");
        assert!(!shown.contains("-one"), "{shown}");
    }

    #[test]
    fn headers_are_in_the_clear_over_plain_http_to_another_machine() {
        let key = [("api-key", "k")];
        for (endpoint, headers, host) in [
            (
                "http://collector:4318/v1/traces",
                &key[..],
                Some("collector"),
            ),
            ("http://10.0.0.1:4318", &key, Some("10.0.0.1")),
            ("http://collector:4318", &[], None),
            ("https://collector:4318", &key, None),
            ("http://localhost:4318", &key, None),
            ("http://127.0.0.2:4318", &key, None),
            ("http://[::1]:4318", &key, None),
        ] {
            let connection =
                Connection::new(Signal::Metrics, &settings(endpoint, headers)).unwrap();
            assert_eq!(
                connection.sends_headers_in_the_clear_to(),
                host,
                "{endpoint}"
            );
        }
    }

    #[test]
    fn a_ca_file_holds_certificates_and_good_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let read = |content: &str| {
            std::fs::write(&path, content).unwrap();
            Roots::read(path.clone())
        };
        let name = path.display();
        let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let half = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        let none = format!("otlp.ca_file: {name} must hold certificates in PEM form");
        let bad = format!("otlp.ca_file: {name} holds a certificate that cannot be used");
        for (content, expected) in [
            ("", &none),
            ("not pem", &none),
            (half, &none),
            (no_certificate, &bad),
        ] {
            let error = read(content).unwrap_err().to_string();
            assert_eq!(error, *expected, "{content}");
        }

        let made = |name: &str| {
            let signed = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
            signed.cert.pem()
        };
        let two = made("a") + &made("b");
        let roots = read(&two).unwrap();
        assert_eq!(roots.pem, two.as_bytes());
        assert_eq!(roots.certificates.len(), 2);
        let error = read(&(two + no_certificate)).unwrap_err().to_string();
        assert_eq!(error, bad, "one bad certificate among good ones");
    }
}
