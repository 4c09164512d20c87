//! Counters that are exact: bins of an answer become totals that only grow.
//!
//! A query returns its rows by bin (a minute of arrival) and label set, over a window that reaches back
//! further than the last answer did. The [`Book`] remembers the highest value that each bin and label
//! set had, and adds what a bin has grown by, once, however often its window is asked for. It is pure:
//! no clock, no I/O. Time is the service's own: the `Date` of its answers and the bins themselves.
//! What an answer changed comes as a [`Change`]. The [`Ledger`] writes that to a file before anything
//! of it is published, so that a published total never goes back; without a directory for its state it
//! keeps nothing.

mod book;
mod record;
mod store;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use book::{Absorbed, Book, Change, Entry, Gap, Key, MINUTE, Micros, Published, Rules, Window};
pub use store::StoreError;
use store::{Beginning, Store};

/// All books' state. Cheap to clone; clones share it. Calls block on the disk.
#[derive(Clone)]
pub struct Ledger(Option<Arc<Store>>);

/// How a ledger's file was found.
#[derive(Debug)]
pub enum Opening {
    Opened,
    Created,
    /// What was there cannot be read as a ledger. It was renamed to `aside`, and an empty one made.
    SetAside {
        aside: PathBuf,
        error: StoreError,
    },
    /// Another process has the file. Nothing can be read or written until [`Ledger::retry`] has it.
    Held {
        error: StoreError,
    },
    /// The file cannot be used and was left as it is; the ledger is in memory.
    InMemory {
        error: StoreError,
    },
}

impl Ledger {
    /// A ledger that keeps nothing: a commit does nothing, each book is a new one.
    pub fn in_memory() -> Self {
        Self(None)
    }

    /// Opens `directory`/ledger.redb, made if it is not there. Never fails: what went wrong is in
    /// [`Opening`].
    pub fn open(directory: &Path) -> (Self, Opening) {
        match Store::open(directory) {
            Ok((store, beginning)) => (Self(Some(Arc::new(store))), beginning.into()),
            Err(error) => (Self::in_memory(), Opening::InMemory { error }),
        }
    }

    /// Whether another process has had the file until now.
    pub fn is_waiting(&self) -> bool {
        self.0.as_ref().is_some_and(|store| store.is_waiting())
    }

    /// Opens the file that another process had.
    ///
    /// # Errors
    /// If it has it still, or the file cannot be used; the ledger goes on waiting.
    pub fn retry(&self) -> Result<Opening, StoreError> {
        match &self.0 {
            Some(store) => store.retry().map(Opening::from),
            None => Ok(Opening::Opened),
        }
    }

    /// The book of a query (its definition's name) and a workspace (its GUID or ARM id), as it was committed
    /// last, under these rules; new if there is none.
    ///
    /// With an error it is new too: its records are damaged, and the next commit writes them anew, or
    /// the file cannot be read now, and its commits fail until `book` has read it. So a total that
    /// could not be read is never overwritten.
    pub fn book(&self, query: &str, workspace: &str, rules: Rules) -> (Book, Option<StoreError>) {
        match &self.0 {
            Some(store) => match store.book(query, workspace, &rules) {
                Ok(Some(book)) => (book.under(rules), None),
                Ok(None) => (Book::new(rules), None),
                Err(error) => (Book::new(rules), Some(error)),
            },
            None => (Book::new(rules), None),
        }
    }

    /// Writes what changed, and the disk has it when this returns.
    ///
    /// # Errors
    ///
    /// Nothing is written. Drop the book, take it again by [`Ledger::book`], and publish nothing of
    /// what was absorbed since.
    pub fn commit(
        &self,
        query: &str,
        workspace: &str,
        book: &Book,
        change: &Change,
    ) -> Result<(), StoreError> {
        match &self.0 {
            Some(store) => store.commit(query, workspace, book, change),
            None => Ok(()),
        }
    }

    /// Whether commits, once they succeed, outlive the process.
    pub fn is_persistent(&self) -> bool {
        self.0.is_some()
    }

    /// The file's size in bytes.
    pub fn size(&self) -> Option<u64> {
        self.0.as_ref()?.size()
    }
}

impl From<Beginning> for Opening {
    fn from(beginning: Beginning) -> Self {
        match beginning {
            Beginning::Opened => Self::Opened,
            Beginning::Created => Self::Created,
            Beginning::SetAside { aside, error } => Self::SetAside { aside, error },
            Beginning::Held { error } => Self::Held { error },
        }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(store) => write!(f, "Ledger({})", store.path().display()),
            None => f.write_str("Ledger(in memory)"),
        }
    }
}
