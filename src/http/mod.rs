//! The first door: Prometheus scrapes here, people look.
//!
//! | route | answer |
//! |---|---|
//! | `/metrics` (or `--web.telemetry-path`) | the page, from prepared pieces |
//! | `/` | the status page: is it well, what is wrong, what to do |
//! | `/-/healthy` | 200 while the process serves |
//! | `/-/ready` | 200 once each query has been tried, and from then on; 503 before |
//! | `/-/reload` (POST, PUT) | 200 once the configuration is read again and in use, 500 if it is bad; 403 without `--web.enable-lifecycle` |
//!
//! [`Lock`] says who gets in (TLS, users), [`Server`] holds the connections and their limits. The routes
//! see a snapshot, the process' own metrics and ready text, nothing else: no request reaches Azure, and only
//! the lock reads settings, its own.

mod body;
mod lock;
mod maker;
mod reload;
mod routes;
mod server;
mod status;

pub use lock::Lock;
pub use reload::{Reload, ReloadRequest};
pub use routes::Site;
pub use server::{Address, AddressError, BindError, Endpoint, Limits, Server};
pub use status::{About, AboutQuery};
