//! From what was typed to what is meant: every rule of the web configuration is here.

use std::path::Path;
use std::time::Duration;

use serde_saphyr::Spanned;

use super::raw;
use super::{ClientPolicy, Clients, Curve, Pem, Rate, TlsSettings, TlsVersion, WebSettings};
use crate::config::{Located, Problem, Problems, Secret, yaml};

/// bcrypt's work is 2 to the power of its cost: 16 is some seconds for each wrong password, 31 days.
const MAX_COST: u32 = 16;

/// What rustls has of TLS 1.3 and 1.2: forward secrecy and authenticated encryption only.
const SUITES: [&str; 9] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// The headers that may be set, and the values where those are an enumeration.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-XSS-Protection", &[]),
    ("Strict-Transport-Security", &[]),
];

impl WebSettings {
    /// Reads the text of a web configuration file. Paths in it are relative to the folder of `file`.
    ///
    /// # Errors
    /// All problems at once, each with its line. None of them repeats a hash or a key.
    pub fn from_yaml(file: &Path, text: &str) -> Result<Self, Problems> {
        // A file of comments only is a good one: it asks for nothing.
        let raw: Option<raw::Web> =
            yaml::from_text_with_secrets(file, text).map_err(|problem| Problems(vec![problem]))?;
        let mut reader = Reader {
            file,
            folder: file.parent().unwrap_or(Path::new("")),
            problems: Vec::new(),
        };
        let settings = raw.map_or_else(Self::open, |raw| reader.settings(raw));
        if reader.problems.is_empty() {
            Ok(settings)
        } else {
            Err(Problems(reader.problems))
        }
    }

    /// What holds without a file: plain HTTP for everybody.
    pub fn open() -> Self {
        Self {
            tls: None,
            http2: true,
            headers: Vec::new(),
            users: Default::default(),
            rate: None,
        }
    }
}

