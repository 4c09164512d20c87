//! The simulated workspace as its clients see it: over TLS, with a real HTTP client.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Certificate, Client, RequestBuilder, Response};
use serde_json::{Value, json};
use vminsights_exporter::simulator::{
    Access, Clock, Limits, Scenario, Simulator, SimulatorError, SimulatorOptions,
};

/// A workspace and somebody who asks it.
struct Asker {
    simulator: Simulator,
    client: Client,
    token: String,
}

fn noon() -> Timestamp {
    "2026-03-31T12:00:00Z".parse().unwrap()
}

/// Two VMs at a fixed noon, on any free port.
fn options() -> SimulatorOptions {
    SimulatorOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        vms: 2,
        scenario: Some(Scenario::Calm),
        clock: Clock::Fixed(noon()),
        ..SimulatorOptions::default()
    }
}

fn client(access: &Access) -> Client {
    // A second installation is refused, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ca = Certificate::from_pem(access.ca_pem.as_bytes()).unwrap();
    Client::builder()
        .tls_certs_only([ca])
        .no_proxy()
        .no_gzip()
        .build()
        .unwrap()
}

fn form(access: &Access) -> Vec<(&'static str, String)> {
    vec![
        ("grant_type", "client_credentials".into()),
        ("client_id", access.client_id.clone()),
        ("client_secret", access.client_secret.expose().into()),
        ("scope", format!("{}/.default", access.audience)),
    ]
}

async fn sign_in(client: &Client, access: &Access, form: &[(&str, String)]) -> Response {
    let body: Vec<_> = form
        .iter()
        .map(|(name, value)| {
            let value = value
                .replace('%', "%25")
                .replace('&', "%26")
                .replace(' ', "%20");
            format!("{name}={value}")
        })
        .collect();
    client
        .post(format!(
            "{}/{}/oauth2/v2.0/token",
            access.authority, access.tenant_id
        ))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.join("&"))
        .send()
        .await
        .unwrap()
}

