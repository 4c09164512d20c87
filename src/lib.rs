//! lib
pub mod config;
pub mod exposition;
pub mod series;
pub mod table;
pub mod telemetry;
