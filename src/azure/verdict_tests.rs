use std::time::Duration;

use super::*;

fn now() -> Timestamp {
    "2026-11-24T08:00:00Z".parse().unwrap()
}

fn judge(status: u16, body: &str) -> Result<Decoded, QueryFailure> {
    Reply {
        status,
        retry_after: None,
        age: None,
        oldest: Duration::ZERO,
        body: body.as_bytes(),
    }
    .judge(now())
    .map(|(decoded, _)| decoded)
}

const TABLE: &str = r#""tables": [{"name": "PrimaryResult", "columns": [{"name": "n", "type": "int"}], "rows": [[1]]}]"#;

#[test]
fn a_table_is_the_answer() {
    let decoded = judge(200, &format!("{{{TABLE}}}")).unwrap();
    assert_eq!(decoded.table.row_count(), 1);
}

#[test]
fn every_status_has_its_reason() {
    use FailureReason::*;
    for (status, reason) in [
        (201, ServerError),
        (202, ServerError),
        (301, ServerError),
        (307, ServerError),
        (400, BadQuery),
        (401, Forbidden),
        (403, Forbidden),
        (404, NotFound),
        (405, ServerError),
        (407, ServerError),
        (408, ServerError),
        (413, ServerError),
        (429, Throttled),
        (500, ServerError),
        (502, ServerError),
        (503, ServerError),
        (504, Timeout),
        (599, ServerError),
    ] {
        let failure = judge(status, "").unwrap_err();
        assert_eq!(failure.reason, reason, "{status}");
        assert_eq!(failure.to_string(), format!("HTTP {status}"));
    }
}

#[test]
fn nothing_is_not_an_empty_table() {
    for (status, body) in [(200, ""), (200, " \r\n"), (204, "")] {
        let failure = judge(status, body).unwrap_err();
        assert_eq!(failure.reason, FailureReason::EmptyBody);
        assert_eq!(failure.to_string(), format!("HTTP {status} without a body"));
        assert_eq!(failure.hint(), Some(hints::EMPTY_BODY));
    }
}

