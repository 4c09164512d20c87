//! Who gets in: users, refusals, reloads that must not open the door, and the rate.

use super::*;

fn users(pairs: &[(&str, &str)]) -> String {
    let mut text = String::from("basic_auth_users:\n");
    for (user, password) in pairs {
        text.push_str(&format!(
            "  {user}: {}\n",
            bcrypt::hash(password, 4).unwrap()
        ));
    }
    text
}

#[tokio::test]
async fn only_users_get_in_wherever_they_ask() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::with(folder, &users(&[("alice", "wonder land")])).await;
    let client = Authority::new().client().build().unwrap();
    let ask = |path: &str, user: &str, password: &str| {
        let request = client.get(format!("http://{}{path}", rig.address));
        let request = request.basic_auth(user, Some(password));
        async move { request.send().await.unwrap().status().as_u16() }
    };
    for path in ["/metrics", "/-/healthy", "/", "/nowhere"] {
        let answer = send(rig.address, &format!("GET {path} HTTP/1.1")).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{path}: {answer}");
        let asks = "www-authenticate: Basic realm=\"vminsights-exporter\", charset=\"UTF-8\"\r\n";
        assert!(answer.contains(asks), "{answer}");
        assert_eq!(ask(path, "alice", "wrong").await, 401);
        assert_eq!(ask(path, "mallory", "wonder land").await, 401);
    }
    for _ in 0..2 {
        assert_eq!(ask("/metrics", "alice", "wonder land").await, 200);
    }
    assert_eq!(ask("/nowhere", "alice", "wonder land").await, 404);
    let requests = "vminsights_exporter_http_requests_total";
    assert_eq!(rig.counted(requests, "401"), 12.0);
    // Another password: the remembered one is of no use.
    rig.write("web.yml", &users(&[("alice", "looking glass")]));
    rig.lock.refresh();
    assert_eq!(ask("/metrics", "alice", "wonder land").await, 401);
    assert_eq!(ask("/metrics", "alice", "looking glass").await, 200);
}

/// A body would be a protocol error over HTTP/2, and the next answer's first bytes over HTTP/1.
#[tokio::test]
async fn a_refused_head_has_no_body() {
    let ca = Authority::new();
    let alice = users(&[("alice", "wonder land")]);
    let long = format!("/{}", "x".repeat(5_000));
    let rig = Rig::with(ca.folder(), &format!("{TLS}{alice}")).await;
    for client in [ca.client(), ca.client().http1_only()] {
        let client = client.build().unwrap();
        for (path, status, length) in [("/metrics", 401, "13"), (&long, 414, "22")] {
            let url = format!("https://{}{path}", rig.address);
            let answer = client.head(&url).send().await.unwrap();
            assert_eq!(answer.status(), status);
            assert_eq!(answer.headers()["content-length"], length);
            assert_eq!(answer.bytes().await.unwrap(), "");
        }
    }
    let limited = "rate_limit: {interval: 1h, burst: 1}\n";
    let rig = Rig::with(ca.folder(), &format!("{TLS}{limited}")).await;
    let client = ca.client().build().unwrap();
    for status in [200, 429] {
        let url = format!("https://{}/-/healthy", rig.address);
        let answer = client.head(&url).send().await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    }
    // Over plain HTTP, byte by byte, and over a Unix socket.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock");
    let file = folder.path().join("web.yml");
    std::fs::write(&file, &alice).unwrap();
    let addresses = ["127.0.0.1:0".parse().unwrap(), Address::Unix(path.clone())];
    let metrics = SelfMetrics::new().unwrap();
    let server = Server::bind(&addresses, Limits::default()).await.unwrap();
    let address = address(&server);
    let lock = Arc::new(Lock::load(&file, metrics.clone()).unwrap());
    let routes = router(&metrics, Arc::default());
    tokio::spawn(server.serve(routes, lock, metrics, std::future::pending()));
    for head in ["HEAD /metrics HTTP/1.1", &format!("HEAD {long} HTTP/1.1")] {
        let mut unix = UnixStream::connect(&path).await.unwrap();
        for answer in [send(address, head).await, exchange(&mut unix, head).await] {
            assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
            assert!(answer.contains("content-length: "), "{answer}");
            assert!(answer.ends_with("\r\n\r\n"), "{answer}");
        }
    }
}

