//! Families → bytes: pure encoders, one file a format, and pages made of what they wrote.
//!
//! An encoder appends to a buffer, header and series apart, so that a page can have a family's header
//! once before the series of several queries. [`Encoded`] keeps what was written, [`PageBuilder`] puts
//! it in order, [`negotiate`] says who gets which. All of it takes families, never a snapshot.

mod encoded;
mod format;
mod gzip;
mod line;
pub mod negotiate;
mod openmetrics;
pub mod otlp;
mod own;
mod page;
mod protobuf;
mod text;

pub use encoded::Encoded;
pub use format::{Coding, Format, Media};
pub use own::families_of;
pub use page::{Page, PageBuilder, encode_families};
