use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

use super::*;

const PEM: &str = include_str!("testdata/client.pem");

fn problem(pem: &[u8]) -> CertificateProblem {
    Signer::from_pem(pem).err().unwrap()
}

#[test]
fn an_assertion_is_signed_and_names_its_certificate() {
    let signer = Signer::from_pem(PEM.as_bytes()).unwrap();
    let now: Timestamp = "2026-11-24T08:00:00Z".parse().unwrap();
    let assertion = signer
        .assertion("client", "https://login.example/t/oauth2/v2.0/token", now)
        .unwrap();
    let (signed, signature) = assertion.expose().rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let certificate = CertificateDer::pem_slice_iter(PEM.as_bytes())
        .next()
        .unwrap()
        .unwrap();
    let (_, parsed) = X509Certificate::from_der(&certificate).unwrap();
    let key = &parsed.public_key().subject_public_key.data;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
        .verify(signed.as_bytes(), &signature)
        .unwrap();

    let (header, claims) = signed.split_once('.').unwrap();
    let json =
        |part| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
    let fingerprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, &certificate));
    assert_eq!(
        json(header),
        json!({"alg": "RS256", "typ": "JWT", "x5t#S256": fingerprint})
    );
    let mut claims = json(claims);
    let jti = claims.as_object_mut().unwrap().shift_remove("jti");
    assert_eq!(jti.unwrap().as_str().unwrap().len(), 36);
    assert_eq!(
        claims,
        json!({
            "aud": "https://login.example/t/oauth2/v2.0/token",
            "iss": "client",
            "sub": "client",
            "nbf": 1_795_507_200,
            "iat": 1_795_507_200,
            "exp": 1_795_507_800,
        })
    );
}

#[test]
fn a_file_of_no_use_is_told_apart() {
    assert_eq!(problem(b"\x30\x82PFX"), CertificateProblem::NotPem);
    assert_eq!(problem(b""), CertificateProblem::NoKey);
    let (certificate, key) = PEM.split_at(PEM.find("-----BEGIN PRIVATE KEY").unwrap());
    assert_eq!(problem(certificate.as_bytes()), CertificateProblem::NoKey);
    assert_eq!(problem(key.as_bytes()), CertificateProblem::NoCertificate);
    let encrypted = PEM.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    assert_eq!(problem(encrypted.as_bytes()), CertificateProblem::Encrypted);
    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    assert_eq!(problem(other.as_bytes()), CertificateProblem::NotRsa);
}

#[test]
fn the_certificate_may_stand_anywhere() {
    let (certificate, key) = PEM.split_at(PEM.find("-----BEGIN PRIVATE KEY").unwrap());
    let issuer = rcgen::generate_simple_self_signed(["issuer".to_owned()]).unwrap();
    let signer = |pem: String| Signer::from_pem(pem.as_bytes()).unwrap().fingerprint;
    assert_eq!(
        signer(format!("{key}{}{certificate}", issuer.cert.pem())),
        signer(PEM.to_owned())
    );
}
