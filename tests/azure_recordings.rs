//! Recorded and documented answers of Azure, replayed to the client.
//!
//! The recordings lie beside the repository, not in it. Where they are absent these tests say so
//! and pass.

#[path = "azure_client/rig.rs"]
#[expect(dead_code, reason = "the contract tests use all of it")]
mod rig;
#[path = "azure_client/server.rs"]
#[expect(dead_code, reason = "the contract tests use all of it")]
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use vminsights_exporter::azure::{Cost, Environment};
use vminsights_exporter::config::{CredentialChoice, MachineIdentity};
use vminsights_exporter::table::{Cell, ResultTable};

use rig::{HonestWorkspace, Rig, Told};
use server::{Reply, Seen, Server};

/// What the client must make of an answer to a query: a table of this many columns and rows, or a
/// failure with this reason, text and part of a hint.
enum Expect {
    Table(usize, usize),
    Failure(&'static str, &'static str, &'static str),
}
use Expect::{Failure, Table};

const ROLE: &str = "Log Analytics Reader";

/// Answers to queries.
const ANSWERS: [(&str, Expect); 18] = [
    (
        "200_partial_error_overflow",
        Failure(
            "partial",
            "the answer is incomplete: -2133196788: Percentiles aggregator has encountered an overflow \
             exception during evaluation (probably due to large weight expression). Results may be incorrect \
             or incomplete (E_OVERFLOW; see https://aka.ms/kustoqueryfailures).",
            "",
        ),
    ),
    (
        "200_render_and_statistics_cached_age103",
        Failure(
            "partial",
            "the answer comes from a cache and is 103 s old",
            "pass its cache",
        ),
    ),
    ("200_table_rows_wait600_preference_applied", Table(13, 3)),
    ("200_types_all", Table(10, 1)),
    ("200_types_dynamic_is_string", Table(7, 1)),
    (
        "400_semantic_error_resource_query",
        Failure(
            "not_collected",
            "HTTP 400: SEM0100: 'summarize' operator: Failed to resolve table or column expression named \
             'resource'",
            "not collected here",
        ),
    ),
    (
        "400_semantic_error_sem0100",
        Failure(
            "not_collected",
            "HTTP 400: SEM0100: 'where' operator: Failed to resolve table or column expression named \
             'AppInsights'",
            "not collected here",
        ),
    ),
    (
        "400_syntax_error_syn0002",
        Failure(
            "bad_query",
            "HTTP 400: SYN0002: Query could not be parsed at 'invalid' on line [1,11] (line 1, position 11)",
            "Logs page",
        ),
    ),
    (
        "404_path_not_found_bad_workspace_id",
        Failure(
            "not_found",
            "HTTP 404: PathNotFoundError: The requested path does not exist",
            "workspace's id",
        ),
    ),
    (
        "504_gateway_timeout_adx",
        Failure(
            "timeout",
            "HTTP 504: GatewayTimeout: ADX query timed out",
            "time range",
        ),
    ),
    (
        "UNVERIFIED_429_throttled",
        Failure(
            "throttled",
            "HTTP 429: ThrottledError: Your request has been throttled",
            "less often",
        ),
    ),
    (
        "blog_403_nsp_validation",
        Failure(
            "forbidden",
            "HTTP 403: NspValidationFailedError: Access to workspace 'cptdazpl' from '172.201.77.43' is \
             denied. To allow access from public networks, change the workspace Networking settings or add \
             it to a Network Security Perimeter. (workspace resource ID: /subscriptions/resourceGroups/\
             cptdazpl/providers/microsoft.operationalinsights/workspaces/cptdazpl)",
            "network settings",
        ),
    ),
    ("doc_200_cached_age13", Table(1, 1)),
    (
        "doc_400_syntax_short",
        Failure("bad_query", "HTTP 400: SyntaxError: Syntax Error", ""),
    ),
    (
        "doc_401_no_auth",
        Failure(
            "forbidden",
            "HTTP 401: AuthenticationFailed: Authentication failed. The 'Authorization' header is missing.",
            "",
        ),
    ),
    (
        "doc_403_audience",
        Failure(
            "forbidden",
            "HTTP 403: InvalidAuthenticationTokenAudience: The access token has been obtained from wrong \
             audience or resource 'https://api.loganalytics.io'. It should exactly match (including forward \
             slash) with one of the allowed audiences 'https://management.core.windows.net/',\
             'https://management.azure.com/'.",
            "audience",
        ),
    ),
    (
        "doc_403_insufficient_access",
        Failure(
            "forbidden",
            "HTTP 403: InsufficientAccessError: The provided credentials have insufficient access to perform \
             the requested operation",
            ROLE,
        ),
    ),
    (
        "doc_403_invalid_token",
        Failure(
            "forbidden",
            "HTTP 403: InvalidAuthenticationToken: The access token is invalid.",
            "azure.cloud",
        ),
    ),
];

/// Of other operations (`$batch`, metadata, Resource Manager): no answer to what we ask. Should one
/// come nevertheless, it must not pass for a table.
const OTHERS: [(&str, &str); 9] = [
    ("200_batch_mixed_400_partial_empty_heartbeat", "decode"),
    ("200_batch_single_types", "decode"),
    ("doc_400_batch_invalid_json", "bad_query"),
    ("doc_403_batch_signature", "forbidden"),
    ("doc_arg_resources_response", "decode"),
    ("doc_arm_workspaces_list", "decode"),
    ("doc_batch_member_errors", "decode"),
    ("doc_metadata_get", "decode"),
    ("doc_permissions_block", "decode"),
];

/// Of token endpoints, each replayed by a test of its own below.
const TOKENS: [&str; 5] = [
    "aad_200_client_secret_token",
    "aad_401_invalid_client",
    "doc_aad_400_invalid_scope",
    "doc_imds_200",
    "doc_appservice_msi_200",
];

type Recordings = BTreeMap<String, Value>;

fn recordings() -> Option<Recordings> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/azure/recordings");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        // Not by `eprintln!`, which the test harness keeps to itself.
        let note = "SKIPPED: no recordings of Azure beside this repository";
        let _ = writeln!(std::io::stderr(), "{note}");
        return None;
    };
    let read = entries.map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        (name, serde_json::from_str(&text).unwrap())
    });
    Some(read.collect())
}

