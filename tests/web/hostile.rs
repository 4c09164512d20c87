//! Bytes and files that nobody should have sent.

use super::*;

#[test]
fn any_bytes_are_answered_or_end_the_connection() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rig = runtime.block_on(Rig::open(Limits::default()));
    let begin = prop::sample::select(vec![
        "",
        "GET ",
        "GET / HTTP/1.1\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]);
    let config = ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(begin in begin, bytes in prop::collection::vec(any::<u8>(), 0..200))| {
        runtime.block_on(async {
            let mut stream = TcpStream::connect(rig.address).await.unwrap();
            let _ = stream.write_all(begin.as_bytes()).await;
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            let read = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await;
            assert!(read.is_ok(), "neither answered nor ended");
            let answer = send(rig.address, "GET /-/healthy HTTP/1.1").await;
            assert!(answer.ends_with("Healthy.\n"));
        });
    });
}

/// Each bad web configuration is a file beside its exact text; UPDATE_EXPECTED=1 writes the latter.
#[test]
fn each_bad_web_configuration_gets_its_text() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/bad_web_config");
    let mut cases: Vec<_> = std::fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yml"))
        .collect();
    cases.sort();
    assert!(cases.len() >= 8, "only {} cases", cases.len());
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("exporter.yaml");
    std::fs::write(
        &good,
        "workspaces: [{id: 5f6d2b1c-0000-4000-8000-000000000001}]\n",
    )
    .unwrap();
    for case in cases {
        let output = Command::new(env!("CARGO_BIN_EXE_vminsights-exporter"))
            .current_dir(&root)
            .args(["serve", "--config.check", "--config.file"])
            .arg(&good)
            .arg("--web.config.file")
            .arg(case.file_name().unwrap())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        let expected_file = case.with_extension("txt");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&expected_file, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&expected_file).unwrap_or_default();
        assert_eq!(text, expected, "{}", case.display());
        assert_eq!(output.status.code(), Some(64), "{}", case.display());
        assert!(!text.contains("hunter2"), "{text}");
    }
}
