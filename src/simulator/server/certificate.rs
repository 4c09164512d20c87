//! The authority that the simulator makes for itself at each start, and its certificate.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::{Timestamp, ToSpan, civil::Date, tz::Offset};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;

/// TLS for the server, and what a client must trust.
pub struct Certificate {
    pub config: Arc<ServerConfig>,
    pub ca_pem: String,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("could not make a certificate")]
    Make(#[from] rcgen::Error),
    #[error("could not set TLS up")]
    Tls(#[from] rustls::Error),
}

/// A certificate for `localhost`, the loopback addresses and `address`, signed by a new authority.
/// Both are good from yesterday for 30 days: longer than a demo, shorter than a habit.
pub fn make(address: IpAddr, now: Timestamp) -> Result<Certificate, CertificateError> {
    let today = Offset::UTC.to_datetime(now).date();
    let valid = |params: &mut CertificateParams| {
        let day =
            |date: Date| date_time_ymd(date.year().into(), date.month() as u8, date.day() as u8);
        params.not_before = day(today.saturating_sub(1.day()));
        params.not_after = day(today.saturating_add(30.days()));
    };

    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.distinguished_name
        .push(DnType::CommonName, "Simulated workspace CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid(&mut ca);
    let ca_pem = ca.self_signed(&ca_key)?.pem();
    let issuer = Issuer::new(ca, ca_key);

    let mut names: Vec<_> = ["localhost", "127.0.0.1", "::1"].map(String::from).into();
    let address = address.to_string();
    if !names.contains(&address) {
        names.push(address);
    }
    let key = KeyPair::generate()?;
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name
        .push(DnType::CommonName, "Simulated workspace");
    leaf.use_authority_key_identifier_extension = true;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    valid(&mut leaf);
    let certificate = leaf.signed_by(&key, &issuer)?;

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Certificate {
        config: Arc::new(config),
        ca_pem,
    })
}
