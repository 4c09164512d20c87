//! Errors, word for word as they are on record of the live service.

use serde_json::json;

use crate::rig::{Rig, error};

#[tokio::test]
async fn an_unknown_name_is_told_with_the_operator_that_uses_it() {
    let rig = Rig::new().await;
    for (query, message) in [
        (
            "Heartbeats",
            "'' operator: Failed to resolve table or column or scalar expression named 'Heartbeats'",
        ),
        (
            "AppInsights |\n        where TimeGenerated > ago(12h)",
            "'where' operator: Failed to resolve table or column expression named 'AppInsights'",
        ),
        (
            "resource | summarize count()",
            "'summarize' operator: Failed to resolve table or column expression named 'resource'",
        ),
    ] {
        let (status, refused) = rig.query(&rig.workspace("query"), query).await;
        assert_eq!(
            (status, error(refused)),
            (
                400,
                json!({
                    "message": "The request had some invalid properties",
                    "code": "BadArgumentError",
                    "innererror": {
                        "code": "SemanticError",
                        "message": "A semantic error occurred.",
                        "innererror": {"code": "SEM0100", "message": message},
                    },
                })
            )
        );
    }
    rig.stop().await;
}