/// A FIFO that nobody writes to would keep the program waiting, and a long file that is cut may pass.
#[tokio::test]
async fn only_regular_files_of_some_length_are_read() {
    let folder = Authority::new().folder();
    let path = |name: &str| folder.path().join(name);
    let made = Command::new("mkfifo").arg(path("fifo")).status().unwrap();
    assert!(made.success());
    std::fs::create_dir(path("directory")).unwrap();
    let limit = 1 << 20;
    std::fs::write(path("full"), "#".repeat(limit)).unwrap();
    std::fs::write(path("long"), "#".repeat(limit + 1)).unwrap();
    let load = |name: &str| {
        let lock = Lock::load(&path(name), SelfMetrics::new().unwrap());
        lock.map(|_| ()).map_err(|problems| problems.to_string())
    };
    assert_eq!(load("full"), Ok(()));
    for (name, rule) in [
        ("fifo", "it is not a regular file"),
        ("directory", "it is not a regular file"),
        ("long", "it is longer than 1 MiB"),
    ] {
        let error = load(name).unwrap_err();
        let expected = format!("{}: cannot read it: {rule}", path(name).display());
        assert!(error.starts_with(&expected), "{error}");
        let tls = format!("tls_server_config: {{cert_file: {name}, key_file: server.key}}\n");
        std::fs::write(path("web.yml"), tls).unwrap();
        let error = load("web.yml").unwrap_err();
        let expected = format!(": cert_file: cannot read {}: {rule}", path(name).display());
        assert!(error.contains(&expected), "{error}");
    }
}

