//! Addresses and sockets, a lack of file descriptors, and the end.

use super::*;

#[tokio::test]
async fn a_scrape_during_shutdown_is_whole_or_refused() {
    let rig = Rig::open(Limits::default()).await;
    let mut slow = TcpStream::connect(rig.address).await.unwrap();
    slow.write_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 1];
    slow.read_exact(&mut first).await.unwrap();
    let mut silent = TcpStream::connect(rig.address).await.unwrap();
    rig.stop.send(()).unwrap();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(SOON, silent.read_to_end(&mut rest)).await;
    assert!(
        read.is_ok() && rest.is_empty(),
        "one that never asked is closed"
    );
    assert!(
        TcpStream::connect(rig.address).await.is_err(),
        "nobody listens"
    );
    assert!(!rig.serving.is_finished(), "it waits for the slow one");
    let mut page = Vec::new();
    slow.read_to_end(&mut page).await.unwrap();
    let body = page.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(page.len() - body, BIG);
    tokio::time::timeout(SOON, rig.serving)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn an_http2_scrape_during_shutdown_is_whole_or_refused() {
    let ca = Authority::new();
    let rig = Rig::with(ca.folder(), TLS).await;
    let client = ca.client().build().unwrap();
    let ask = |path| {
        let request = client.get(format!("https://{}{path}", rig.address));
        async move { request.send().await }
    };
    let mut slow = ask("/big").await.unwrap();
    assert_eq!(slow.version(), reqwest::Version::HTTP_2);
    let mut taken = slow.chunk().await.unwrap().unwrap().len();
    rig.stop.send(()).unwrap();
    let answered = async {
        while let Ok(answer) = ask("/-/healthy").await {
            assert_eq!(answer.text().await.unwrap(), "Healthy.\n");
        }
    };
    let refused = tokio::time::timeout(SOON, answered).await;
    assert!(refused.is_ok(), "new requests are still answered");
    assert!(!rig.serving.is_finished(), "it waits for the slow one");
    while let Some(piece) = slow.chunk().await.unwrap() {
        taken += piece.len();
    }
    assert_eq!(taken, BIG);
    tokio::time::timeout(SOON, rig.serving)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn several_addresses_and_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock");
    let addresses = || {
        let unix = Address::Unix(path.clone());
        [
            "127.0.0.1:0".parse().unwrap(),
            unix,
            "127.0.0.1:0".parse().unwrap(),
        ]
    };
    // A socket that a program left behind is in nobody's way.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let metrics = SelfMetrics::new().unwrap();
    let server = Server::bind(&addresses(), Limits::default()).await.unwrap();
    let endpoints: Vec<Endpoint> = server.endpoints().cloned().collect();
    let second = Server::bind(&addresses()[1..], Limits::default()).await;
    assert!(matches!(second, Err(BindError::InUse(Endpoint::Unix(_)))));
    let (stop, stopped) = oneshot::channel::<()>();
    let lock = Arc::new(Lock::open(metrics.clone()));
    let serving =
        tokio::spawn(
            server.serve(router(&metrics, Arc::default()), lock, metrics, async {
                let _ = stopped.await;
            }),
        );
    for endpoint in endpoints {
        let answer = match endpoint {
            Endpoint::Tcp(address) => send(address, "GET /-/healthy HTTP/1.1").await,
            Endpoint::Unix(path) => {
                use std::os::unix::fs::PermissionsExt;
                let mode = std::fs::metadata(&path).unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o660);
                let mut stream = UnixStream::connect(path).await.unwrap();
                exchange(&mut stream, "GET /-/healthy HTTP/1.1").await
            }
        };
        assert!(answer.ends_with("Healthy.\n"), "{answer}");
    }
    stop.send(()).unwrap();
    tokio::time::timeout(SOON, serving).await.unwrap().unwrap();
    assert!(!path.exists(), "the socket file goes with the server");
    std::fs::write(&path, "a file").unwrap();
    let bound = Server::bind(&addresses()[1..2], Limits::default()).await;
    assert!(matches!(bound, Err(BindError::NoSocket(_))));
}

#[tokio::test]
async fn an_address_that_is_listed_twice_is_told_from_a_taken_one() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = format!("127.0.0.1:{}", taken.local_addr().unwrap().port());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let ours = format!("127.0.0.1:{port}");
    let everywhere = format!("0.0.0.0:{port}");
    let unix = format!("unix:{}", folder.path().join("web.sock").display());
    let twice = |endpoint: &str, held: &str| {
        format!(
            "address {endpoint} is listed twice: this exporter listens on {held} already; \
             list it once with --web.listen-address"
        )
    };
    let in_use = format!(
        "address {other} is in use by another program; \
         choose another with --web.listen-address"
    );
    for (addresses, told) in [
        ([&ours, &ours], twice(&ours, &ours)),
        ([&ours, &everywhere], twice(&everywhere, &ours)),
        ([&unix, &unix], twice(&unix, &unix)),
        ([&ours, &other], in_use),
    ] {
        let addresses = addresses.map(|text| text.parse::<Address>().unwrap());
        let bound = Server::bind(&addresses, Limits::default()).await;
        assert_eq!(bound.err().unwrap().to_string(), told);
    }
}

/// The child has 64 file descriptors and uses them up at a word.
#[tokio::test]
async fn a_lack_of_file_descriptors_is_survived() {
    let test = std::env::current_exe().unwrap();
    let mut child = Command::new("sh")
        .args([
            "-c",
            "ulimit -n 64; exec \"$0\" --ignored --exact --nocapture listening::with_few_file_descriptors",
        ])
        .arg(test)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut tell = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = move |word: &str| {
        let line = lines
            .by_ref()
            .map(Result::unwrap)
            .find(|line| line.contains(word));
        line.unwrap_or_else(|| panic!("no {word}"))
            .rsplit(' ')
            .next()
            .unwrap()
            .to_owned()
    };
    let address: SocketAddr = told("address").parse().unwrap();
    let mut connected = TcpStream::connect(address).await.unwrap();
    let mut ask = async || {
        connected
            .write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"Healthy.\n") {
            assert_ne!(connected.read_buf(&mut answer).await.unwrap(), 0);
        }
    };
    ask().await;
    writeln!(tell, "take").unwrap();
    told("taken");
    let mut waiting = TcpStream::connect(address).await.unwrap();
    ask().await;
    writeln!(tell, "free").unwrap();
    told("freed");
    let answer = exchange(&mut waiting, "GET /-/healthy HTTP/1.1").await;
    assert!(answer.ends_with("Healthy.\n"), "{answer}");
    drop(tell);
    assert!(child.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a process of its own, started by the test above"]
async fn with_few_file_descriptors() {
    let rig = Rig::open(Limits::default()).await;
    println!("\naddress {}", rig.address);
    let commands = tokio::task::spawn_blocking(move || {
        let mut files = Vec::new();
        for line in std::io::stdin().lines() {
            match line.unwrap().as_str() {
                "take" => {
                    files.extend(std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()));
                    assert!(files.len() > 16, "{}", files.len());
                    println!("\ntaken");
                }
                _ => {
                    files.clear();
                    println!("\nfreed");
                }
            }
        }
    });
    commands.await.unwrap();
}
