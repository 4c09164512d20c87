//! Which paths take which methods.

use reqwest::Method;
use serde_json::json;

use crate::rig::{Rig, answer, error};

#[tokio::test]
async fn metadata_is_the_same_by_either_method() {
    let rig = Rig::new().await;
    let path = rig.workspace("metadata");
    let (status, got) = answer(rig.send(Method::GET, &path).await).await;
    assert_eq!(status, 200);
    let (status, posted) = answer(rig.send(Method::POST, &path).await).await;
    assert_eq!((status, posted), (200, got));
    rig.stop().await;
}

#[tokio::test]
async fn other_methods_and_paths_are_refused_in_the_apis_shape() {
    let rig = Rig::new().await;
    for (path, allowed) in [
        (rig.workspace("query"), "POST,GET,HEAD"),
        (rig.workspace("metadata"), "GET,HEAD,POST"),
    ] {
        let response = rig.send(Method::DELETE, &path).await;
        assert_eq!(response.headers()["allow"], allowed);
        assert_eq!(
            response.headers()["content-type"],
            "application/json; charset=utf-8"
        );
        let (status, refused) = answer(response).await;
        let expected = json!({
            "message": "The requested path does not take this method",
            "code": "MethodNotAllowedError",
        });
        assert_eq!((status, error(refused)), (405, expected));
    }
    for path in ["/v1", "/v2/workspaces/x/query", &rig.workspace("tables")] {
        let (status, refused) = answer(rig.send(Method::GET, path).await).await;
        let expected = json!({
            "message": "The requested path does not exist",
            "code": "PathNotFoundError",
        });
        assert_eq!((status, error(refused)), (404, expected), "{path}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn statistics_count_what_was_read() {
    let rig = Rig::new().await;
    let path = rig.workspace("query");
    let (_, counted) = rig.query(&path, "Heartbeat | count").await;
    let (status, read) = rig
        .query(&path, "Heartbeat | take 1 | render table with (title='t')")
        .await;
    assert_eq!(status, 200);
    let rows = &read["statistics"]["query"]["inputDatasetStatistics"]["rows"];
    assert!(rows["scanned"].as_u64() >= counted["tables"][0]["rows"][0][0].as_u64());
    assert_eq!(
        read["statistics"]["query"]["datasetStatistics"][0]["tableRowCount"],
        1
    );
    assert_eq!(
        (&read["render"]["visualization"], &read["render"]["title"]),
        (&json!("table"), &json!("t"))
    );
    rig.stop().await;
}