/// Collects problems while it reads on with a stand-in, so that one run finds all of them.
struct Reader<'a> {
    file: &'a Path,
    folder: &'a Path,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn problem(&mut self, line: Option<u32>, text: impl std::fmt::Display) {
        self.problems.push(Problem::new(self.file, line, text));
    }

    fn settings(&mut self, raw: raw::Web) -> WebSettings {
        WebSettings {
            tls: raw.tls_server_config.and_then(|tls| self.tls(tls)),
            http2: raw.http_server_config.http2.unwrap_or(true),
            headers: raw
                .http_server_config
                .headers
                .into_iter()
                .filter_map(|(name, value)| self.header(&name, value))
                .collect(),
            users: raw
                .basic_auth_users
                .into_iter()
                .filter_map(|(user, hash)| self.user(user, hash))
                .collect(),
            rate: raw.rate_limit.and_then(|rate| self.rate(&rate)),
        }
    }

    fn tls(&mut self, tls: Spanned<raw::Tls>) -> Option<TlsSettings> {
        let line = yaml::line(&tls);
        let tls = tls.value;
        for (missing, keys) in [
            (
                tls.cert_file.is_none() && tls.cert.is_none(),
                "cert_file or cert",
            ),
            (
                tls.key_file.is_none() && tls.key.is_none(),
                "key_file or key",
            ),
        ] {
            if missing {
                self.problem(line, format!("tls_server_config must have {keys}"));
            }
        }
        let certificate = self.pem(line, ["cert_file", "cert"], tls.cert_file, tls.cert);
        let key = self.pem(line, ["key_file", "key"], tls.key_file, tls.key);
        let authorities = self.pem(
            line,
            ["client_ca_file", "client_ca"],
            tls.client_ca_file,
            tls.client_ca,
        );
        let clients = self.clients(
            line,
            tls.client_auth_type.as_ref(),
            authorities,
            tls.client_allowed_sans,
        );
        let versions = self.versions(tls.min_version.as_ref(), tls.max_version.as_ref());
        let cipher_suites = self.cipher_suites(&tls.cipher_suites, &versions);
        let curves = tls
            .curve_preferences
            .iter()
            .filter_map(|curve| self.curve(curve))
            .collect();
        Some(TlsSettings {
            certificate: certificate?,
            key: key?,
            clients,
            versions,
            cipher_suites,
            curves,
            prefer_server_order: tls.prefer_server_cipher_suites.unwrap_or(true),
        })
    }

    /// A file or the text itself; an empty value is as good as none, as elsewhere in this format.
    fn pem(
        &mut self,
        line: Option<u32>,
        [file_key, inline_key]: [&'static str; 2],
        file: Option<Spanned<String>>,
        inline: Option<Spanned<String>>,
    ) -> Option<Pem> {
        let given = |value: &Spanned<String>| !value.value.is_empty();
        match (file.filter(given), inline.filter(given)) {
            (Some(_), Some(_)) => {
                let rule =
                    format!("tls_server_config must not have both {file_key} and {inline_key}");
                self.problem(line, rule);
                None
            }
            (Some(file), None) => {
                let path = self.folder.join(&file.value);
                Some(Pem::File(file_key, Located::new(path, yaml::line(&file))))
            }
            (None, Some(text)) => {
                let line = yaml::line(&text);
                Some(Pem::Inline(
                    inline_key,
                    Located::new(Secret::new(text.value), line),
                ))
            }
            (None, None) => None,
        }
    }

    fn clients(
        &mut self,
        line: Option<u32>,
        policy: Option<&Spanned<String>>,
        authorities: Option<Pem>,
        allowed: Option<Spanned<Vec<String>>>,
    ) -> Clients {
        let line = policy.and_then(yaml::line).or(line);
        let name = policy.map_or("NoClientCert", |policy| policy.value.as_str());
        let policy = match name {
            "" | "NoClientCert" => ClientPolicy::Ignore,
            "RequestClientCert" => ClientPolicy::Request,
            // The second is an old name of the first.
            "RequireAnyClientCert" | "RequireClientCert" => ClientPolicy::RequireAny,
            "VerifyClientCertIfGiven" => ClientPolicy::VerifyIfGiven,
            "RequireAndVerifyClientCert" => ClientPolicy::RequireVerified,
            _ => {
                let rule = format!(
                    "client_auth_type {name:?} must be NoClientCert, RequestClientCert, \
                     RequireAnyClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert"
                );
                self.problem(line, rule);
                ClientPolicy::Ignore
            }
        };
        let verifies = matches!(
            policy,
            ClientPolicy::VerifyIfGiven | ClientPolicy::RequireVerified
        );
        if verifies && authorities.is_none() {
            let rule = format!("client_auth_type {name} needs client_ca_file or client_ca");
            self.problem(line, rule);
        }
        if !verifies && authorities.is_some() {
            let rule = "client_ca_file and client_ca need client_auth_type \
                        RequireAndVerifyClientCert or VerifyClientCertIfGiven: nothing else verifies";
            self.problem(line, rule);
        }
        if let Some(allowed) = &allowed {
            let line = yaml::line(allowed);
            if policy != ClientPolicy::RequireVerified {
                let rule = "client_allowed_sans needs client_auth_type RequireAndVerifyClientCert: \
                            any other lets in who is not on the list";
                self.problem(line, rule);
            }
            if allowed.value.is_empty() {
                self.problem(line, "client_allowed_sans must list at least one name");
            }
        }
        Clients {
            policy,
            authorities,
            allowed_names: allowed.map(|allowed| allowed.value),
        }
    }

    fn versions(
        &mut self,
        least: Option<&Spanned<String>>,
        most: Option<&Spanned<String>>,
    ) -> Vec<TlsVersion> {
        let line = least.or(most).and_then(yaml::line);
        let least = self.version("min_version", least, TlsVersion::Tls12);
        let most = self.version("max_version", most, TlsVersion::Tls13);
        if least > most {
            self.problem(line, "min_version must not be above max_version");
        }
        [TlsVersion::Tls12, TlsVersion::Tls13]
            .into_iter()
            .filter(|version| (least..=most).contains(version))
            .collect()
    }

    fn version(
        &mut self,
        key: &str,
        text: Option<&Spanned<String>>,
        otherwise: TlsVersion,
    ) -> TlsVersion {
        let Some(text) = text else { return otherwise };
        let line = yaml::line(text);
        match text.value.as_str() {
            "TLS12" => return TlsVersion::Tls12,
            "TLS13" => return TlsVersion::Tls13,
            old @ ("TLS10" | "TLS11") => self.problem(
                line,
                format!("{key} {old} is not offered: it is broken; take TLS12 or TLS13"),
            ),
            other => self.problem(line, format!("{key} {other:?} must be TLS12 or TLS13")),
        }
        otherwise
    }

    fn cipher_suites(
        &mut self,
        names: &[Spanned<String>],
        versions: &[TlsVersion],
    ) -> Vec<&'static str> {
        let before = self.problems.len();
        let mut suites = Vec::new();
        for name in names {
            match SUITES.into_iter().find(|suite| *suite == name.value) {
                Some(suite) => suites.push(suite),
                None => {
                    let rule = format!(
                        "cipher_suites: {:?} is not offered; these are: {}",
                        name.value,
                        SUITES.join(", ")
                    );
                    self.problem(yaml::line(name), rule);
                }
            }
        }
        let has_tls12 = suites.iter().any(|suite| suite.contains("_WITH_"));
        if !names.is_empty()
            && self.problems.len() == before
            && versions.first() == Some(&TlsVersion::Tls12)
            && !has_tls12
        {
            let line = names.first().and_then(yaml::line);
            let rule = "cipher_suites lists none of TLS 1.2: add one (TLS_ECDHE_…) or set min_version TLS13";
            self.problem(line, rule);
        }
        suites
    }

    fn curve(&mut self, name: &Spanned<String>) -> Option<Curve> {
        match name.value.as_str() {
            "X25519" => Some(Curve::X25519),
            "CurveP256" => Some(Curve::P256),
            "CurveP384" => Some(Curve::P384),
            other => {
                let rule = format!(
                    "curve_preferences: {other:?} is not offered; these are: X25519, CurveP256, CurveP384"
                );
                self.problem(yaml::line(name), rule);
                None
            }
        }
    }

    /// A blank value leaves the header as it is.
    fn header(&mut self, name: &str, value: Spanned<String>) -> Option<(&'static str, String)> {
        let line = yaml::line(&value);
        let Some((known, values)) = HEADERS.into_iter().find(|(known, _)| *known == name) else {
            let names = HEADERS.map(|(known, _)| known).join(", ");
            self.problem(line, format!("headers: {name:?} must be one of {names}"));
            return None;
        };
        let value = value.value;
        if value.is_empty() {
            return None;
        }
        if !values.is_empty() && !values.contains(&value.as_str()) {
            let rule = format!("headers: {name} {value:?} must be {}", values.join(" or "));
            self.problem(line, rule);
            return None;
        }
        if !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            let rule = format!("headers: {name} must be one line of printable ASCII");
            self.problem(line, rule);
            return None;
        }
        Some((known, value))
    }

    fn user(&mut self, user: String, hash: Spanned<String>) -> Option<(String, Secret)> {
        let line = yaml::line(&hash);
        if user.is_empty() || user.contains(':') || user.chars().any(char::is_control) {
            let rule = format!(
                "basic_auth_users: the name {user:?} must not be empty nor hold a colon or control character"
            );
            self.problem(line, rule);
            return None;
        }
        // The rules never repeat the value: people write the password itself there.
        let Ok(parts) = hash.value.parse::<bcrypt::HashParts>() else {
            let rule = format!(
                "basic_auth_users: the value of {user:?} must be a bcrypt hash, as htpasswd -nB makes"
            );
            self.problem(line, rule);
            return None;
        };
        let cost = parts.get_cost();
        if !(4..=MAX_COST).contains(&cost) {
            let rule = format!(
                "basic_auth_users: the hash of {user:?} has cost {cost}; it must be 4 to {MAX_COST}, \
                 as each wrong password costs that much work"
            );
            self.problem(line, rule);
            return None;
        }
        Some((user, Secret::new(hash.value)))
    }

    fn rate(&mut self, raw: &raw::Rate) -> Option<Rate> {
        let interval = raw.interval.as_ref()?;
        let interval = match yaml::duration("rate_limit.interval", &interval.value, Duration::ZERO)
        {
            Ok(Duration::ZERO) => return None,
            Ok(duration) => duration,
            Err(rule) => {
                self.problem(yaml::line(interval), rule);
                return None;
            }
        };
        let line = raw.burst.as_ref().and_then(yaml::line);
        let burst = raw.burst.as_ref().map_or(0, |burst| burst.value);
        match u32::try_from(burst) {
            Ok(burst) if burst > 0 => Some(Rate { interval, burst }),
            _ => {
                let line = line.or(raw.interval.as_ref().and_then(yaml::line));
                let rule = "rate_limit.burst must be 1 or more: else no request would pass";
                self.problem(line, rule);
                None
            }
        }
    }
}
