//! Finding workspaces by Azure Resource Graph.

use std::time::Duration;

use serde_json::{Value, json};
use vminsights_exporter::azure::{Discovery, DiscoveryError};
use vminsights_exporter::config::{Choice, DiscoverSettings};
use vminsights_exporter::telemetry::error_chain;

use crate::rig::{HonestTokenEndpoint, HonestWorkspace, Rig, SECRET};
use crate::server::{Authority, Behaviour, Reply, Seen, Server};

const ID_1: &str = "00000000-0000-4000-8000-000000000001";
const ID_2: &str = "00000000-0000-4000-8000-000000000002";
const ID_3: &str = "00000000-0000-4000-8000-000000000003";

fn row(id: &str, name: &str, group: &str, tags: Value) -> Value {
    json!({
        "id": format!("/subscriptions/S/resourceGroups/{group}/providers/Microsoft.OperationalInsights/workspaces/{name}"),
        "name": name, "resourceGroup": group, "tags": tags, "customerId": id,
    })
}

/// Two pages, the second behind the first one's `$skipToken`.
fn two_pages(seen: &Seen) -> Reply {
    let asked: Value = serde_json::from_str(&seen.body).unwrap();
    let body = match asked["options"]["$skipToken"].as_str() {
        None => json!({"totalRecords": 4, "count": 2, "$skipToken": "next", "data": [
            row(ID_2, "prod", "rg-b", json!({"Env": "prod"})),
            row("", "half-made", "rg-b", Value::Null),
        ]}),
        Some("next") => json!({"totalRecords": 4, "count": 2, "data": [
            row(ID_1, "prod", "rg-a", Value::Null),
            row(ID_3, "test", "rg-a", json!({"env": "test"})),
        ]}),
        Some(other) => panic!("{other}"),
    };
    Reply::json(200, body.to_string())
}

fn settings() -> DiscoverSettings {
    DiscoverSettings {
        subscriptions: vec!["S".into()],
        include: Vec::new(),
        exclude: Vec::new(),
        interval: Duration::from_secs(600),
        allow_empty: false,
        tag_labels: vec!["env".into()],
    }
}

/// The manager that finds, beside the servers that the others use.
async fn rig(manager: impl Behaviour) -> (Rig, Server) {
    let ca = Authority::new();
    let entra = Server::tls(ca.acceptor("127.0.0.1"), HonestTokenEndpoint::new()).await;
    let logs = Server::tls(ca.acceptor("127.0.0.1"), HonestWorkspace).await;
    let manager = Server::tls(ca.acceptor("127.0.0.1"), manager).await;
    let mut rig = Rig::of(&ca, entra, logs);
    rig.settings.endpoints.resource_manager = manager.address.parse().unwrap();
    (rig, manager)
}

fn discovery(rig: &Rig, settings: DiscoverSettings) -> Discovery {
    Discovery::new(
        &rig.settings,
        settings,
        &rig.metrics,
        rig.environment.clone(),
    )
    .unwrap()
}

#[tokio::test]
async fn all_pages_are_read_with_a_token_for_the_resource_manager() {
    let (rig, manager) = rig(two_pages).await;
    let found = discovery(&rig, settings()).find().await.unwrap();
    let env = |value: &str| vec![("env".to_owned(), value.to_owned())];
    let told: Vec<_> = found
        .iter()
        .map(|one| {
            (
                one.workspace.id.to_string(),
                &*one.workspace.name,
                one.tags.clone(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (ID_1.to_owned(), &*format!("prod {ID_1}"), vec![]),
            (ID_2.to_owned(), &*format!("prod {ID_2}"), env("prod")),
            (ID_3.to_owned(), "test", env("test")),
        ]
    );
    assert_eq!(
        found[2].resource_id,
        "/subscriptions/s/resourcegroups/rg-a/providers/microsoft.operationalinsights/workspaces/test"
    );
    let seen = manager.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].method, "POST");
    assert_eq!(seen[0].path, "/providers/Microsoft.ResourceGraph/resources");
    assert_eq!(seen[0].query, "api-version=2021-03-01");
    assert_eq!(seen[0].header("authorization"), "Bearer token-1");
    let asked: Value = serde_json::from_str(&seen[0].body).unwrap();
    assert_eq!(asked["subscriptions"], json!(["S"]));
    let entra = rig.entra.seen();
    assert_eq!(entra.len(), 1, "one token for both pages");
    assert_eq!(
        entra[0].form("scope"),
        Some(format!("{}/.default", manager.address))
    );
}