#[test]
fn an_error_of_any_kind_beside_the_table_makes_it_partial() {
    for (body, message) in [
        (
            format!(
                r#"{{{TABLE}, "error": {{"code": "PartialError", "message": "outer",
                "details": [{{"innererror": {{"code": "-1", "message": "too many rows"}}}}]}}}}"#
            ),
            "the answer is incomplete: -1: too many rows",
        ),
        (
            format!(r#"{{"error": "surprise", {TABLE}}}"#),
            "the answer is incomplete: no code and no message",
        ),
        (
            r#"{"error": {"code": "Odd"}}"#.to_owned(),
            "the answer is incomplete: Odd",
        ),
    ] {
        let failure = judge(200, &body).unwrap_err();
        assert_eq!(failure.reason, FailureReason::Partial);
        assert_eq!(failure.to_string(), message);
        assert_eq!(failure.hint(), Some(hints::PARTIAL));
    }
    assert!(judge(200, &format!(r#"{{"error": null, {TABLE}}}"#)).is_ok());
}

#[test]
fn a_body_that_is_no_answer_does_not_decode() {
    for (body, message, hint) in [
        (
            "<html>Please log in</html>",
            "the answer cannot be read: expected value at line 1 column 1",
            Some(hints::NOT_JSON),
        ),
        (
            r#"{"tables": []}"#,
            "the answer holds no table",
            Some(hints::NOT_JSON),
        ),
        (
            r#"{"value": []}"#,
            "the answer holds no table",
            Some(hints::NOT_JSON),
        ),
        (
            r#"{"tables": [{"name": "P""#,
            "the answer cannot be read: EOF while parsing an object at line 1 column 24",
            None,
        ),
    ] {
        let failure = judge(200, body).unwrap_err();
        assert_eq!(failure.reason, FailureReason::Decode);
        assert_eq!(failure.to_string(), message);
        assert_eq!(failure.hint(), hint);
    }
}

#[test]
fn a_refusal_keeps_what_was_said_and_how_long_to_wait() {
    let throttled = Reply {
        status: 429,
        age: None,
        oldest: Duration::ZERO,
        retry_after: Some("Tue, 24 Nov 2026 08:00:30 GMT"),
        body: br#"{"error": {"code": "ThrottledError", "message": "slow down"}}"#,
    };
    let failure = throttled.judge(now()).unwrap_err();
    assert_eq!(failure.to_string(), "HTTP 429: ThrottledError: slow down");
    assert_eq!(failure.retry_after, Some(Duration::from_secs(30)));

    let unavailable = Reply {
        status: 503,
        age: None,
        oldest: Duration::ZERO,
        retry_after: Some("7"),
        body: b"<h1>\r\n\x1b[31mdown</h1>",
    };
    let failure = unavailable.judge(now()).unwrap_err();
    assert_eq!(failure.to_string(), "HTTP 503: <h1> [31mdown</h1>");
    assert_eq!(failure.retry_after, Some(Duration::from_secs(7)));
}

#[test]
fn a_long_foreign_text_is_cut() {
    let long = "x".repeat(1_000_000);
    let failure = judge(500, &long).unwrap_err();
    assert_eq!(
        failure.to_string().chars().count(),
        "HTTP 500: ".len() + 1_001
    );
    let failure = judge(200, &format!(r#"{{"tables": "{long}"}}"#)).unwrap_err();
    assert!(failure.to_string().len() < 1_100);
}

#[test]
fn a_result_beyond_the_limits_says_how_to_narrow_it() {
    let body = format!(
        r#"{{{TABLE}, "error": {{"code": "PartialError", "details": [{{"innererror": {{"code": "-2133196797", "message":
        "Query result set has exceeded the internal record count limit 500000 (E_QUERY_RESULT_SET_TOO_LARGE; see https://aka.ms/kustoquerylimits)"}}}}]}}}}"#
    );
    let failure = judge(200, &body).unwrap_err();
    assert_eq!(failure.reason, FailureReason::Partial);
    assert_eq!(failure.hint(), Some(hints::TOO_MANY_ROWS));
}

#[test]
fn a_table_that_the_workspace_lacks_is_not_collected_and_a_column_is_a_bad_query() {
    let semantic = |what: &str| {
        format!(
            r#"{{"error": {{"code": "BadArgumentError", "innererror": {{"code": "SemanticError", "innererror":
            {{"code": "SEM0100", "message": "'where' operator: Failed to resolve {what} named 'X'"}}}}}}}}"#
        )
    };
    let table = judge(400, &semantic("table or column expression")).unwrap_err();
    assert_eq!(table.reason, FailureReason::NotCollected);
    assert_eq!(table.hint(), Some(hints::NO_TABLE));
    let column = judge(400, &semantic("scalar expression")).unwrap_err();
    assert_eq!(column.reason, FailureReason::BadQuery);
}

#[test]
fn an_answer_from_a_cache_may_be_as_old_as_the_interval() {
    let body = format!("{{{TABLE}}}");
    let aged = |age| Reply {
        status: 200,
        retry_after: None,
        age: Some(age),
        oldest: Duration::from_secs(60),
        body: body.as_bytes(),
    };
    assert!(aged(60).judge(now()).is_ok());
    let failure = aged(61).judge(now()).unwrap_err();
    assert_eq!(failure.reason, FailureReason::Partial);
    assert_eq!(
        failure.to_string(),
        "the answer comes from a cache and is 61 s old"
    );
    assert!(failure.may_pass);
}

proptest::proptest! {
    #[test]
    fn no_answer_makes_it_panic(status: u16, body: Vec<u8>, retry_after: Option<String>) {
        let reply = Reply { status, retry_after: retry_after.as_deref(), age: None, oldest: Duration::ZERO, body: &body };
        let _ = reply.judge(now());
    }
}
