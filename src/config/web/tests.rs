use std::path::Path;

use proptest::prelude::*;

use super::*;

const HASH: &str = "$2y$04$abcdefghijklmnopqrstuu5V7ZcbyGkDqVOoyjMtdSg0ZlVpGzV5S";

fn load(text: &str) -> Result<WebSettings, String> {
    WebSettings::from_yaml(Path::new("/etc/x/web.yml"), text).map_err(|p| p.to_string())
}

#[test]
fn an_empty_file_asks_for_nothing() {
    for text in ["", "# nothing\n", "{}", "---\n"] {
        let settings = load(text).unwrap();
        assert!(settings.tls.is_none(), "{text:?}");
        assert!(settings.users.is_empty() && settings.rate.is_none());
        assert!(settings.http2 && settings.headers.is_empty());
    }
}

#[test]
fn a_full_file_is_read_with_paths_beside_it() {
    let settings = load(&format!(
        "tls_server_config:
  cert_file: tls/server.crt
  key: inline-key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: /ca.pem
  client_allowed_sans: [prometheus.example]
  min_version: TLS13
  curve_preferences: [CurveP256, X25519]
  cipher_suites: [TLS_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: false
http_server_config:
  http2: false
  headers: {{X-Frame-Options: deny, X-XSS-Protection: ''}}
basic_auth_users: {{alice: '{HASH}'}}
rate_limit: {{interval: 500ms, burst: 3}}
"
    ))
    .unwrap();
    let tls = settings.tls.unwrap();
    let Pem::File("cert_file", file) = &tls.certificate else {
        panic!("{:?}", tls.certificate)
    };
    assert_eq!(*file, Located::new("/etc/x/tls/server.crt".into(), Some(2)));
    assert!(matches!(&tls.key, Pem::Inline("key", key) if key.value.expose() == "inline-key"));
    assert_eq!(tls.clients.policy, ClientPolicy::RequireVerified);
    assert_eq!(
        tls.clients.allowed_names.as_deref(),
        Some(&["prometheus.example".to_owned()][..])
    );
    assert_eq!(tls.versions, [TlsVersion::Tls13]);
    assert_eq!(tls.curves, [Curve::P256, Curve::X25519]);
    assert_eq!(tls.cipher_suites, ["TLS_AES_128_GCM_SHA256"]);
    assert!(!tls.prefer_server_order && !settings.http2);
    assert_eq!(settings.headers, [("X-Frame-Options", "deny".to_owned())]);
    assert_eq!(settings.users["alice"].expose(), HASH);
    let rate = settings.rate.unwrap();
    assert_eq!((rate.interval, rate.burst), (Duration::from_millis(500), 3));
}

#[test]
fn neither_debug_nor_an_error_gives_a_secret_away() {
    let text = format!(
        "tls_server_config: {{cert: c, key: hunter2}}\nbasic_auth_users: {{alice: '{HASH}'}}"
    );
    let printed = format!("{:?}", load(&text).unwrap());
    assert!(
        !printed.contains("hunter2") && !printed.contains(HASH),
        "{printed}"
    );
    for text in [
        "basic_auth_users: hunter2",
        "basic_auth_users: [hunter2]",
        "basic_auth_users: {alice: hunter2}",
        "basic_auth_users: {alice: [hunter2]}",
        "basic_auth_users: {alice: {hunter2: x}}",
        "basic_auth_users:\n  alice: hunter2: x",
        "basic_auth_users: {alice: !!int hunter2}",
        "tls_server_config: {key: [hunter2]}",
        "tls_server_config: hunter2",
        "hunter2",
        "basic_auth_users: {alice: *hunter2}",
        "basic_auth_users: {alice: 'hunter2",
    ] {
        let error = load(text).unwrap_err();
        assert!(!error.contains("hunter2"), "{text}: {error}");
    }
}

#[test]
fn a_rate_of_zero_is_no_limit() {
    assert!(load("rate_limit: {interval: 0s}").unwrap().rate.is_none());
    assert!(load("rate_limit: {burst: 3}").unwrap().rate.is_none());
}

const KEYS: [&str; 9] = [
    "tls_server_config",
    "http_server_config",
    "basic_auth_users",
    "rate_limit",
    "cert_file",
    "headers",
    "interval",
    "cipher_suites",
    "x",
];

proptest! {
    /// Whatever stands there: settings, or problems that name the file.
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        if let Err(error) = load(&text) {
            prop_assert!(error.starts_with("/etc/x/web.yml:"), "{}", error);
        }
    }

    /// Texts that look right enough to come further.
    #[test]
    fn any_likely_text_is_read_or_refused(
        lines in prop::collection::vec(
            (0usize..4, 0usize..KEYS.len(), "[-&*!\\[\\]{}'\"a-zA-Z0-9:$ ]{0,12}"), 0..12),
    ) {
        let mut text = String::new();
        for (indent, key, value) in lines {
            text.push_str(&format!("{}{}: {value}\n", "  ".repeat(indent), KEYS[key]));
        }
        if let Err(error) = load(&text) {
            prop_assert!(error.starts_with("/etc/x/web.yml:"), "{}", error);
        }
    }
}
