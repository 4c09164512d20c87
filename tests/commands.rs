//! The small commands, run as a person or a container runs them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vminsights-exporter"))
        .args(arguments)
        .output()
        .unwrap()
}

/// An exporter's stand-in that answers one request with this status line.
fn answering(status: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/-/healthy", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").unwrap();
    });
    url
}

#[test]
fn a_healthcheck_says_who_lives() {
    for (status, code, stderr) in [
        ("200 OK", 0, ""),
        ("401 Unauthorized", 0, ""),
        (
            "503 Service Unavailable",
            1,
            "answers 503 Service Unavailable\n",
        ),
        ("302 Found", 1, "answers 302 Found\n"),
    ] {
        let output = run(&["healthcheck", "--url", &answering(status)]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.ends_with(stderr), "{status}: {text}");
        assert_eq!(output.status.code(), Some(code), "{status}: {text}");
    }
}

#[test]
fn a_healthcheck_of_nobody_fails_and_names_the_address() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let output = run(&["healthcheck", "--url", &format!("http://{free}/-/healthy")]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.starts_with(&format!("error: no answer from http://{free}/-/healthy: ")),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_version_names_the_commit() {
    let output = run(&["--version"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let expected = format!(
        "vminsights-exporter {} (commit {} of {})\n",
        env!("CARGO_PKG_VERSION"),
        env!("VMINSIGHTS_REVISION"),
        env!("VMINSIGHTS_REVISION_DATE"),
    );
    assert_eq!(text, expected);
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&["completions", shell]);
        let script = String::from_utf8(output.stdout).unwrap();
        for command in ["serve", "check", "demo", "workspace", "healthcheck"] {
            assert!(script.contains(command), "{shell} lacks {command}");
        }
    }
}
