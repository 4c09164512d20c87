//! What a client gets over HTTP: the headers, and bodies that a client reads which knows nothing of us.

use std::sync::Arc;

use reqwest::{Client, Method, Response, header};
use tokio::sync::oneshot;
use vminsights_exporter::http::{Limits, Lock, Server, Site};
use vminsights_exporter::telemetry::SelfMetrics;

use crate::{fixture, gzip};

/// A server with the fixture's snapshot; it ends with the sender.
async fn served() -> (String, oneshot::Sender<()>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let metrics = SelfMetrics::new().unwrap();
    let site = Site {
        store: Arc::new(fixture::store()),
        metrics: metrics.clone(),
        telemetry_path: "/metrics".into(),
        about: Arc::default(),
        lifecycle: None,
    };
    let anywhere = ["127.0.0.1:0".parse().unwrap()];
    let server = Server::bind(&anywhere, Limits::default()).await.unwrap();
    let url = format!("http://{}/metrics", server.endpoints().next().unwrap());
    let lock = Arc::new(Lock::open(metrics.clone()));
    let (stop, stopped) = oneshot::channel();
    let until = async { drop(stopped.await) };
    tokio::spawn(server.serve(site.router(), lock, metrics, until));
    (url, stop)
}

async fn ask(method: Method, url: &str, headers: &[(header::HeaderName, &str)]) -> Response {
    let client = Client::builder().no_gzip().build().unwrap();
    let mut request = client.request(method, url);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    request.send().await.unwrap()
}

fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    answer
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn every_format_comes_plain_and_as_gzip_with_the_headers_that_say_so() {
    let (url, _stop) = served().await;
    for (accept, content_type, begins) in [
        (
            "*/*",
            "text/plain; version=0.0.4; charset=utf-8",
            &b"# HELP my_lonely_gauge"[..],
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8,*/*;q=0.1",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            b"# TYPE my_lonely_gauge gauge",
        ),
        (
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
            b"\x22\x0a\x0fmy_lonely_gauge",
        ),
    ] {
        for coding in ["identity", "gzip"] {
            let asked = [(header::ACCEPT, accept), (header::ACCEPT_ENCODING, coding)];
            let answer = ask(Method::GET, &url, &asked).await;
            assert_eq!(answer.status(), 200);
            assert_eq!(header(&answer, "content-type"), Some(content_type));
            assert_eq!(header(&answer, "vary"), Some("Accept, Accept-Encoding"));
            assert_eq!(
                header(&answer, "content-encoding").unwrap_or("identity"),
                coding
            );
            let length = header(&answer, "content-length").unwrap().to_owned();
            let body = answer.bytes().await.unwrap();
            assert_eq!(length, body.len().to_string());
            let plain = match coding {
                "gzip" => gzip::gunzip(&body),
                _ => body.to_vec(),
            };
            assert!(plain.starts_with(begins), "{}", plain[..60].escape_ascii());
            assert_eq!(plain.ends_with(b"# EOF\n"), accept.contains("openmetrics"));
            let own = b"vminsights_exporter_scrapes";
            assert!(plain.windows(own.len()).any(|part| part == own));
        }
    }
}

#[tokio::test]
async fn head_has_the_headers_alone() {
    let (url, _stop) = served().await;
    let answer = ask(Method::HEAD, &url, &[(header::ACCEPT_ENCODING, "gzip")]).await;
    assert_eq!(header(&answer, "content-encoding"), Some("gzip"));
    assert!(header(&answer, "content-length").is_some_and(|length| length != "0"));
    assert_eq!(answer.bytes().await.unwrap(), "");
}

#[tokio::test]
async fn several_headers_are_one_list() {
    let (url, _stop) = served().await;
    let accepts = [
        (header::ACCEPT, "text/plain;q=0.1"),
        (header::ACCEPT, "application/openmetrics-text"),
    ];
    let answer = ask(Method::GET, &url, &accepts).await;
    assert!(
        header(&answer, "content-type")
            .unwrap()
            .contains("openmetrics")
    );
}

#[tokio::test]
async fn a_client_that_unzips_by_itself_reads_a_page() {
    let (url, _stop) = served().await;
    let answer = reqwest::get(&url).await.unwrap();
    let page = answer.text().await.unwrap();
    assert!(page.starts_with("# HELP my_lonely_gauge \n"), "{page}");
    assert!(
        page.contains("vminsights_exporter_scrapes_total{coding=\"gzip\",format=\"text\"} 1\n"),
        "{page}"
    );
}
