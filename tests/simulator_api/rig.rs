//! A workspace and somebody who asks it.

use std::net::SocketAddr;

use reqwest::{Certificate, Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use vminsights_exporter::simulator::{Access, Clock, Scenario, Simulator, SimulatorOptions};

pub struct Rig {
    simulator: Simulator,
    pub client: Client,
    pub token: String,
}

impl Rig {
    /// Two VMs at a fixed noon.
    pub async fn new() -> Self {
        // A second installation is refused, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let simulator = Simulator::start(SimulatorOptions {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            vms: 2,
            scenario: Some(Scenario::Calm),
            clock: Clock::Fixed("2026-03-31T12:00:00Z".parse().unwrap()),
            ..SimulatorOptions::default()
        })
        .await
        .unwrap();
        let ca = Certificate::from_pem(simulator.access().ca_pem.as_bytes()).unwrap();
        let client = Client::builder()
            .tls_certs_only([ca])
            .no_proxy()
            .build()
            .unwrap();
        let mut rig = Self {
            simulator,
            client,
            token: String::new(),
        };
        let secret = rig.access().client_secret.expose().to_owned();
        let (_, answer) = rig.sign_in(&[("client_secret", &secret)]).await;
        rig.token = answer["access_token"].as_str().unwrap().to_owned();
        rig
    }

    pub fn access(&self) -> &Access {
        self.simulator.access()
    }

    /// Asks for a token with these fields beside those that every such request has.
    pub async fn sign_in(&self, proof: &[(&str, &str)]) -> (u16, Value) {
        let scope = format!("{}/.default", self.access().audience);
        self.sign_in_for(&scope, proof).await
    }

    /// The same for another scope.
    pub async fn sign_in_for(&self, scope: &str, proof: &[(&str, &str)]) -> (u16, Value) {
        let access = self.access();
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &access.client_id)
            .append_pair("scope", scope)
            .extend_pairs(proof)
            .finish();
        let path = format!("/{}/oauth2/v2.0/token", access.tenant_id);
        let request = self
            .request(Method::POST, &path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        answer(request.send().await.unwrap()).await
    }

    /// Without a token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.access().endpoint);
        self.client.request(method, url)
    }

    /// With a token.
    pub async fn send(&self, method: Method, path: &str) -> Response {
        let request = self.request(method, path).bearer_auth(&self.token);
        request.send().await.unwrap()
    }

    /// A query by POST to this path.
    pub async fn query(&self, path: &str, query: &str) -> (u16, Value) {
        let request = self
            .request(Method::POST, path)
            .bearer_auth(&self.token)
            .header("content-type", "application/json")
            .header("prefer", "include-statistics=true,include-render=true")
            .body(json!({ "query": query }).to_string());
        answer(request.send().await.unwrap()).await
    }

    pub fn workspace(&self, what: &str) -> String {
        format!("/v1/workspaces/{}/{what}", self.access().workspace_id)
    }

    pub async fn stop(self) {
        self.simulator.stop().await;
    }
}

pub async fn answer(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

/// The error without its correlation id, which must be there.
pub fn error(mut answer: Value) -> Value {
    let id = answer["error"]
        .as_object_mut()
        .unwrap()
        .remove("correlationId");
    assert_eq!(id.unwrap().as_str().unwrap().len(), 36);
    answer["error"].take()
}
