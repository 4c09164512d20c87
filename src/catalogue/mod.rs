//! What to ask: query definitions, from the built-in packs and from the user's folder.
//!
//! A definition is a `.kql` file beside a `.yaml` file of the same name ([`definition`]). Packs are
//! such files, embedded in the binary ([`packs`]); the user's `queries_dir` holds more of them, read
//! by the same code. A user's definition of a pack query's name replaces it. [`check`] judges each
//! query's text against the tables that are known, and all definitions against each other.

mod check;
mod definition;
mod filters;
mod load;
pub mod packs;
mod raw;
mod reference;

use std::sync::Arc;

pub use check::Verdict;
pub use definition::{Counting, QueryDefinition, QueryName, QueryNameError};
pub use reference::KEYS;

use crate::config::Problem;

/// All queries that run, and what was found on the way that does not keep them from running.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// Sorted by name; names are unique.
    pub queries: Vec<Arc<QueryDefinition>>,
    pub warnings: Vec<Problem>,
}

#[cfg(test)]
mod tests;
