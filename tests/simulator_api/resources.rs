//! Queries to one Azure resource.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Rig, answer, error};

const OWN_WORKSPACE: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/simulated/providers/Microsoft.OperationalInsights/workspaces/simulated-workspace";
const BY_RESOURCE: &str = "Heartbeat | where isnotempty(_ResourceId) | summarize count() by _ResourceId | order by _ResourceId asc";

fn rows(answer: &Value) -> &Vec<Value> {
    answer["tables"][0]["rows"].as_array().unwrap()
}

#[tokio::test]
async fn a_resource_reads_its_own_rows() {
    let rig = Rig::new().await;
    let (status, all) = rig.query(&rig.workspace("query"), BY_RESOURCE).await;
    assert_eq!(status, 200, "{all}");
    let first = &rows(&all)[0];
    let id = first[0].as_str().unwrap();

    let path = format!("/v1{id}/query");
    let (status, own) = rig.query(&path, BY_RESOURCE).await;
    assert_eq!((status, rows(&own)), (200, &vec![first.clone()]));
    // The service's ids differ in case from one place to the next.
    let upper = format!("/v1/subscriptions{}/query", {
        let id = id.strip_prefix("/subscriptions").unwrap();
        id.to_uppercase()
    });
    let (status, own) = rig.query(&upper, BY_RESOURCE).await;
    assert_eq!((status, rows(&own)), (200, &vec![first.clone()]));

    let get = format!("{path}?query=Heartbeat%20%7C%20count");
    let (status, counted) = answer(rig.send(Method::GET, &get).await).await;
    assert_eq!((status, &rows(&counted)[0][0]), (200, &first[1]));

    let (status, of_workspace) = rig
        .query(&format!("/v1{OWN_WORKSPACE}/query"), BY_RESOURCE)
        .await;
    assert_eq!((status, rows(&of_workspace)), (200, rows(&all)));

    let subscription: Vec<_> = id.split('/').take(3).collect();
    let path = format!("/v1{}/query", subscription.join("/"));
    let (status, of_subscription) = rig.query(&path, BY_RESOURCE).await;
    assert_eq!(status, 200, "{of_subscription}");
    assert!(rows(&of_subscription).contains(first));
    rig.stop().await;
}

#[tokio::test]
async fn a_resource_that_is_not_there_is_told_so() {
    let rig = Rig::new().await;
    let (status, refused) = rig
        .query("/v1/subscriptions/s/resourceGroups/r/query", "print 1")
        .await;
    let not_found = json!({
        "message": "The requested resource does not exist",
        "code": "ResourceNotFoundError",
    });
    assert_eq!((status, error(refused)), (404, not_found));
    let (status, refused) = rig
        .query("/v1/subscriptions/s/resourceGroups/query", "print 1")
        .await;
    let no_path = json!({
        "message": "The requested path does not exist",
        "code": "PathNotFoundError",
    });
    assert_eq!((status, error(refused)), (404, no_path));
    let request = rig.request(Method::POST, &format!("/v1{OWN_WORKSPACE}/query"));
    assert_eq!(request.send().await.unwrap().status(), 401);
    rig.stop().await;
}

#[tokio::test]
async fn a_resource_is_told_of_an_error_as_a_workspace_is() {
    let rig = Rig::new().await;
    let (status, refused) = rig
        .query(
            &format!("/v1{OWN_WORKSPACE}/query"),
            "resource | summarize count()",
        )
        .await;
    assert_eq!(status, 400);
    let error = error(refused);
    assert_eq!(
        error["innererror"]["innererror"],
        json!({
            "code": "SEM0100",
            "message": "'summarize' operator: Failed to resolve table or column expression named 'resource'",
        })
    );
    rig.stop().await;
}
