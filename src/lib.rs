//! Publishes what Azure VM insights knows as Prometheus metrics.
//!
//! ```text
//! config ──► catalogue ──► poll ──► azure ──► table ──► series ──► snapshot ──► http, push
//!           (what to ask) (when)   (asking)  (answer)  (meaning)  (published)  (the doors)
//!                                                       its pages made by exposition
//! simulator ◄── HTTPS only          kql ◄── simulator, catalogue
//! ```
//!
//! The modules in the flow's order; ARCHITECTURE.md says what each never does.

// Outside tests a panic needs a comment that proves it cannot happen.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

pub mod cli;
pub mod config;

pub mod catalogue;
pub mod poll;

pub mod azure;
pub mod table;

pub mod series;

pub mod ledger;

pub mod exposition;
pub mod snapshot;

pub mod http;
pub mod push;

pub mod kql;
pub mod simulator;

pub mod telemetry;
