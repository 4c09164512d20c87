//! Families → bytes: pure encoders, one file a format.
//!
//! An encoder appends to a buffer, header and series apart, so that the snapshot can keep a family's
//! series from each query encoded and put the header before them once. It takes families, never a
//! snapshot.

pub mod otlp;
mod own;
pub mod text;

pub use own::families_of;