#[tokio::test]
async fn what_is_wanted_goes_by_name_group_tag_and_id() {
    let (rig, _manager) = rig(two_pages).await;
    let ids = async |include: Vec<Choice>, exclude: Vec<Choice>| {
        let settings = DiscoverSettings {
            include,
            exclude,
            ..settings()
        };
        let found = discovery(&rig, settings).find().await.unwrap();
        found
            .iter()
            .map(|one| one.workspace.id.to_string())
            .collect::<Vec<_>>()
    };
    let tag = |value: &str| Choice::Tag {
        name: "env".into(),
        value: value.into(),
    };
    assert_eq!(
        ids(vec![Choice::Name("PROD".into())], vec![]).await,
        [ID_1, ID_2]
    );
    assert_eq!(ids(vec![], vec![tag("Prod")]).await, [ID_1, ID_3]);
    assert_eq!(
        ids(
            vec![Choice::ResourceGroup("RG-A".into())],
            vec![tag("test")]
        )
        .await,
        [ID_1]
    );
    let id = row(ID_3, "test", "rg-a", Value::Null)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        ids(vec![Choice::Id(id), tag("prod")], vec![]).await,
        [ID_2, ID_3]
    );
}

#[tokio::test]
async fn an_empty_list_is_an_error_unless_it_may_be() {
    let (rig, _manager) = rig(|_: &Seen| Reply::json(200, r#"{"data": []}"#)).await;
    let error = discovery(&rig, settings()).find().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no workspace was found in 1 subscriptions; discover.allow_empty takes that for good"
    );
    assert!(error.hint().unwrap().contains("Log Analytics Reader"));
    let allowed = DiscoverSettings {
        allow_empty: true,
        ..settings()
    };
    assert!(discovery(&rig, allowed).find().await.unwrap().is_empty());
    let outcomes: Vec<_> = rig
        .metrics
        .gather()
        .iter()
        .filter(|family| family.name() == "vminsights_exporter_discoveries_total")
        .flat_map(|family| family.get_metric().to_vec())
        .map(|metric| {
            (
                metric.get_label()[0].value().to_owned(),
                metric.get_counter().get_value(),
            )
        })
        .collect();
    assert_eq!(outcomes, [("failure".into(), 1.0), ("success".into(), 1.0)]);
}

#[tokio::test]
async fn a_refusal_is_told_without_the_token_and_paging_ends() {
    let refuse = |seen: &Seen| {
        let text = format!("no right for {}", seen.header("authorization"));
        Reply::json(
            403,
            json!({"error": {"code": "AuthorizationFailed", "message": text}}).to_string(),
        )
    };
    let (rig_1, _manager) = rig(refuse).await;
    let error = discovery(&rig_1, settings()).find().await.unwrap_err();
    assert!(
        error_chain(&error)
            .ends_with("refuses to list workspaces: HTTP 403: no right for Bearer <secret>"),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("token-1"), "{error:?}");
    assert!(!format!("{error:?}").contains(SECRET), "{error:?}");

    let endless = |_: &Seen| Reply::json(200, r#"{"data": [], "$skipToken": "again"}"#);
    let (rig_2, manager) = rig(endless).await;
    let error = discovery(&rig_2, settings()).find().await.unwrap_err();
    assert!(
        matches!(error, DiscoveryError::Unreadable { .. }),
        "{error}"
    );
    assert_eq!(manager.seen().len(), 100);
}
