//! Each bad configuration is a folder beside the exact text that it gets: `tests/bad_config/<case>/`
//! holds `exporter.yaml`, perhaps `queries/`, and `expected.txt`. UPDATE_EXPECTED=1 writes the latter.

use std::path::Path;
use std::process::{Command, Output};

fn check(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vminsights-exporter"))
        .current_dir(folder)
        .args(arguments)
        .env("MY_SECRET", "hunter2")
        .output()
        .unwrap()
}

#[test]
fn each_bad_configuration_gets_its_text_and_exit_code_64() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_config");
    let mut cases: Vec<_> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 15, "only {} cases", cases.len());
    let mut wrong = String::new();
    for case in cases {
        let output = check(&case, &["check", "--config.file=exporter.yaml"]);
        let text = String::from_utf8(output.stderr).unwrap();
        let expected_file = case.join("expected.txt");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&expected_file, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&expected_file).unwrap_or_default();
        if text != expected || output.status.code() != Some(64) {
            wrong.push_str(&format!(
                "--- {}: exit {:?}, got\n{text}--- expected\n{expected}",
                case.display(),
                output.status.code()
            ));
        }
        assert!(output.stdout.is_empty(), "{}", case.display());
        assert!(!text.contains("hunter2"), "{}: {text}", case.display());
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn serve_with_a_bad_configuration_ends_with_64_and_binds_nothing() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_config/workspaces");
    // The port is taken: if serve tried to bind it first, it would end with 1.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("--web.listen-address={}", taken.local_addr().unwrap());
    let output = check(&case, &["serve", "--config.file=exporter.yaml", &address]);
    assert_eq!(output.status.code(), Some(64));
    let output = check(
        &case,
        &["serve", "--config.file=exporter.yaml", "--config.check"],
    );
    assert_eq!(output.status.code(), Some(64));
}

const GOOD: &str = "workspaces: [{id: 5f6d2b1c-0000-4000-8000-000000000001}]\n";

#[test]
fn a_good_configuration_is_said_to_be_good() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("exporter.yaml"), GOOD).unwrap();
    for arguments in [
        &["check", "--config.file=exporter.yaml"][..],
        &["serve", "--config.file=exporter.yaml", "--config.check"],
    ] {
        let output = check(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            text.starts_with("exporter.yaml: good: 1 workspaces, 15 queries, "),
            "{text}"
        );
        assert!(
            text.ends_with(" warnings; needs 6.3 requests per 30 s and 0.2 at once\n"),
            "{text}"
        );
    }
}

#[test]
fn what_the_budget_does_not_let_through_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = format!("{GOOD}azure: {{requests_per_30s: 4}}\n");
    std::fs::write(folder.path().join("exporter.yaml"), yaml).unwrap();
    let output = check(folder.path(), &["check", "--config.file=exporter.yaml"]);
    assert_eq!(output.status.code(), Some(64));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.starts_with("error: needs 6.3 requests per 30 s and 0.2 at once, but the budget is 4 and 4: intervals 1.6 times as long"),
        "{text}"
    );
}

/// The command beside a configuration that sends traces and nothing else, with the rest of its section
/// `otlp`, and beside `ca.pem` with this content.
fn traces_only(endpoint: &str, rest: &str, ca: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let yaml = format!("{GOOD}otlp: {{traces: {{ratio: 0.1}}{rest}}}\n");
    std::fs::write(folder.path().join("exporter.yaml"), yaml).unwrap();
    std::fs::write(folder.path().join("ca.pem"), ca).unwrap();
    Command::new(env!("CARGO_BIN_EXE_vminsights-exporter"))
        .current_dir(folder.path())
        .args(arguments)
        .env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint)
        .env("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=hunter2")
        .output()
        .unwrap()
}

#[test]
fn a_ca_file_for_traces_alone_is_found_bad_by_whatever_looks() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("--web.listen-address={}", taken.local_addr().unwrap());
    for arguments in [
        &["check", "--config.file=exporter.yaml"][..],
        &["serve", "--config.file=exporter.yaml", "--config.check"],
        &["serve", "--config.file=exporter.yaml", &address],
    ] {
        let unusable = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (file, ca, text) in [
            ("nowhere.pem", "", "cannot read nowhere.pem: "),
            (
                "ca.pem",
                "not pem",
                "ca.pem must hold certificates in PEM form\n",
            ),
            (
                "ca.pem",
                unusable,
                "ca.pem holds a certificate that cannot be used: ",
            ),
        ] {
            let rest = format!(", ca_file: {file}");
            let output = traces_only("https://collector:4318", &rest, ca, arguments);
            assert_eq!(output.status.code(), Some(64), "{arguments:?}: {output:?}");
            let said = String::from_utf8(output.stderr).unwrap();
            let expected = format!("error: otlp.ca_file: {text}");
            assert!(said.starts_with(&expected), "{said}");
        }
    }
}

#[test]
fn headers_of_traces_in_the_clear_are_warned_of() {
    let check = ["check", "--config.file=exporter.yaml"];
    for (endpoint, warnings) in [
        ("http://collector:4318", 1),
        ("https://collector:4318", 0),
        ("http://localhost:4318", 0),
    ] {
        let output = traces_only(endpoint, "", "", &check);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        let warning = "level=WARN msg=\"OTLP headers are sent over plain http; whoever is on the way can read them\" signal=traces host=collector\n";
        assert_eq!(said.matches(warning).count(), warnings, "{said}");
        assert_eq!(said.lines().count(), warnings, "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("exporter.yaml"), GOOD).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let output = check(
        folder.path(),
        &[
            "serve",
            "--config.file=exporter.yaml",
            &format!("--web.listen-address={address}"),
        ],
    );
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.ends_with(&format!(
            "error: address {address} is in use by another program; choose another with --web.listen-address\n"
        )),
        "{text}"
    );
}

#[test]
fn wrong_usage_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["serve"][..],
        &["nonsense"],
        &["demo", "--scenario=party"],
        &["demo", "--vms=0"],
        &["workspace", "--vms=100000000"],
        &["workspace", "--no-tls", "--web.listen-address=0.0.0.0:0"],
        &["serve", "--config.file=x", "--web.telemetry-path=/"],
    ] {
        let output = check(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    }
}
