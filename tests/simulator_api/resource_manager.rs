//! Resource Manager and Resource Graph, where a workspace is found.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Rig, answer};

const GRAPH: &str = "/providers/Microsoft.ResourceGraph/resources?api-version=2021-03-01";
const LIST: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/providers/Microsoft.OperationalInsights/workspaces?api-version=2023-09-01";
const OWN: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/simulated/providers/Microsoft.OperationalInsights/workspaces/simulated-workspace";

/// A rig whose token is for Resource Manager.
async fn rig() -> Rig {
    let mut rig = Rig::new().await;
    rig.token = token(&rig, "https://management.azure.com/.default").await;
    rig
}

async fn token(rig: &Rig, scope: &str) -> String {
    let secret = rig.access().client_secret.expose().to_owned();
    let (status, answered) = rig.sign_in_for(scope, &[("client_secret", &secret)]).await;
    assert_eq!(status, 200, "{scope}: {answered}");
    answered["access_token"].as_str().unwrap().to_owned()
}

async fn graph(rig: &Rig, body: &Value) -> (u16, Value) {
    let request = rig.request(Method::POST, GRAPH).bearer_auth(&rig.token);
    answer(request.json(body).send().await.unwrap()).await
}

#[tokio::test]
async fn the_graph_finds_the_workspace() {
    let rig = rig().await;
    let query = "resources | where type =~ 'Microsoft.OperationalInsights/Workspaces' | project id, name, resourceGroup, tags, customerId = tostring(properties.customerId)";
    let subscription = &rig.access().subscription_id;
    let (status, found) = graph(
        &rig,
        &json!({"subscriptions": [subscription], "query": query}),
    )
    .await;
    assert_eq!(status, 200, "{found}");
    let workspace = json!({
        "id": OWN, "name": "simulated-workspace", "resourceGroup": "simulated", "tags": {},
        "customerId": rig.access().workspace_id,
    });
    assert_eq!(
        found,
        json!({"totalRecords": 1, "count": 1, "data": [workspace], "facets": [], "resultTruncated": "false"})
    );
    let (_, table) = graph(
        &rig,
        &json!({
            "query": "Resources | where name == 'simulated-workspace' | project id, properties.retentionInDays, tags",
            "options": {"resultFormat": "table"},
        }),
    )
    .await;
    assert_eq!(table["data"]["rows"], json!([[OWN, 30, {}]]), "{table}");
    assert_eq!(
        table["data"]["columns"][2],
        json!({"name": "tags", "type": "object"})
    );
    rig.stop().await;
}

#[tokio::test]
async fn the_graph_has_pages() {
    let rig = rig().await;
    let query = "resources | project id, type | order by id asc";
    let (_, all) = graph(&rig, &json!({ "query": query })).await;
    let total = all["totalRecords"].as_u64().unwrap();
    assert_eq!(total, 3, "two VMs and the workspace: {all}");
    let mut rows = Vec::new();
    let mut options = json!({"$top": 2});
    loop {
        let (status, page) = graph(&rig, &json!({"query": query, "options": options})).await;
        assert_eq!((status, &page["totalRecords"]), (200, &json!(total)));
        rows.extend(page["data"].as_array().unwrap().clone());
        match page.get("$skipToken") {
            Some(token) => options["$skipToken"] = token.clone(),
            None => break,
        }
    }
    assert_eq!(Value::from(rows), all["data"]);
    // Without an id there is no way to the next page.
    let body = json!({"query": "resources | project name", "options": {"$top": 2}});
    let (_, cut) = graph(&rig, &body).await;
    assert_eq!(cut["resultTruncated"], "true");
    assert_eq!(cut.get("$skipToken"), None);
    rig.stop().await;
}

#[tokio::test]
async fn the_graph_says_what_is_wrong() {
    let rig = rig().await;
    for (body, code) in [
        (json!({"query": "resources | where"}), "ParserFailure"),
        (json!({"query": "resources | project nothing"}), "SEM0100"),
        (
            json!({"query": "resources", "options": {"$skipToken": "x"}}),
            "InvalidSkipToken",
        ),
        (
            json!({"query": "resources", "options": {"$top": 1001}}),
            "InvalidTop",
        ),
        (
            json!({"query": "resources", "subscriptions": ["x"]}),
            "NoValidSubscriptionsInQueryRequest",
        ),
    ] {
        let (status, refused) = graph(&rig, &body).await;
        assert_eq!(
            (status, &refused["error"]["code"]),
            (400, &json!("BadRequest"))
        );
        let details = refused["error"]["details"].as_array().unwrap();
        assert_eq!(details.last().unwrap()["code"], code, "{refused}");
    }
    let (status, refused) = graph(&rig, &json!({})).await;
    assert_eq!(status, 400);
    assert_eq!(refused["error"]["code"], "InvalidRequestContent");
    rig.stop().await;
}

#[tokio::test]
async fn a_subscription_lists_its_workspace() {
    let rig = rig().await;
    let (status, list) = answer(rig.send(Method::GET, LIST).await).await;
    assert_eq!(status, 200, "{list}");
    assert_eq!(list.get("nextLink"), None);
    let [one] = &list["value"].as_array().unwrap()[..] else {
        panic!("{list}");
    };
    assert_eq!(
        (&one["id"], &one["name"]),
        (&json!(OWN), &json!("simulated-workspace"))
    );
    assert_eq!(one["properties"]["customerId"], rig.access().workspace_id);
    let other = LIST.replace("00000000-0000", "10000000-0000");
    let (status, refused) = answer(rig.send(Method::GET, &other).await).await;
    assert_eq!(
        (status, &refused["error"]["code"]),
        (404, &json!("SubscriptionNotFound"))
    );
    let (path, _) = LIST.split_once('?').unwrap();
    let (status, refused) = answer(rig.send(Method::GET, path).await).await;
    assert_eq!(
        (status, &refused["error"]["code"]),
        (400, &json!("MissingApiVersionParameter"))
    );
    rig.stop().await;
}

#[tokio::test]
async fn each_service_takes_its_own_tokens_only() {
    let mut rig = rig().await;
    let (status, refused) = rig.query(&rig.workspace("query"), "print 1").await;
    assert_eq!(
        (status, &refused["error"]["code"]),
        (403, &json!("InvalidAuthenticationTokenAudience"))
    );
    for scope in [
        "https://management.core.windows.net//.default".to_owned(),
        format!("{}/.default", rig.access().resource_manager),
    ] {
        rig.token = token(&rig, &scope).await;
        assert_eq!(rig.send(Method::GET, LIST).await.status(), 200, "{scope}");
    }
    rig.token = token(&rig, "https://api.loganalytics.io/.default").await;
    for (token, code) in [
        (
            Some(rig.token.as_str()),
            "InvalidAuthenticationTokenAudience",
        ),
        (Some("x"), "InvalidAuthenticationToken"),
        (None, "AuthenticationFailed"),
    ] {
        let mut request = rig.request(Method::GET, LIST);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        assert!(response.headers().contains_key("www-authenticate"));
        let (status, refused) = answer(response).await;
        assert_eq!((status, &refused["error"]["code"]), (401, &json!(code)));
    }
    rig.stop().await;
}
