//! What is asked of a client's certificate: `client_auth_type` and `client_allowed_sans`.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Asks for a certificate, and judges the one that comes. In any case its owner proves to have the
/// key.
#[derive(Debug)]
pub struct ClientVerifier {
    /// Judges who signed it; `None`: anybody may have.
    pub signed: Option<Arc<dyn ClientCertVerifier>>,
    pub required: bool,
    /// It must bear one of these, letter by letter; `None`: any name will do.
    pub names: Option<Vec<String>>,
    pub provider: Arc<CryptoProvider>,
}

/// The client is not on the list.
#[derive(Debug, thiserror::Error)]
#[error("no name in the client's certificate is one of client_allowed_sans")]
struct NotAllowed;

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.signed
            .as_ref()
            .map_or(&[], |signed| signed.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(signed) = &self.signed {
            signed.verify_client_cert(certificate, intermediates, now)?;
        }
        if let Some(allowed) = &self.names {
            let names = names(certificate)?;
            if !names.iter().any(|name| allowed.contains(name)) {
                let other = OtherError(Arc::new(NotAllowed));
                return Err(CertificateError::Other(other).into());
            }
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The subject's alternative names: DNS, mail, URI as they stand, addresses as text.
fn names(certificate: &CertificateDer<'_>) -> Result<Vec<String>, Error> {
    let bad = |_| Error::InvalidCertificate(CertificateError::BadEncoding);
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| bad(()))?;
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| bad(()))?;
    let Some(names) = names else {
        return Ok(Vec::new());
    };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
            Some((*name).to_owned())
        }
        GeneralName::IPAddress(octets) => address(octets).map(|address| address.to_string()),
        _ => None,
    };
    Ok(names.value.general_names.iter().filter_map(name).collect())
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    #[test]
    fn names_are_read_as_a_person_writes_them() {
        let mut parameters = CertificateParams::new(vec!["a.example".into()]).unwrap();
        parameters.subject_alt_names.extend([
            SanType::IpAddress([192, 0, 2, 1].into()),
            SanType::IpAddress("2001:db8::1".parse().unwrap()),
            SanType::Rfc822Name("me@example.org".try_into().unwrap()),
            SanType::URI("spiffe://example/prometheus".try_into().unwrap()),
        ]);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        assert_eq!(
            names(certificate.der()).unwrap(),
            [
                "a.example",
                "192.0.2.1",
                "2001:db8::1",
                "me@example.org",
                "spiffe://example/prometheus",
            ]
        );
        assert!(names(&CertificateDer::from_slice(b"none")).is_err());
    }
}
