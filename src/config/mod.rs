//! The configuration file: [`raw`](self) shapes as typed, [`Settings`] as meant.
//!
//! Nothing downstream checks a setting again. A mistake is a [`Problem`] with file, line and rule.

mod discover;
mod file;
mod filters;
mod load;
mod masked;
mod otlp;
mod problem;
mod raw;
mod reference;
mod secret;
mod settings;
mod web;
pub mod yaml;

pub use discover::{Choice, DiscoverSettings, tag_label};
pub use file::read_text;
pub use filters::{FilterSettings, Glob, GlobError, Network, NetworkError};
pub use otlp::{
    OtlpCompression, OtlpConnection, OtlpMetrics, OtlpProtocol, OtlpSettings, OtlpTraces, Signal,
};
pub use problem::{Problem, Problems};
pub use reference::{KEYS, Key};
pub use secret::Secret;
pub use settings::{
    AzureSettings, BudgetSettings, CredentialChoice, Endpoints, Limits, Located, MachineIdentity,
    SecretSource, Settings, Workspace, WorkspaceId, WorkspaceIdError,
};
pub use web::{ClientPolicy, Clients, Curve, Pem, Rate, TlsSettings, TlsVersion, WebSettings};

#[cfg(test)]
mod tests;
