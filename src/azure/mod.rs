//! Asking Azure: a query goes in, a whole table or a classified failure comes out.
//!
//! ```text
//! client ──► token ──► chain ──► credential ──► azure_identity ─┐
//!    │      (held,    (which     (one sign-in)                  ├──► transport ──► network
//!    │       shared)   one)                                     │    (TLS, proxy, no redirects)
//!    ├──────────────────────────────────────────────────────────┘
//!    └────► verdict ──► wire ──► cell, texts  a table
//!               │         └───► cost         what it cost the service
//!               └─────► api_error, hints     or a [`QueryFailure`]
//! ```
//!
//! - A partial answer is a failure; an empty body is not an empty table.
//! - No token and no secret is in any error, log line or `Debug` output.
//! - `verdict` and all below it neither wait nor read a clock.
//!
//! The API: <https://learn.microsoft.com/azure/azure-monitor/logs/api/overview>.

mod api_error;
mod assertion;
mod budget;
mod cell;
mod chain;
mod client;
mod cost;
mod credential;
mod discovery;
mod environment;
mod failure;
mod hints;
mod retry_after;
mod sign_in;
mod text;
mod texts;
mod token;
mod token_endpoint;
mod transport;
mod verdict;
mod wire;

pub use client::{Answer, LogsClient, Query};
pub use cost::Cost;
pub use discovery::{Discovery, DiscoveryError, Found};
pub use environment::Environment;
pub use failure::QueryFailure;
pub use transport::ClientError;
pub use verdict::read_table;
