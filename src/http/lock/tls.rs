//! From TLS settings and the bytes they name to what rustls serves with.

use std::path::Path;
use std::sync::Arc;

use ring::digest;
use rustls::crypto::{CryptoProvider, ring as rustls_ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, version};
use zeroize::Zeroizing;

use super::client_certificate::ClientVerifier;
use super::read_file;
use crate::config::{ClientPolicy, Curve, Pem, Problem, TlsSettings, TlsVersion};

/// The bytes that the settings name.
pub struct Material {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    authorities: Option<Vec<u8>>,
}

impl Material {
    pub fn read(file: &Path, settings: &TlsSettings) -> Result<Self, Problem> {
        let authorities = settings.clients.authorities.as_ref();
        Ok(Self {
            certificate: bytes(file, &settings.certificate)?,
            key: Zeroizing::new(bytes(file, &settings.key)?),
            authorities: authorities.map(|pem| bytes(file, pem)).transpose()?,
        })
    }

    pub fn add_to(&self, context: &mut digest::Context) {
        let authorities = self.authorities.as_deref().unwrap_or_default();
        let (certificate, key) = (self.certificate.as_slice(), self.key.as_slice());
        for bytes in [certificate, key, authorities] {
            context.update(&bytes.len().to_le_bytes());
            context.update(bytes);
        }
    }

    /// # Errors
    /// If certificate, key and authorities are not PEM, or do not belong together.
    pub fn config(
        &self,
        file: &Path,
        settings: &TlsSettings,
        http2: bool,
    ) -> Result<ServerConfig, Problem> {
        let certificates = certificates(&self.certificate).ok_or_else(|| {
            problem(
                file,
                &settings.certificate,
                "must hold certificates in PEM form",
            )
        })?;
        // The cause could only repeat what the rule says, or bytes of the key.
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| problem(file, &settings.key, "must hold a private key in PEM form"))?;
        let provider = Arc::new(provider(settings));
        let versions = settings.versions.iter().map(|version| match version {
            TlsVersion::Tls12 => &version::TLS12,
            TlsVersion::Tls13 => &version::TLS13,
        });
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&versions.collect::<Vec<_>>())
            .map_err(|error| problem(file, &settings.certificate, error))?;
        let builder = match self.client_verifier(file, settings, &provider)? {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(Arc::new(verifier)),
        };
        let mut config = builder
            .with_single_cert(certificates, key)
            .map_err(|error| {
                problem(
                    file,
                    &settings.key,
                    format!("does not fit the certificate: {error}"),
                )
            })?;
        config.ignore_client_order = settings.prefer_server_order;
        config.alpn_protocols = if http2 {
            vec![b"h2".to_vec(), b"http/1.1".to_vec()]
        } else {
            vec![b"http/1.1".to_vec()]
        };
        Ok(config)
    }

    fn client_verifier(
        &self,
        file: &Path,
        settings: &TlsSettings,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Option<ClientVerifier>, Problem> {
        let clients = &settings.clients;
        let required = match clients.policy {
            ClientPolicy::Ignore => return Ok(None),
            ClientPolicy::Request | ClientPolicy::VerifyIfGiven => false,
            ClientPolicy::RequireAny | ClientPolicy::RequireVerified => true,
        };
        let signed = match (&clients.authorities, &self.authorities) {
            (Some(place), Some(pem)) => {
                let rule = "must hold the certificates of authorities in PEM form";
                let bad = || problem(file, place, rule);
                let mut roots = RootCertStore::empty();
                for certificate in certificates(pem).ok_or_else(bad)? {
                    roots.add(certificate).map_err(|_| bad())?;
                }
                let provider = provider.clone();
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                Some(
                    verifier
                        .build()
                        .map_err(|error| problem(file, place, error))?,
                )
            }
            _ => None,
        };
        Ok(Some(ClientVerifier {
            signed,
            required,
            names: clients.allowed_names.clone(),
            provider: provider.clone(),
        }))
    }
}

/// ring's, with what the settings leave of its suites and curves.
fn provider(settings: &TlsSettings) -> CryptoProvider {
    let mut provider = rustls_ring::default_provider();
    let named = |name: &str| settings.cipher_suites.contains(&name);
    let names_tls13 = settings
        .cipher_suites
        .iter()
        .any(|name| !name.contains("_WITH_"));
    if !settings.cipher_suites.is_empty() {
        provider.cipher_suites.retain(|suite| {
            let name = iana_name(suite.suite());
            // As elsewhere in this format, a list for TLS 1.2 alone leaves TLS 1.3 as it is.
            named(&name) || (!names_tls13 && suite.tls13().is_some())
        });
        provider.cipher_suites.sort_by_key(|suite| {
            let name = iana_name(suite.suite());
            settings
                .cipher_suites
                .iter()
                .position(|listed| *listed == name)
        });
    }
    if !settings.curves.is_empty() {
        provider.kx_groups = settings
            .curves
            .iter()
            .map(|curve| match curve {
                Curve::X25519 => rustls_ring::kx_group::X25519,
                Curve::P256 => rustls_ring::kx_group::SECP256R1,
                Curve::P384 => rustls_ring::kx_group::SECP384R1,
            })
            .collect();
    }
    provider
}

/// rustls marks TLS 1.3 in the names of its suites, the registry does not.
fn iana_name(suite: rustls::CipherSuite) -> String {
    format!("{suite:?}").replacen("TLS13_", "TLS_", 1)
}

fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .ok()?;
    (!certificates.is_empty()).then_some(certificates)
}

fn bytes(file: &Path, pem: &Pem) -> Result<Vec<u8>, Problem> {
    match pem {
        Pem::Inline(_, text) => Ok(text.value.expose().as_bytes().to_vec()),
        Pem::File(key, path) => read_file(&path.value).map_err(|error| {
            let rule = format!("{key}: cannot read {}: {error}", path.value.display());
            Problem::new(file, path.line, rule)
        }),
    }
}

fn problem(file: &Path, pem: &Pem, rule: impl std::fmt::Display) -> Problem {
    match pem {
        Pem::Inline(key, text) => Problem::new(file, text.line, format!("{key} {rule}")),
        Pem::File(key, path) => {
            let rule = format!("{key}: {} {rule}", path.value.display());
            Problem::new(file, path.line, rule)
        }
    }
}
