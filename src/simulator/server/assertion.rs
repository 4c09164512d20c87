//! Client assertions: a JWT in the place of a client secret.
//!
//! Its form and its claims are judged as the service judges them. Its signature is not: no certificate
//! is registered here, so any key will do.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// The `client_assertion_type` of a JWT.
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Whom a workload's own token, from another issuer, speaks to.
const TOKEN_EXCHANGE: &str = "api://AzureADTokenExchange";
/// How far clocks may differ, in seconds.
const SKEW: i64 = 300;

/// What an assertion is held against.
pub struct Expected<'a> {
    pub authority: &'a str,
    pub tenant_id: &'a str,
    pub client_id: &'a str,
}

/// Why an assertion is refused: the OAuth error, the AADSTS number and its text.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    pub status: u16,
    pub error: &'static str,
    pub code: u32,
    pub text: String,
}

impl Wrong {
    fn malformed() -> Self {
        Self {
            status: 400,
            error: "invalid_request",
            code: 50027,
            text: "JWT token is invalid or malformed.".into(),
        }
    }

    fn client(code: u32, text: impl Into<String>) -> Self {
        Self {
            status: 401,
            error: "invalid_client",
            code,
            text: text.into(),
        }
    }
}

/// Judges an assertion at `now`.
///
/// # Errors
/// If it is no signed JWT, is for somebody else, from somebody else, or not good at this time.
pub fn check(assertion: &str, expected: &Expected<'_>, now: Timestamp) -> Result<(), Wrong> {
    let claims = claims(assertion).ok_or_else(Wrong::malformed)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let second = |name: &str| claims.get(name).and_then(Value::as_i64);

    let now = now.as_second();
    let expires = second("exp").ok_or_else(Wrong::malformed)?;
    let begins = second("nbf").unwrap_or(i64::MIN);
    if expires.saturating_add(SKEW) <= now || begins.saturating_sub(SKEW) > now {
        return Err(Wrong::client(
            700_024,
            "Client assertion is not within its valid time range.",
        ));
    }
    if text("aud") == TOKEN_EXCHANGE && !text("iss").is_empty() && !text("sub").is_empty() {
        // Any issuer counts as one that the application trusts.
        return Ok(());
    }
    let base = format!("{}/{}", expected.authority, expected.tenant_id);
    let audiences = ["/oauth2/v2.0/token", "/oauth2/token", "/v2.0", ""];
    let is_for_us = audiences.iter().any(|end| {
        text("aud")
            .trim_end_matches('/')
            .eq_ignore_ascii_case(&format!("{base}{end}"))
    });
    if !is_for_us {
        return Err(Wrong::client(
            700_023,
            "Client assertion audience claim does not match Realm issuer.",
        ));
    }
    let is_the_client = |name: &str| text(name).eq_ignore_ascii_case(expected.client_id);
    if !is_the_client("iss") || !is_the_client("sub") {
        return Err(Wrong::client(
            700_021,
            "Client assertion application identifier doesn't match 'client_id' parameter.",
        ));
    }
    Ok(())
}

/// The claims of a JWT that says it is signed.
fn claims(assertion: &str) -> Option<Map<String, Value>> {
    let mut parts = assertion.split('.');
    let (header, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
    let header = object(header)?;
    let algorithm = header.get("alg")?.as_str()?;
    let is_signed = matches!(algorithm, "RS256" | "PS256")
        && URL_SAFE_NO_PAD
            .decode(signature)
            .is_ok_and(|bytes| !bytes.is_empty());
    (is_signed && parts.next().is_none()).then(|| object(claims))?
}

fn object(part: &str) -> Option<Map<String, Value>> {
    let json = URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_774_958_400;

    fn jwt(header: &Value, claims: &Value) -> String {
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        format!("{}.{}.c2lnbmVk", part(header), part(claims))
    }

    fn judged(assertion: &str) -> Result<(), u32> {
        let expected = Expected {
            authority: "https://localhost:1",
            tenant_id: "tenant",
            client_id: "client",
        };
        let now = Timestamp::from_second(NOW).unwrap();
        check(assertion, &expected, now).map_err(|wrong| wrong.code)
    }

    #[test]
    fn each_claim_counts() {
        let with = |name: &str, value: Value| {
            let mut claims = json!({
                "aud": "https://localhost:1/tenant/oauth2/v2.0/token",
                "iss": "client",
                "sub": "client",
                "nbf": NOW,
                "exp": NOW + 600,
            });
            claims[name] = value;
            judged(&jwt(&json!({"alg": "RS256"}), &claims))
        };
        for (name, value, verdict) in [
            ("jti", json!("1"), Ok(())),
            ("aud", json!("https://localhost:1/tenant/v2.0"), Ok(())),
            ("aud", json!("https://localhost:1/other/v2.0"), Err(700_023)),
            ("aud", Value::Null, Err(700_023)),
            ("aud", json!("api://AzureADTokenExchange"), Ok(())),
            ("iss", json!("stranger"), Err(700_021)),
            ("sub", json!("stranger"), Err(700_021)),
            ("exp", json!(NOW - 300), Err(700_024)),
            ("exp", json!(NOW - 299), Ok(())),
            ("exp", Value::Null, Err(50027)),
            ("exp", json!(i64::MAX), Ok(())),
            ("nbf", json!(NOW + 301), Err(700_024)),
        ] {
            assert_eq!(with(name, value.clone()), verdict, "{name} {value}");
        }
    }

    #[test]
    fn what_is_no_signed_jwt_is_malformed() {
        let claims = json!({"exp": NOW});
        let good = jwt(&json!({"alg": "RS256"}), &claims);
        for text in [
            "",
            "..",
            "a.b.c",
            &jwt(&json!({"alg": "none"}), &claims),
            &jwt(&json!([]), &claims),
            &format!("{good}.x"),
            good.rsplit_once('.').unwrap().0,
        ] {
            assert_eq!(judged(text), Err(50027), "{text}");
        }
    }
}