/// A file that is read while it is written may be empty, or end early.
#[tokio::test]
async fn a_reload_never_opens_the_door() {
    let ca = Authority::new();
    let clients = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n";
    let names = "  client_allowed_sans: [prometheus.example]\n";
    let tls = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";
    let alice = users(&[("alice", "wonder land")]);
    let reloads = "vminsights_exporter_web_config_reloads_total";

    let rig = Rig::with(ca.folder(), &alice).await;
    for (index, less) in ["", "basic_auth_users:\n", "{}", "# alice\n"]
        .iter()
        .enumerate()
    {
        rig.write("web.yml", less);
        rig.lock.refresh();
        rig.lock.refresh();
        let failures = (index + 1) as f64;
        assert_eq!(rig.counted(reloads, "failure"), failures, "{less:?}");
        let answer = send(rig.address, "GET /metrics HTTP/1.1").await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{less:?}: {answer}");
    }
    rig.write("web.yml", &users(&[("bob", "builder")]));
    rig.lock.refresh();
    assert_eq!(rig.counted(reloads, "success"), 1.0, "other users are fine");

    let rig = Rig::with(ca.folder(), &format!("{tls}{clients}{names}")).await;
    let url = format!("https://{}/-/healthy", rig.address);
    for (index, less) in [String::new(), clients.to_owned()].iter().enumerate() {
        rig.write("web.yml", &format!("{tls}{less}"));
        rig.lock.refresh();
        assert_eq!(rig.counted(reloads, "failure"), (index + 1) as f64);
        let other = ca.client_with(&ca.sign("grafana.example"));
        for client in [ca.client(), other] {
            let answer = client.build().unwrap().get(&url).send().await;
            assert!(answer.is_err(), "{less:?} opened the door");
        }
    }
    let good = ca.client_with(&ca.sign("prometheus.example"));
    let answer = good.build().unwrap().get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// Nothing is remembered yet when the right password comes.
#[tokio::test]
async fn a_flood_of_wrong_passwords_does_not_lock_out_the_right_one() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::with(folder, &users(&[("alice", "wonder land")])).await;
    let address = rig.address;
    let refused = Arc::new(Semaphore::new(0));
    let mut flood = JoinSet::new();
    for _ in 0..48 {
        let refused = refused.clone();
        flood.spawn(async move {
            loop {
                let wrong = "GET / HTTP/1.1\r\nAuthorization: Basic YWxpY2U6eA==";
                let answer = send(address, wrong).await;
                assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
                refused.add_permits(1);
            }
        });
    }
    // It is under way.
    let under_way = tokio::time::timeout(SOON, refused.acquire_many(48)).await;
    assert!(under_way.is_ok());
    let right = "GET / HTTP/1.1\r\nAuthorization: Basic YWxpY2U6d29uZGVyIGxhbmQ=";
    let answer = send(address, right).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// What is logged, for this thread's tests to read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn users_without_tls_are_warned_of_when_a_reload_brings_them() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let _set = tracing::subscriber::set_default(subscriber);
    // With one subscriber alone, `tracing` asks the thread that comes by an event first whether anybody
    // wants it, and the other tests' threads say no for all.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.yml");
    std::fs::write(&file, "").unwrap();
    let metrics = SelfMetrics::new().unwrap();
    let lock = Arc::new(Lock::load(&file, metrics.clone()).unwrap());
    let limits = Limits {
        reload: Duration::from_millis(5),
        ..Limits::default()
    };
    let addresses = ["0.0.0.0:0".parse().unwrap(), "127.0.0.1:0".parse().unwrap()];
    let server = Server::bind(&addresses, limits).await.unwrap();
    let exposed = address(&server);
    let routes = router(&metrics, Arc::default());
    tokio::spawn(server.serve(routes, lock, metrics, std::future::pending()));
    let text = || String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text(), "");
    std::fs::write(&file, users(&[("alice", "wonder land")])).unwrap();
    let warned = async {
        while !text().contains("passwords travel unencrypted") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, warned).await.unwrap();
    assert!(
        text().contains(&format!("endpoint={exposed}")),
        "{}",
        text()
    );
    assert!(!text().contains("endpoint=127.0.0.1"), "{}", text());
}

#[tokio::test]
async fn a_rate_limit_refuses_what_is_beyond_the_burst() {
    let folder = tempfile::tempdir().unwrap();
    let alice = users(&[("alice", "wonder land")]);
    let web = |burst| format!("{alice}rate_limit: {{interval: 1h, burst: {burst}}}\n");
    let rig = Rig::with(folder, &web(2)).await;
    let credentials = "Authorization: Basic YWxpY2U6d29uZGVyIGxhbmQ=";
    let user = format!("GET / HTTP/1.1\r\n{credentials}");
    let stranger = "GET / HTTP/1.1";
    let codes = async |heads: &[&str]| {
        let mut codes = Vec::new();
        for head in heads {
            codes.push(send(rig.address, head).await[9..12].to_owned());
        }
        codes
    };
    // Strangers use up nothing.
    let heads = [stranger, stranger, stranger, &user, &user, &user, stranger];
    let expected = ["401", "401", "401", "200", "200", "429", "401"];
    assert_eq!(codes(&heads).await, expected);
    // The same rate goes on where it was; another one begins full.
    rig.write("web.yml", &format!("# new\n{}", web(2)));
    rig.lock.refresh();
    assert_eq!(codes(&[&user]).await, ["429"]);
    rig.write("web.yml", &web(1));
    rig.lock.refresh();
    assert_eq!(codes(&[&user, &user]).await, ["200", "429"]);
}

#[tokio::test]
async fn a_rate_limit_without_users_counts_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::with(folder, "rate_limit: {interval: 1h, burst: 1}\n").await;
    for code in ["200", "429"] {
        let answer = send(rig.address, "GET / HTTP/1.1").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{answer}");
    }
}
