//! What one client may cost, and that slow ones stop no honest one.

use super::*;

#[tokio::test]
async fn other_methods_unknown_paths_and_endless_heads_are_refused() {
    let rig = Rig::open(Limits::default()).await;
    let long_path = format!("GET /{} HTTP/1.1", "x".repeat(5_000));
    let long_head = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(64 << 10));
    for (head, code) in [
        ("POST /metrics HTTP/1.1", "405"),
        ("OPTIONS / HTTP/1.1", "405"),
        ("GET /nowhere HTTP/1.1", "404"),
        ("POST /nowhere HTTP/1.1", "404"),
        (long_path.as_str(), "414"),
        (long_head.as_str(), "431"),
    ] {
        let answer = send(rig.address, head).await;
        let told = answer.lines().next().unwrap_or_default();
        assert!(
            told.starts_with(&format!("HTTP/1.1 {code} ")),
            "{head:.40}: {told}"
        );
        assert_eq!(
            answer.contains("allow: GET,HEAD\r\n"),
            code == "405",
            "{answer}"
        );
    }
}

#[tokio::test]
async fn silent_and_dawdling_clients_are_let_go() {
    let short = Duration::from_millis(50);
    let rig = Rig::open(Limits {
        head: short,
        ..Limits::default()
    })
    .await;
    for sent in ["", "GET / HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let read = tokio::time::timeout(SOON, stream.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "still open");
        assert!(!rest.starts_with(b"HTTP/1.1 200"), "{sent:?}");
    }
    // A client that does not read its answer is cut, and the answer ends early.
    let rig = Rig::open(Limits {
        stall: short,
        ..Limits::default()
    })
    .await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    stream
        .write_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    rig.cut("stalled", 1.0).await;
}

/// New requests on the connection renew nothing.
#[tokio::test]
async fn http2_answers_that_nobody_takes_are_let_go() {
    const STREAMS: usize = 4;
    let ca = Authority::new();
    let folder = ca.folder();
    std::fs::write(folder.path().join("web.yml"), TLS).unwrap();
    let limits = Limits {
        stall: Duration::from_secs(1),
        ..Limits::default()
    };
    let rig = Rig::start(limits, folder, Some("web.yml")).await;
    let free = Arc::strong_count(&rig.pages);
    let client = ca.client().build().unwrap();
    let ask = |path| {
        let request = client.get(format!("https://{}{path}", rig.address));
        async move { request.send().await }
    };
    let mut untaken = Vec::new();
    for _ in 0..STREAMS {
        untaken.push(ask("/big").await.unwrap());
    }
    assert_eq!(Arc::strong_count(&rig.pages), free + STREAMS);
    let lively = async {
        loop {
            let _ = ask("/-/healthy").await;
        }
    };
    tokio::select! {
        () = rig.cut("stalled", 1.0) => {}
        () = lively => {}
    }
    let gone = async {
        while Arc::strong_count(&rig.pages) > free {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, gone).await.unwrap();
    for answer in untaken {
        assert!(answer.bytes().await.is_err(), "it was cut");
    }
}

/// However fast the client is.
#[tokio::test]
async fn an_answer_that_takes_too_long_as_a_whole_is_cut() {
    let ca = Authority::new();
    let limits = Limits {
        answer: Duration::from_millis(50),
        ..Limits::default()
    };
    let rig = Rig::open(limits).await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let head = b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut sink = tokio::io::sink();
    let taken = tokio::time::timeout(SOON, tokio::io::copy(&mut stream, &mut sink));
    assert!(taken.await.is_ok(), "still open");
    rig.cut("stalled", 1.0).await;

    let folder = ca.folder();
    std::fs::write(folder.path().join("web.yml"), TLS).unwrap();
    let rig = Rig::start(limits, folder, Some("web.yml")).await;
    let url = format!("https://{}/endless", rig.address);
    let mut answer = ca.client().build().unwrap().get(url).send().await.unwrap();
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    let taken = async { while let Ok(Some(_)) = answer.chunk().await {} };
    let taken = tokio::time::timeout(SOON, taken);
    assert!(taken.await.is_ok(), "still open");
    rig.cut("stalled", 1.0).await;
}

#[tokio::test]
async fn a_thousand_slow_clients_do_not_stop_one_honest_scraper() {
    let rig = Rig::open(Limits {
        connections: 64,
        ..Limits::default()
    })
    .await;
    let mut crowd = Vec::new();
    let come = async {
        for index in 0..1_000 {
            let mut stream = TcpStream::connect(rig.address).await.unwrap();
            // Silent ones, half heads, and answers that are never read.
            let sent = [
                "",
                "GET /metrics HT",
                "GET /big HTTP/1.1\r\nHost: x\r\n\r\n",
            ][index % 3];
            let _ = stream.write_all(sent.as_bytes()).await;
            crowd.push(stream);
        }
    };
    let mut pages = 0;
    let scrape = async {
        loop {
            let page = send(rig.address, "GET /big HTTP/1.1").await;
            let body = page.split_once("\r\n\r\n").map(|(_, body)| body.len());
            assert_eq!(body, Some(BIG), "page {pages}: {page:.100}");
            pages += 1;
        }
    };
    tokio::select! {
        () = come => {}
        () = scrape => {}
    }
    assert!(pages > 0, "no page while the crowd came");
    let page = send(rig.address, "GET /metrics HTTP/1.1").await;
    assert!(page.starts_with("HTTP/1.1 200 "), "{page:.100}");
    let cut = "vminsights_exporter_http_connections_cut_total";
    assert!(rig.counted(cut, "full") >= 900.0);
}
