//! From the settings to the export of our own traces.

use crate::config::{OtlpCompression, OtlpProtocol, OtlpTraces, Signal};
use crate::push::{Connection, ConnectionError};
use crate::telemetry::traces::TraceExport;

/// Reads what the settings name; who we are is added when that is known.
pub fn export(settings: &OtlpTraces) -> Result<TraceExport, ConnectionError> {
    let connection = Connection::new(Signal::Traces, &settings.connection)?;
    Ok(TraceExport {
        endpoint: connection.endpoint,
        grpc: connection.protocol == OtlpProtocol::Grpc,
        headers: connection.headers,
        gzip: connection.compression == OtlpCompression::Gzip,
        timeout: connection.timeout,
        ca_pem: connection.roots.map(|roots| roots.pem),
        ratio: settings.ratio,
        resource: Vec::new(),
    })
}
