//! Tokens for what is no client secret.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Rig, answer};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn jwt(claims: &Value) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let header = json!({"alg": "RS256", "typ": "JWT", "x5t": "AAAA"});
    format!("{}.{}.c2lnbmVk", part(&header), part(claims))
}

#[tokio::test]
async fn an_assertion_buys_a_token_that_works() {
    let mut rig = Rig::new().await;
    let access = rig.access().clone();
    let claims = |audience: &str| {
        json!({
            "aud": audience,
            "iss": access.client_id,
            "sub": access.client_id,
            "exp": Timestamp::now().as_second() + 600,
        })
    };
    let endpoint = format!(
        "{}/{}/oauth2/v2.0/token",
        access.authority, access.tenant_id
    );
    let good = jwt(&claims(&endpoint));
    let proof = [
        ("client_assertion_type", JWT_BEARER),
        ("client_assertion", good.as_str()),
    ];
    let (status, answered) = rig.sign_in(&proof).await;
    assert_eq!(status, 200, "{answered}");
    rig.token = answered["access_token"].as_str().unwrap().to_owned();
    let (status, answered) = rig.query(&rig.workspace("query"), "print 1").await;
    assert_eq!(status, 200, "{answered}");

    let elsewhere = jwt(&claims("https://login.example/token"));
    for (proof, status, error, code) in [
        (
            vec![
                ("client_assertion_type", JWT_BEARER),
                ("client_assertion", elsewhere.as_str()),
            ],
            401,
            "invalid_client",
            700_023,
        ),
        (
            vec![
                ("client_assertion_type", JWT_BEARER),
                ("client_assertion", "x.y.z"),
            ],
            400,
            "invalid_request",
            50027,
        ),
        (
            vec![("client_assertion", good.as_str())],
            401,
            "invalid_client",
            7_000_216,
        ),
        (vec![], 401, "invalid_client", 7_000_216),
    ] {
        let (found, refused) = rig.sign_in(&proof).await;
        assert_eq!((found, &refused["error"]), (status, &json!(error)));
        assert_eq!(refused["error_codes"], json!([code]));
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_virtual_machine_gets_a_token() {
    let mut rig = Rig::new().await;
    let path = "/metadata/identity/oauth2/token?api-version=2019-08-01&resource=https://api.loganalytics.io";
    let request = rig.request(Method::GET, path).header("metadata", "true");
    let (status, mut answered) = answer(request.send().await.unwrap()).await;
    assert_eq!(status, 200, "{answered}");
    rig.token = answered["access_token"].take().as_str().unwrap().to_owned();
    let keys: Vec<_> = answered.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "access_token",
            "expires_on",
            "resource",
            "token_type",
            "refresh_token",
            "expires_in",
            "not_before"
        ]
    );
    assert_eq!(answered["expires_in"], "3599");
    let (status, _) = rig.query(&rig.workspace("query"), "print 1").await;
    assert_eq!(status, 200);

    let unmarked = rig.request(Method::GET, path).send().await.unwrap();
    assert_eq!(
        answer(unmarked).await,
        (
            400,
            json!({
                "error": "invalid_request",
                "error_description": "Required metadata header not specified",
            })
        )
    );
    let other = path.replace("api.loganalytics.io", "vault.azure.net");
    let request = rig.request(Method::GET, &other).header("metadata", "true");
    let (status, refused) = answer(request.send().await.unwrap()).await;
    assert_eq!(
        (status, &refused["error"]),
        (400, &json!("invalid_resource"))
    );
    rig.stop().await;
}

#[tokio::test]
async fn an_app_service_process_gets_a_token() {
    let mut rig = Rig::new().await;
    let access = rig.access().clone();
    let path = "/msi/token?api-version=2019-08-01&resource=https://api.loganalytics.io";
    let secret = access.client_secret.expose();
    let request = rig
        .request(Method::GET, path)
        .header("x-identity-header", secret);
    let (status, answered) = answer(request.send().await.unwrap()).await;
    assert_eq!(
        (status, &answered["client_id"]),
        (200, &json!(access.client_id))
    );
    let expires: i64 = answered["expires_on"].as_str().unwrap().parse().unwrap();
    assert!(expires > Timestamp::now().as_second());
    rig.token = answered["access_token"].as_str().unwrap().to_owned();
    let (status, _) = rig.query(&rig.workspace("query"), "print 1").await;
    assert_eq!(status, 200);
    let request = rig
        .request(Method::GET, path)
        .header("x-identity-header", "wrong");
    assert_eq!(request.send().await.unwrap().status(), 401);
    rig.stop().await;
}