async fn body(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

impl Asker {
    async fn new(options: SimulatorOptions) -> Self {
        let simulator = Simulator::start(options).await.unwrap();
        let access = simulator.access();
        let client = client(access);
        let (_, answer) = body(sign_in(&client, access, &form(access)).await).await;
        let token = answer["access_token"].as_str().unwrap().to_owned();
        Self {
            simulator,
            client,
            token,
        }
    }

    fn url(&self, path: &str) -> String {
        let access = self.simulator.access();
        format!(
            "{}/v1/workspaces/{}/{path}",
            access.endpoint, access.workspace_id
        )
    }

    fn request(&self, body: &Value) -> RequestBuilder {
        self.client
            .post(self.url("query"))
            .bearer_auth(&self.token)
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    async fn send(&self, query: &str) -> Response {
        self.request(&json!({ "query": query }))
            .send()
            .await
            .unwrap()
    }

    /// The rows of a query that must succeed.
    async fn rows(&self, query: &str) -> Value {
        let (status, mut answer) = body(self.send(query).await).await;
        assert_eq!(status, 200, "{query}: {answer}");
        answer["tables"][0]["rows"].take()
    }
}

/// The error without its correlation id, which must be there.
fn error(mut answer: Value) -> Value {
    let id = answer["error"]
        .as_object_mut()
        .unwrap()
        .remove("correlationId");
    assert_eq!(id.unwrap().as_str().unwrap().len(), 36);
    answer["error"].take()
}

fn bad_argument(inner: Value) -> Value {
    json!({
        "message": "The request had some invalid properties",
        "code": "BadArgumentError",
        "innererror": inner,
    })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let name: HeaderName = name.parse().unwrap();
    headers
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_secret_buys_a_token() {
    let simulator = Simulator::start(options()).await.unwrap();
    let access = simulator.access();
    let response = sign_in(&client(access), access, &form(access)).await;
    let headers = response.headers().clone();
    assert_eq!(header(&headers, "cache-control"), "no-store, no-cache");
    assert_eq!(
        header(&headers, "content-type"),
        "application/json; charset=utf-8"
    );
    assert_eq!(header(&headers, "x-ms-clitelem"), "1,0,0,,");
    let (status, mut answer) = body(response).await;
    assert_eq!(status, 200);
    let token = answer["access_token"].take();
    assert_eq!(token.as_str().unwrap().len(), 64);
    assert_eq!(
        answer,
        json!({
            "token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599,
            "access_token": null,
        })
    );
    simulator.stop().await;
}

#[tokio::test]
async fn each_wrong_sign_in_is_told_apart() {
    let simulator = Simulator::start(options()).await.unwrap();
    let access = simulator.access();
    let client = client(access);
    let with = |name: &str, value: Option<&str>| {
        let mut form = form(access);
        form.retain(|(field, _)| *field != name);
        let name = *["grant_type", "client_id", "client_secret", "scope"]
            .iter()
            .find(|field| **field == name)
            .unwrap();
        form.extend(value.map(|value| (name, value.to_owned())));
        form
    };
    for (form, status, code, kind, text) in [
        (
            with("client_secret", Some("wrong")),
            401,
            7_000_215,
            "invalid_client",
            "AADSTS7000215: Invalid client secret provided.",
        ),
        (
            with("client_id", Some("stranger")),
            400,
            700_016,
            "unauthorized_client",
            "AADSTS700016: Application with identifier 'stranger' was not found",
        ),
        (
            with("scope", Some("https://graph.microsoft.com/.default")),
            400,
            70011,
            "invalid_scope",
            "AADSTS70011: The provided value for the input parameter 'scope' is not valid.",
        ),
        (
            with("grant_type", Some("password")),
            400,
            70003,
            "unsupported_grant_type",
            "AADSTS70003: The app requested an unsupported grant type 'password'.",
        ),
        (
            with("client_id", None),
            400,
            900_144,
            "invalid_request",
            "AADSTS900144: The request body must contain the following parameter: 'client_id'.",
        ),
    ] {
        let response = sign_in(&client, access, &form).await;
        let telemetry = header(response.headers(), "x-ms-clitelem").to_owned();
        assert_eq!(telemetry, format!("1,{code},0,,"));
        let (found, answer) = body(response).await;
        assert_eq!((found, &answer["error"]), (status, &json!(kind)));
        assert_eq!(answer["error_codes"], json!([code]));
        let description = answer["error_description"].as_str().unwrap();
        assert!(description.starts_with(text), "{description}");
        let lines: Vec<_> = description.split("\r\n").collect();
        let trace = answer["trace_id"].as_str().unwrap();
        let correlation = answer["correlation_id"].as_str().unwrap();
        let timestamp = answer["timestamp"].as_str().unwrap();
        assert_eq!(
            lines[1..],
            [
                format!("Trace ID: {trace}"),
                format!("Correlation ID: {correlation}"),
                format!("Timestamp: {timestamp}")
            ]
        );
        assert_eq!(
            answer["error_uri"],
            format!("{}/error?code={code}", access.authority)
        );
    }
    let mut elsewhere = access.clone();
    elsewhere.tenant_id = "contoso".into();
    let (status, answer) = body(sign_in(&client, &elsewhere, &form(access)).await).await;
    assert_eq!((status, &answer["error_codes"]), (400, &json!([90002])));
    simulator.stop().await;
}

#[tokio::test]
async fn discovery_leads_to_the_token_endpoint() {
    let simulator = Simulator::start(options()).await.unwrap();
    let access = simulator.access();
    let client = client(access);
    let get = async |path: &str| {
        let url = format!("{}/{path}", access.authority);
        body(client.get(url).send().await.unwrap()).await
    };
    let tenant = &access.tenant_id;
    let (status, answer) = get(&format!("{tenant}/v2.0/.well-known/openid-configuration")).await;
    assert_eq!(status, 200);
    assert_eq!(
        answer["token_endpoint"],
        format!("{}/{tenant}/oauth2/v2.0/token", access.authority)
    );
    let (status, answer) = get("common/discovery/instance?api-version=1.1").await;
    let host = simulator.address().to_string();
    assert_eq!(
        (status, &answer["metadata"][0]["aliases"]),
        (200, &json!([host]))
    );
    let (status, answer) = get("contoso/v2.0/.well-known/openid-configuration").await;
    assert_eq!((status, &answer["error_codes"]), (400, &json!([90002])));
    simulator.stop().await;
}

#[tokio::test]
async fn who_may_ask_what() {
    let asker = Asker::new(options()).await;
    let url = asker.url("query");
    let post = |url: &str, token: Option<&str>| {
        let request = asker
            .client
            .post(url)
            .header("content-type", "application/json")
            .body(r#"{"query": "print 1"}"#);
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    };
    let answer = async |request: RequestBuilder| {
        let (status, answer) = body(request.send().await.unwrap()).await;
        (status, error(answer))
    };
    assert_eq!(
        answer(post(&url, None)).await,
        (
            401,
            json!({
                "message": "Authentication failed. The 'Authorization' header is missing.",
                "code": "AuthenticationFailed",
            })
        )
    );
    let invalid = json!({
        "message": "The access token is invalid.",
        "code": "InvalidAuthenticationToken",
    });
    assert_eq!(answer(post(&url, Some("made-up"))).await, (403, invalid));
    let endpoint = &asker.simulator.access().endpoint;
    let not_found = json!({
        "message": "The requested path does not exist",
        "code": "PathNotFoundError",
    });
    for path in ["v1/workspaces/bad_workspace_id/query", "v1/nothing", ""] {
        let url = format!("{endpoint}/{path}");
        assert_eq!(
            answer(post(&url, Some(&asker.token))).await,
            (404, not_found.clone())
        );
    }
    let url = format!("{endpoint}/v1/workspaces/74be27de-1e4e-49d9-b579-fe0b331d3642/query");
    let (status, denied) = answer(post(&url, Some(&asker.token))).await;
    assert_eq!(
        (status, &denied["code"]),
        (403, &json!("InsufficientAccessError"))
    );
    asker.simulator.stop().await;
}

#[tokio::test]
async fn a_token_expires() {
    let asker = Asker::new(SimulatorOptions {
        token_lifetime: Duration::ZERO,
        ..options()
    })
    .await;
    let (status, answer) = body(asker.send("print 1").await).await;
    assert_eq!(
        (status, &error(answer)["code"]),
        (403, &json!("InvalidAuthenticationToken"))
    );
    asker.simulator.stop().await;
}

#[tokio::test]
async fn no_body_and_no_json_get_an_empty_answer() {
    let asker = Asker::new(options()).await;
    let post = || {
        asker
            .client
            .post(asker.url("query"))
            .bearer_auth(&asker.token)
    };
    let json = "application/json";
    for request in [
        post(),
        post().header("content-type", json),
        post().body(r#"{"query": "print 1"}"#),
        post().header("content-type", "text/plain").body("print 1"),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.text().await.unwrap(), "");
    }
    asker.simulator.stop().await;
}

#[tokio::test]
async fn each_bad_request_says_what_is_wrong() {
    let asker = Asker::new(options()).await;
    let validation = |code: &str, message: &str| {
        bad_argument(json!({
            "code": "QueryValidationError",
            "message": "Failed parsing the query",
            "details": [{"code": code, "message": message, "target": null}],
        }))
    };
    let (status, answer) = body(asker.request(&Value::Null).body("{").send().await.unwrap()).await;
    assert_eq!(status, 400);
    assert_eq!(
        error(answer),
        validation(
            "InvalidJsonBody",
            "EOF while parsing an object at line 1 column 1"
        )
    );
    for (request, message) in [
        (json!({}), "'query' is missing or empty"),
        (
            json!({"query": "print 1", "timespan": "12h"}),
            "\"12h\" is no ISO 8601 duration, e.g. PT12H or P1D",
        ),
    ] {
        let (status, answer) = body(asker.request(&request).send().await.unwrap()).await;
        assert_eq!(status, 400);
        assert_eq!(error(answer), validation("InvalidProperty", message));
    }
    let large = json!({ "query": format!("print '{}'", "x".repeat(5 << 20)) });
    let (status, answer) = body(asker.request(&large).send().await.unwrap()).await;
    assert_eq!(
        (status, &error(answer)["code"]),
        (413, &json!("RequestEntityTooLarge"))
    );
    asker.simulator.stop().await;
}

#[tokio::test]
async fn wrong_queries_come_back_as_the_service_words_them() {
    let asker = Asker::new(options()).await;
    let (status, answer) = body(asker.send("NoSuchTable | take 1").await).await;
    let found = error(answer);
    assert_eq!((status, &found["code"]), (400, &json!("BadArgumentError")));
    assert_eq!(found["innererror"]["code"], "SemanticError");
    assert_eq!(found["innererror"]["innererror"]["code"], "SEM0100");
    let (status, answer) = body(asker.send("completely invalid syntax").await).await;
    assert_eq!(status, 400);
    assert_eq!(
        error(answer),
        bad_argument(json!({
            "code": "SyntaxError",
            "message": "A recognition error occurred in the query.",
            "innererror": {
                "code": "SYN0002",
                "message": "Query could not be parsed at 'invalid' on line [1,11]",
                "line": 1,
                "pos": 11,
                "token": "invalid",
            },
        }))
    );
    asker.simulator.stop().await;
}

#[tokio::test]
async fn every_type_travels_as_the_service_sends_it() {
    let asker = Asker::new(options()).await;
    let query = r#"print a = datetime(2015-12-31 23:59:59.9), b = false, c = guid(74be27de-1e4e-49d9-b579-fe0b331d3642),
        d = int(12345), e = 9007199254740993, f = 12345.6789, g = "string value", h = 10s,
        i = decimal(0.10101), j = bool(null), k = dynamic({"hello": "world"}), l = 2.0, m = real(nan)"#;
    let response = asker.send(query).await;
    let headers = response.headers().clone();
    let text = response.text().await.unwrap();
    assert!(
        text.ends_with(concat!(
            r#""rows":[["2015-12-31T23:59:59.9Z",false,"74be27de-1e4e-49d9-b579-fe0b331d3642","#,
            r#"12345,9007199254740993,12345.6789,"string value","00:00:10","0.10101",null,"#,
            r#""{\"hello\":\"world\"}",2,"NaN"]]}]}"#
        )),
        "{text}"
    );
    for (name, value) in [
        ("content-type", "application/json; charset=utf-8"),
        ("access-control-allow-origin", "*"),
        (
            "access-control-expose-headers",
            "Retry-After,Age,WWW-Authenticate,x-resource-identities,x-ms-status-location",
        ),
        (
            "strict-transport-security",
            "max-age=15724800; includeSubDomains",
        ),
        ("vary", "Accept-Encoding"),
        ("x-content-type-options", "nosniff"),
        ("age", ""),
    ] {
        assert_eq!(header(&headers, name), value, "{name}");
    }
    asker.simulator.stop().await;
}

#[tokio::test]
async fn a_get_asks_the_same() {
    let asker = Asker::new(options()).await;
    let query = "query=Heartbeat%20%7C%20summarize%20count()&timespan=PT10M";
    let response = asker
        .client
        .get(format!("{}?{query}", asker.url("query")))
        .bearer_auth(&asker.token)
        .send()
        .await
        .unwrap();
    let (status, answer) = body(response).await;
    assert_eq!(status, 200, "{answer}");
    let counted = answer["tables"][0]["rows"][0][0].as_i64().unwrap();
    assert!((10..=18).contains(&counted), "{counted}");
    asker.simulator.stop().await;
}

#[tokio::test]
async fn a_timespan_bounds_time_generated() {
    let asker = Asker::new(options()).await;
    let request = json!({
        "query": "Heartbeat | summarize count(), min(TimeGenerated), max(TimeGenerated)",
        "timespan": "2026-03-31T11:00:00Z/PT20M",
    });
    let (_, answer) = body(asker.request(&request).send().await.unwrap()).await;
    let row = &answer["tables"][0]["rows"][0];
    assert_eq!(row[0], 40, "{answer}");
    assert!(row[1].as_str().unwrap().starts_with("2026-03-31T11:00:"));
    assert!(row[2].as_str().unwrap().starts_with("2026-03-31T11:19:"));
    asker.simulator.stop().await;
}

#[tokio::test]
async fn answers_are_cached_unless_told_otherwise() {
    let asker = Asker::new(options()).await;
    // The time that a query took tells one run from another.
    let ask = || {
        asker
            .request(&json!({"query": "Heartbeat | summarize count()"}))
            .header("prefer", "include-statistics=true")
    };
    let first = ask().send().await.unwrap();
    assert_eq!(header(first.headers(), "age"), "");
    let first = first.text().await.unwrap();
    let again = ask().send().await.unwrap();
    let age: u64 = header(again.headers(), "age").parse().unwrap();
    assert!(age < 120);
    assert_eq!(again.text().await.unwrap(), first);
    for directive in ["no-cache", "max-age=0"] {
        let fresh = ask()
            .header("cache-control", directive)
            .send()
            .await
            .unwrap();
        assert_eq!(header(fresh.headers(), "age"), "", "{directive}");
    }
    asker.simulator.stop().await;
}

#[tokio::test]
async fn preferences_are_granted_and_echoed() {
    let asker = Asker::new(options()).await;
    let response = asker
        .request(&json!({"query": "print x = 1 | render table"}))
        .header(
            "prefer",
            "wait=30,include-statistics=true,include-render=true",
        )
        .send()
        .await
        .unwrap();
    assert_eq!(
        header(response.headers(), "preference-applied"),
        "wait=30,include-statistics=true,include-render=true"
    );
    let (status, answer) = body(response).await;
    assert_eq!(
        (status, &answer["render"]["visualization"]),
        (200, &json!("table"))
    );
    let rows = &answer["statistics"]["query"]["datasetStatistics"][0]["tableRowCount"];
    assert_eq!(rows, &json!(1));
    let (_, plain) = body(asker.send("print x = 1").await).await;
    assert_eq!(plain.as_object().unwrap().len(), 1);
    asker.simulator.stop().await;
}

#[tokio::test]
async fn a_query_that_outlasts_its_wait_is_stopped_and_frees_its_place() {
    let asker = Asker::new(SimulatorOptions {
        limits: Limits {
            concurrent: 1,
            ..Limits::default()
        },
        ..options()
    })
    .await;
    let endless = json!({"query": "range x from 1 to 1000000000000 step 1 | summarize count()"});
    let response = asker
        .request(&endless)
        .header("prefer", "wait=0")
        .send()
        .await
        .unwrap();
    assert_eq!(header(response.headers(), "preference-applied"), "wait=0");
    let (status, answer) = body(response).await;
    assert_eq!(status, 504);
    assert_eq!(
        error(answer),
        json!({
            "message": "Gateway timeout",
            "code": "GatewayTimeout",
            "innererror": {"code": "GatewayTimeout", "message": "ADX query timed out"},
        })
    );
    // Runs only once the other has really ended.
    assert_eq!(asker.rows("print x = 1").await, json!([[1]]));
    asker.simulator.stop().await;
}

#[tokio::test]
async fn too_many_requests_are_told_when_to_come_again() {
    let asker = Asker::new(SimulatorOptions {
        limits: Limits {
            requests: 2,
            ..Limits::default()
        },
        ..options()
    })
    .await;
    for _ in 0..2 {
        assert_eq!(asker.send("print 1").await.status(), 200);
    }
    let response = asker.send("print 1").await;
    let seconds: u64 = header(response.headers(), "retry-after").parse().unwrap();
    assert!((1..=30).contains(&seconds), "{seconds}");
    let (status, answer) = body(response).await;
    assert_eq!(status, 429);
    assert_eq!(
        error(answer),
        json!({"message": "Your request has been throttled", "code": "ThrottledError"})
    );
    asker.simulator.stop().await;
}

#[tokio::test]
async fn other_workspaces_cannot_be_asked() {
    let asker = Asker::new(options()).await;
    let ask = async |names: Value| {
        let request = json!({"query": "print x = 1", "workspaces": names});
        let response = asker.request(&request).send().await.unwrap();
        let (status, answer) = body(response).await;
        (status, answer["error"]["code"].clone())
    };
    let own = asker.simulator.access().workspace_id.clone();
    assert_eq!(
        ask(json!([own, "Simulated-Workspace"])).await,
        (200, Value::Null)
    );
    assert_eq!(
        ask(json!(["74be27de-1e4e-49d9-b579-fe0b331d3642"])).await,
        (403, json!("InsufficientAccessError"))
    );
    assert_eq!(
        ask(json!(["elsewhere"])).await,
        (400, json!("FailedToResolveResource"))
    );
    asker.simulator.stop().await;
}

#[tokio::test]
async fn a_workspace_without_data_has_no_content() {
    let asker = Asker::new(SimulatorOptions {
        scenario: None,
        ..options()
    })
    .await;
    let response = asker.send("Heartbeat").await;
    assert_eq!(response.status(), 204);
    assert_eq!(response.text().await.unwrap(), "");
    asker.simulator.stop().await;
}

#[tokio::test]
async fn loaded_rows_are_there_once_they_have_arrived() {
    let folder = tempfile::tempdir().unwrap();
    let lines = r#"{"Computer": "a", "TimeGenerated": "2026-03-31T11:00:00Z", "_IngestionTime": "2026-03-31T11:40:00Z"}
{"Computer": "b", "TimeGenerated": "2026-03-31T11:00:00Z", "_IngestionTime": "2026-03-31T12:00:01Z"}
{"Computer": "c", "TimeGenerated": "2026-03-31T11:59:00Z"}
"#;
    std::fs::write(folder.path().join("Heartbeat.ndjson"), lines).unwrap();
    let asker = Asker::new(SimulatorOptions {
        scenario: None,
        data: Some(folder.path().to_owned()),
        ..options()
    })
    .await;
    let query = "Heartbeat | project Computer, at = ingestion_time() | sort by Computer asc";
    assert_eq!(
        asker.rows(query).await,
        json!([["a", "2026-03-31T11:40:00Z"], ["c", "2026-03-31T11:59:00Z"]])
    );
    asker.simulator.stop().await;
}

#[tokio::test]
async fn a_demo_has_threats_on_its_first_page() {
    let asker = Asker::new(SimulatorOptions {
        scenario: Some(Scenario::Mixed),
        vms: 12,
        ..options()
    })
    .await;
    let rows = asker
        .rows(
            r#"VMConnection
            | where TimeGenerated > ago(2d)
            | where ingestion_time() > ago(15m)
            | where IndicatorThreatType != ""
            | summarize count() by IndicatorThreatType, Direction"#,
        )
        .await;
    let kinds: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[0].as_str().unwrap())
        .collect();
    assert!(
        kinds.contains(&"Botnet") && kinds.contains(&"C2"),
        "{kinds:?}"
    );
    asker.simulator.stop().await;
}

#[tokio::test]
async fn metadata_lists_the_tables() {
    let asker = Asker::new(options()).await;
    let get = |url: String| asker.client.get(url);
    let response = get(asker.url("metadata"))
        .bearer_auth(&asker.token)
        .send()
        .await
        .unwrap();
    let (status, answer) = body(response).await;
    assert_eq!(status, 200);
    let first = &answer["tables"][0];
    assert_eq!(
        (
            &first["name"],
            &first["timespanColumn"],
            &first["columns"][2]
        ),
        (
            &json!("InsightsMetrics"),
            &json!("TimeGenerated"),
            &json!({"name": "TimeGenerated", "type": "datetime"})
        )
    );
    assert_eq!(
        get(asker.url("metadata")).send().await.unwrap().status(),
        401
    );
    asker.simulator.stop().await;
}

#[tokio::test]
async fn a_client_that_takes_gzip_gets_it() {
    let asker = Asker::new(options()).await;
    let response = asker
        .request(&json!({"query": "Heartbeat | take 50"}))
        .header("accept-encoding", "gzip")
        .send()
        .await
        .unwrap();
    assert_eq!(header(response.headers(), "content-encoding"), "gzip");
    assert_eq!(&response.bytes().await.unwrap()[..2], [0x1F, 0x8B]);
    asker.simulator.stop().await;
}

#[tokio::test]
async fn a_stranger_to_the_authority_does_not_trust_it() {
    let first = Simulator::start(options()).await.unwrap();
    let second = Simulator::start(options()).await.unwrap();
    let url = format!("{}/common/discovery/instance", second.access().authority);
    assert!(client(first.access()).get(&url).send().await.is_err());
    let trusted = client(second.access()).get(&url).send().await.unwrap();
    assert_eq!(trusted.status(), 200);
    let by_name = url.replace("127.0.0.1", "localhost");
    assert!(client(second.access()).get(by_name).send().await.is_ok());
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn addresses_that_cannot_be_served_are_named() {
    let taken = Simulator::start(options()).await.unwrap();
    let listen = taken.address();
    let start = async |listen: SocketAddr, tls: bool| {
        Simulator::start(SimulatorOptions {
            listen,
            tls,
            ..options()
        })
        .await
        .err()
        .map(|error: SimulatorError| error.to_string())
    };
    assert_eq!(
        start(listen, true).await,
        Some(format!("could not listen on {listen}"))
    );
    let anywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    assert_eq!(
        start(anywhere, false).await.as_deref(),
        Some("0.0.0.0:0 is no loopback address: without TLS, only loopback is served")
    );
    taken.stop().await;
}

#[tokio::test]
async fn without_tls_it_is_plain_http() {
    let plain = Simulator::start(SimulatorOptions {
        tls: false,
        ..options()
    })
    .await
    .unwrap();
    let access = plain.access();
    assert_eq!(
        (access.ca_pem.as_str(), access.ca_file.as_ref()),
        ("", None)
    );
    let url = format!("{}/common/discovery/instance", access.authority);
    assert!(url.starts_with("http://127.0.0.1:"));
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().no_proxy().build().unwrap();
    assert_eq!(client.get(url).send().await.unwrap().status(), 200);
    plain.stop().await;
}