/// The recorded answer. Its body was written down decompressed and in one piece.
fn reply(recording: &Value) -> Reply {
    let status = recording["status"].as_u64().unwrap();
    let mut reply = Reply::Whole {
        status: status.try_into().unwrap(),
        headers: Vec::new(),
        body: recording["body"].to_string().into(),
    };
    for (name, value) in recording["responseHeaders"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let of_the_wire = [
            "content-encoding",
            "content-length",
            "transfer-encoding",
            "connection",
        ];
        if let Some(value) = value.as_str()
            && !of_the_wire.contains(&name.to_ascii_lowercase().as_str())
        {
            reply = reply.header(name, value);
        }
    }
    reply
}

async fn asked(recording: &Value) -> Result<ResultTable, Told> {
    let reply = reply(recording);
    let rig = Rig::asking(move |_: &Seen| reply.clone()).await;
    match rig.ask().await {
        Ok(answer) => {
            assert_eq!(answer.unreadable_rows, 0);
            Ok(answer.table)
        }
        Err(failure) => Err(Told::of(&failure)),
    }
}

#[test]
fn every_recording_is_accounted_for() {
    let Some(recordings) = recordings() else {
        return;
    };
    let here: BTreeSet<&str> = recordings.keys().map(String::as_str).collect();
    let known: BTreeSet<&str> = (ANSWERS.iter().map(|(name, _)| *name))
        .chain(OTHERS.iter().map(|(name, _)| *name))
        .chain(TOKENS)
        .collect();
    assert_eq!(here, known);
}

#[tokio::test]
async fn answers_to_queries() {
    let Some(recordings) = recordings() else {
        return;
    };
    for (name, expect) in ANSWERS {
        match (asked(&recordings[name]).await, expect) {
            (Ok(table), Table(columns, rows)) => {
                assert_eq!(
                    (table.columns().len(), table.row_count()),
                    (columns, rows),
                    "{name}"
                );
            }
            (Err(told), Failure(reason, text, hint)) => {
                assert_eq!(told.reason, reason, "{name}");
                assert_eq!(told.text, text, "{name}");
                assert!(told.hint.contains(hint), "{name}: {told:?}");
                assert_eq!(told.retry_after, None, "{name}");
            }
            (got, _) => panic!("{name}: {got:?}"),
        }
    }
}

