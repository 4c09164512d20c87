//! The first door: Prometheus scrapes here, people look.
//!
//! | route | answer |
//! |---|---|
//! | `/metrics` (or `--web.telemetry-path`) | the page, from prepared pieces |
//! | `/` | the status page: is it well, what is wrong, what to do |
//! | `/-/healthy` | 200 while the process serves |
//! | `/-/ready` | 200 once each query has been tried, 503 before |
//!
//! It sees a snapshot and the process' own metrics, nothing else: no request reaches Azure.

mod body;
mod routes;
mod server;
mod status;

pub use routes::Site;
pub use server::{BindError, Server};
pub use status::{About, AboutQuery};
