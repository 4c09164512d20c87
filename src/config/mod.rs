//! The configuration file: [`raw`](self) shapes as typed, [`Settings`] as meant.
//!
//! Nothing downstream checks a setting again. A mistake is a [`Problem`] with file, line and rule.

mod file;
mod load;
mod problem;
mod raw;
mod reference;
mod secret;
mod settings;
pub mod yaml;

pub use file::read_text;
pub use problem::{Problem, Problems};
pub use reference::{KEYS, Key};
pub use secret::Secret;
pub use settings::{
    AzureSettings, CredentialChoice, Endpoints, Limits, Located, SecretSource, Settings, Workspace,
    WorkspaceId, WorkspaceIdError,
};

#[cfg(test)]
mod tests;
