//! A signed statement of who asks, in place of a secret: what an application with a certificate sends.
//!
//! The key never leaves this machine. The statement (a JWT, RS256) lives ten minutes and names its
//! certificate by its SHA-256 fingerprint.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use uuid::Uuid;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::Secret;

/// Microsoft Entra ID takes no more than a day; a sign-in takes seconds.
const LIFETIME_SECONDS: i64 = 600;

/// Why a certificate file is of no use. No text quotes the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CertificateProblem {
    #[error(
        "must hold a certificate and its private key in PEM form, not PFX: convert it with `openssl pkcs12 -in FILE.pfx -noenc -out FILE.pem`"
    )]
    NotPem,
    #[error(
        "holds a private key under a password; give it without one, in a file that only this program can read"
    )]
    Encrypted,
    #[error("holds no private key in PEM form")]
    NoKey,
    #[error("must hold an RSA private key of 2048 to 4096 bits")]
    NotRsa,
    #[error("holds no certificate for its private key")]
    NoCertificate,
    #[error("has a key that cannot sign")]
    Unsigned,
}

/// A key and the fingerprint of its certificate.
pub(super) struct Signer {
    key: RsaKeyPair,
    fingerprint: String,
}

impl Signer {
    /// From PEM: the key, its certificate, and perhaps others, in any order.
    pub fn from_pem(pem: &[u8]) -> Result<Self, CertificateProblem> {
        // DER, and so PFX, begins with a sequence; PEM is text.
        if pem.first() == Some(&0x30) {
            return Err(CertificateProblem::NotPem);
        }
        let is_encrypted = |marker: &[u8]| pem.windows(marker.len()).any(|part| part == marker);
        if is_encrypted(b"ENCRYPTED") {
            return Err(CertificateProblem::Encrypted);
        }
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| CertificateProblem::NoKey)?;
        let key = match &key {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err(CertificateProblem::NotRsa),
        };
        let key = key.map_err(|_| CertificateProblem::NotRsa)?;
        let certificate = CertificateDer::pem_slice_iter(pem)
            .filter_map(Result::ok)
            .find(|certificate| belongs_to(certificate, &key))
            .ok_or(CertificateProblem::NoCertificate)?;
        let fingerprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, &certificate));
        Ok(Self { key, fingerprint })
    }

    /// The statement of `client_id` for the token endpoint `audience`.
    pub fn assertion(
        &self,
        client_id: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<Secret, CertificateProblem> {
        let header = json!({"alg": "RS256", "typ": "JWT", "x5t#S256": self.fingerprint});
        let now = now.as_second();
        let claims = json!({
            "aud": audience,
            "iss": client_id,
            "sub": client_id,
            "jti": Uuid::new_v4().to_string(),
            "nbf": now,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
        });
        let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .map_err(|_| CertificateProblem::Unsigned)?;
        let signature = URL_SAFE_NO_PAD.encode(signature);
        Ok(Secret::new(format!("{signed}.{signature}")))
    }
}

fn belongs_to(certificate: &CertificateDer<'_>, key: &RsaKeyPair) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, certificate)| {
        *certificate.public_key().subject_public_key.data == *key.public().as_ref()
    })
}

#[cfg(test)]
#[path = "assertion_tests.rs"]
mod tests;