#[tokio::test]
async fn every_type_keeps_its_value() {
    let Some(recordings) = recordings() else {
        return;
    };
    let table = asked(&recordings["200_types_all"]).await.unwrap();
    assert_eq!(
        table.rows().next().unwrap(),
        [
            Cell::DateTime("2015-12-31T23:59:59.9Z".parse().unwrap()),
            Cell::Bool(false),
            Cell::String("74be27de-1e4e-49d9-b579-fe0b331d3642".into()),
            Cell::Long(12_345),
            Cell::Long(1_234_567_890_123),
            Cell::Real(12_345.678_9),
            Cell::String("string value".into()),
            Cell::TimeSpan(jiff::SignedDuration::from_secs(10)),
            Cell::Real(0.101_01),
            Cell::Null,
        ]
    );
    let table = asked(&recordings["200_types_dynamic_is_string"])
        .await
        .unwrap();
    assert_eq!(
        table.rows().next().unwrap()[6],
        Cell::String(r#"{"hello":"world"}"#.into())
    );
}

#[tokio::test]
async fn answers_to_other_questions_are_no_tables() {
    let Some(recordings) = recordings() else {
        return;
    };
    for (name, reason) in OTHERS {
        let told = asked(&recordings[name]).await.unwrap_err();
        assert_eq!(told.reason, reason, "{name}: {told:?}");
    }
}

#[tokio::test]
async fn answers_of_entra() {
    let Some(recordings) = recordings() else {
        return;
    };
    let signing_in = |name: &str| {
        let reply = reply(&recordings[name]);
        Rig::signing_in_at(move |_: &Seen| reply.clone())
    };
    let rig = signing_in("aad_200_client_secret_token").await;
    rig.ask().await.unwrap();
    assert_eq!(
        rig.logs.seen()[0].header("authorization"),
        "Bearer Sanitized"
    );

    for (name, text, hint) in [
        (
            "aad_401_invalid_client",
            "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is \
             the client secret value, not the client secret ID, for a secret added to app \
             '00000000-0000-0000-0000-000000000000'. (HTTP 401)",
            "the client secret's value",
        ),
        (
            "doc_aad_400_invalid_scope",
            "AADSTS70011: The provided value for the input parameter 'scope' is not valid. The scope \
             https://foo.microsoft.com/.default is not valid. (HTTP 400)",
            "audience",
        ),
    ] {
        let rig = signing_in(name).await;
        let told = rig.failure().await;
        let host = rig.entra.address.trim_start_matches("https://");
        assert_eq!(told.reason, "sign_in");
        assert_eq!(
            told.text,
            format!("cannot sign in: client_secret at {host}: {text}")
        );
        assert!(told.hint.contains(hint), "{name}: {told:?}");
    }
}

/// A query about no table costs nothing that can be measured, and the service says so.
#[tokio::test]
async fn the_answer_that_says_what_it_cost() {
    let Some(recordings) = recordings() else {
        return;
    };
    let body = recordings["200_render_and_statistics_cached_age103"]["body"].to_string();
    let rig = Rig::asking(move |_: &Seen| Reply::json(200, body.clone())).await;
    let cost = Cost {
        cpu: Some(Duration::ZERO),
        scanned_bytes: Some(0),
    };
    assert_eq!(rig.ask().await.unwrap().cost, cost);
}

/// The documented token ended in 2017. It is tried, because the fault may be our clock's, but not
/// held: the second query asks for another.
#[tokio::test]
async fn the_answer_of_a_virtual_machines_metadata_service() {
    let Some(recordings) = recordings() else {
        return;
    };
    let reply = reply(&recordings["doc_imds_200"]);
    let metadata = Server::plain(move |_: &Seen| reply.clone()).await;
    let mut rig = Rig::asking(HonestWorkspace).await;
    rig.settings.credential = CredentialChoice::ManagedIdentity(MachineIdentity::System);
    rig.environment = Environment::of([(rig::METADATA_ADDRESS, &metadata.address)]);
    let client = rig.client();
    for _ in 0..2 {
        rig::ask(&client, rig::PATIENT).await.unwrap();
    }
    assert_eq!(
        rig.logs.seen()[0].header("authorization"),
        "Bearer eyJ0eXAi..."
    );
    assert_eq!(metadata.seen().len(), 2);
}

/// The documented token ends in an ellipsis, which no header can carry. App Service tells of itself
/// by the process's own environment, so this one needs a process.
#[tokio::test]
async fn the_answer_of_app_services_metadata_service() {
    let Some(recordings) = recordings() else {
        return;
    };
    let reply = reply(&recordings["doc_appservice_msi_200"]);
    let endpoint = Server::plain(move |_: &Seen| reply.clone()).await;
    let address = endpoint.address.clone();
    let child = tokio::task::spawn_blocking(move || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "in_an_app_service_process"])
            .env("IDENTITY_ENDPOINT", address)
            .env("IDENTITY_HEADER", "the-header")
            .output()
            .unwrap()
    });
    let output = child.await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("1 passed"), "{printed}");
    assert_eq!(endpoint.seen().len(), 1);
}

#[tokio::test]
#[ignore = "runs in a process of its own, started by the test above"]
async fn in_an_app_service_process() {
    let mut rig = Rig::asking(HonestWorkspace).await;
    rig.settings.credential = CredentialChoice::ManagedIdentity(MachineIdentity::System);
    let told = rig.failure().await;
    assert_eq!(
        told.text,
        "cannot sign in: managed_identity: the token has characters that a header cannot carry"
    );
    assert!(rig.logs.seen().is_empty());
}
