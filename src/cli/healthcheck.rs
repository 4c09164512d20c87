//! `healthcheck`: is an exporter serving? For containers, whose images have no other client.

use std::time::Duration;

use clap::Args;
use reqwest::{StatusCode, Url};

use super::Failure;

#[derive(Args)]
pub struct HealthcheckArguments {
    /// What to ask.
    #[arg(long, default_value = "http://127.0.0.1:10048/-/healthy")]
    url: Url,
    /// How long to wait for the answer.
    #[arg(long, default_value = "3s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

#[derive(Debug, thiserror::Error)]
enum Unhealthy {
    #[error("no answer from {url}")]
    Silent {
        url: Url,
        #[source]
        source: reqwest::Error,
    },
    #[error("{url} answers {status}")]
    Status { url: Url, status: StatusCode },
}

/// Exit code 0 if the exporter answers, else 1.
pub async fn run(arguments: HealthcheckArguments) -> Result<(), Failure> {
    let HealthcheckArguments { url, timeout } = arguments;
    let silent = |source: reqwest::Error| {
        Failure::failed(Unhealthy::Silent {
            url: url.clone(),
            source: source.without_url(),
        })
    };
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(timeout)
        // The question is whether anybody answers; nothing is sent or believed that a certificate
        // would have to vouch for, and one for a host name does not fit the loopback address.
        .tls_danger_accept_invalid_certs(true)
        .build()
        .map_err(silent)?;
    let status = client
        .get(url.clone())
        .send()
        .await
        .map_err(silent)?
        .status();
    // Asked without a user where users are configured, a server that lives says 401.
    if status == StatusCode::OK || status == StatusCode::UNAUTHORIZED {
        println!("healthy");
        Ok(())
    } else {
        Err(Failure::failed(Unhealthy::Status { url, status }))
    }
}
