//! Publishes what Azure VM insights knows as Prometheus metrics.

pub mod config;
pub mod exposition;
pub mod http;
pub mod kql;
pub mod series;
pub mod snapshot;
pub mod table;
pub mod telemetry;
