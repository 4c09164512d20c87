//! From the settings to the export of our own traces.

use std::io;
use std::path::PathBuf;

use reqwest::Certificate;
use reqwest::header::{HeaderMap, HeaderValue, InvalidHeaderValue};

use super::Failure;
use crate::config::{OtlpCompression, OtlpConnection, OtlpProtocol, OtlpTraces};
use crate::telemetry::traces::TraceExport;

/// A setting that no export can be built with.
#[derive(Debug, thiserror::Error)]
enum TraceSettingsError {
    #[error("otlp.ca_file: cannot read {}", path.display())]
    CaFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("otlp.ca_file: {} must hold certificates in PEM form", path.display())]
    CaFileContent {
        path: PathBuf,
        #[source]
        source: reqwest::Error,
    },
    #[error("otlp: a header's value cannot be sent")]
    Header(#[source] InvalidHeaderValue),
}

/// Reads what the settings name; who we are is added when that is known.
pub fn export(settings: &OtlpTraces) -> Result<TraceExport, Failure> {
    build(settings).map_err(Failure::configuration)
}

fn build(settings: &OtlpTraces) -> Result<TraceExport, TraceSettingsError> {
    let OtlpTraces { connection, ratio } = settings;
    let OtlpConnection {
        endpoint,
        protocol,
        compression,
        timeout,
        headers: pairs,
        ca_file,
    } = connection;
    let mut headers = HeaderMap::new();
    for (name, secret) in pairs {
        let mut value =
            HeaderValue::from_str(secret.expose()).map_err(TraceSettingsError::Header)?;
        value.set_sensitive(true);
        headers.append(name.clone(), value);
    }
    Ok(TraceExport {
        endpoint: endpoint.clone(),
        grpc: *protocol == OtlpProtocol::Grpc,
        headers,
        gzip: *compression == OtlpCompression::Gzip,
        timeout: *timeout,
        ca_pem: ca_file.clone().map(certificates).transpose()?,
        ratio: *ratio,
        resource: Vec::new(),
    })
}

/// The file's text, which holds certificates.
fn certificates(path: PathBuf) -> Result<Vec<u8>, TraceSettingsError> {
    let pem = match std::fs::read(&path) {
        Ok(pem) => pem,
        Err(source) => return Err(TraceSettingsError::CaFile { path, source }),
    };
    match Certificate::from_pem_bundle(&pem) {
        Ok(_) => Ok(pem),
        Err(source) => Err(TraceSettingsError::CaFileContent { path, source }),
    }
}
