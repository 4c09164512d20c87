//! The real program behind a corporate proxy: which way it takes to Azure, and to which addresses.

#[path = "faults/program.rs"]
mod program;

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use vminsights_exporter::config::{Endpoints, Settings};
use vminsights_exporter::simulator::{Access, Scenario, Simulator, SimulatorOptions};

use program::{Program, simulated};

/// A proxy that makes tunnels, but only to this machine, and notes whereto it was asked for one.
struct Proxy {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::default();
        let notes = Arc::clone(&asked);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, notes) = (client.unwrap(), Arc::clone(&notes));
                std::thread::spawn(move || tunnel(client, &notes));
            }
        });
        Self { address, asked }
    }

    /// Each host and port once.
    fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort();
        asked.dedup();
        asked
    }
}

fn tunnel(mut client: TcpStream, notes: &Mutex<Vec<String>>) -> Option<()> {
    let mut head = BufReader::new(client.try_clone().ok()?).lines();
    let request = head.next()?.ok()?;
    while !head.next()?.ok()?.is_empty() {}
    let target = request.strip_prefix("CONNECT ")?.split(' ').next()?;
    notes.lock().unwrap().push(target.to_owned());
    let near: Option<SocketAddr> = target.parse().ok();
    let Some(server) = near.and_then(|address| TcpStream::connect(address).ok()) else {
        return client
            .write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            .ok();
    };
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    let (up, down) = (server.try_clone().ok()?, client.try_clone().ok()?);
    std::thread::spawn(move || pass(client, up));
    pass(server, down);
    Some(())
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}

async fn simulator() -> Simulator {
    let options = SimulatorOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        vms: 1,
        scenario: Some(Scenario::Calm),
        ..SimulatorOptions::default()
    };
    Simulator::start(options).await.unwrap()
}

/// Serves until the value is there.
async fn value_comes(access: &Access, azure: &str, environment: &[(&str, &str)]) {
    let azure = simulated(access) + azure;
    let program = serve(access, &azure, environment);
    let waiting = move || {
        program.until("a value", |program| {
            let page = program.get("/metrics");
            page.contains("\nx_seven{workspace=\"prod\"} 7\n")
                .then_some(())
        });
    };
    tokio::task::spawn_blocking(waiting).await.unwrap();
}

fn serve(access: &Access, azure: &str, environment: &[(&str, &str)]) -> Program {
    let query = ("seven".to_owned(), "print n = 7".to_owned(), "30s");
    Program::serve(access, &[query], azure, environment)
}

/// What the log says of the first poll that failed.
async fn failure(program: Program) -> (String, String) {
    let waiting = move || {
        program.until("a failure", |program| {
            let mut log = program.log().into_iter();
            let line = log.find(|line| line["msg"] == "poll failed")?;
            let text = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
            Some((text("error"), text("hint")))
        })
    };
    tokio::task::spawn_blocking(waiting).await.unwrap()
}

fn host(access: &Access) -> String {
    access.endpoint.trim_start_matches("https://").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environments_proxy_is_used_for_sign_in_and_queries() {
    let (simulator, proxy) = (simulator().await, Proxy::new());
    let access = simulator.access();
    value_comes(access, "", &[("HTTPS_PROXY", &proxy.address)]).await;
    assert_eq!(proxy.asked(), [host(access)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_proxy_names_is_asked_directly() {
    let (simulator, proxy) = (simulator().await, Proxy::new());
    let environment = [
        ("HTTPS_PROXY", proxy.address.as_str()),
        ("NO_PROXY", "example.org,127.0.0.1"),
    ];
    value_comes(simulator.access(), "", &environment).await;
    assert!(proxy.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configurations_proxy_wins_over_the_environment() {
    let (simulator, proxy, other) = (simulator().await, Proxy::new(), Proxy::new());
    let azure = format!("  proxy: {}\n", proxy.address);
    let environment = [
        ("HTTPS_PROXY", other.address.as_str()),
        ("NO_PROXY", "127.0.0.1"),
    ];
    let access = simulator.access();
    value_comes(access, &azure, &environment).await;
    assert_eq!(proxy.asked(), [host(access)]);
    assert!(other.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_signed_by_a_known_authority_gets_no_secret() {
    let simulator = simulator().await;
    let access = simulator.access();
    let azure = simulated(access).replace("  ca_file: ca.pem\n", "");
    let program = serve(access, &azure, &[]);
    let (error, hint) = failure(program).await;
    assert!(error.starts_with("cannot sign in: "), "{error}");
    assert!(error.contains("invalid peer certificate"), "{error}");
    assert!(hint.contains("azure.ca_file"), "{hint}");
}

/// The proxy lets nobody out; it has been asked for the way to the cloud's own Entra ID.
#[tokio::test(flavor = "multi_thread")]
async fn each_cloud_signs_in_at_its_own_authority() {
    let simulator = simulator().await;
    for (cloud, authority) in [
        ("public", "login.microsoftonline.com:443"),
        ("usgov", "login.microsoftonline.us:443"),
        ("china", "login.chinacloudapi.cn:443"),
    ] {
        let proxy = Proxy::new();
        let azure = format!("  cloud: {cloud}\n  proxy: {}\n", proxy.address);
        let program = serve(simulator.access(), &azure, &[]);
        let (error, hint) = failure(program).await;
        assert!(error.starts_with("cannot sign in: "), "{cloud}: {error}");
        assert!(hint.contains("azure.proxy"), "{cloud}: {hint}");
        assert_eq!(proxy.asked(), [authority], "{cloud}");
    }
}

#[test]
fn each_clouds_addresses_are_the_documented_ones() {
    let of = |cloud: &str| {
        let yaml = format!(
            "azure: {{cloud: {cloud}}}\nworkspaces: [{{id: 5f6d2b1c-0000-4000-8000-000000000001}}]"
        );
        let settings = Settings::from_yaml("exporter.yaml".as_ref(), &yaml).unwrap();
        let Endpoints {
            logs,
            audience,
            authority,
            resource_manager,
        } = settings.azure.endpoints;
        [
            logs.into(),
            audience,
            authority.into(),
            resource_manager.into(),
        ]
    };
    assert_eq!(
        of("public"),
        [
            "https://api.loganalytics.azure.com/",
            "https://api.loganalytics.io",
            "https://login.microsoftonline.com/",
            "https://management.azure.com/",
        ]
    );
    assert_eq!(
        of("usgov"),
        [
            "https://api.loganalytics.us/",
            "https://api.loganalytics.us",
            "https://login.microsoftonline.us/",
            "https://management.usgovcloudapi.net/",
        ]
    );
    assert_eq!(
        of("china"),
        [
            "https://api.loganalytics.azure.cn/",
            "https://api.loganalytics.azure.cn",
            "https://login.chinacloudapi.cn/",
            "https://management.chinacloudapi.cn/",
        ]
    );
    assert_eq!(
        of(
            "{logs: 'https://logs.example', audience: 'https://audience.example/', authority: 'https://login.example', resource_manager: 'https://arm.example'}"
        ),
        [
            "https://logs.example/",
            "https://audience.example",
            "https://login.example/",
            "https://arm.example/",
        ]
    );
}
