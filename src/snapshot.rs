//! What is published: one immutable [`Snapshot`] at a time, and the one place that swaps it.
//!
//! A snapshot is a list of [`Block`]s, a family's series from one query and workspace. Each is encoded
//! once, when it is first asked for, and shared by all snapshots that hold it: a poll re-encodes only
//! its own blocks, and a page is headers and blocks in order. No clock, no I/O.

mod status;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rpds::RedBlackTreeMapSync;

pub use status::{Failure, LedgerStatus, OwnFamily, POLL_FAMILIES, PollState, PollStatus, Success};

use crate::exposition::{Coding, Encoded, Format, Media, Page, PageBuilder};
use crate::series::{Family, FamilyHeader, MetricName, SeriesList};

/// Which poll: one query asked of one workspace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PollKey {
    pub query: Arc<str>,
    /// The workspace's name, as the label has it.
    pub workspace: Arc<str>,
}

/// A family's series from one query and workspace, and their bytes once they have been asked for.
#[derive(Debug)]
pub struct Block {
    encoded: Encoded,
    at: Timestamp,
}

impl Block {
    /// `at`: when its values became known here.
    pub fn new(family: Family, at: Timestamp) -> Self {
        Self {
            encoded: Encoded::new(family),
            at,
        }
    }

    pub fn header(&self) -> &FamilyHeader {
        self.encoded.header()
    }

    pub fn series(&self) -> &SeriesList {
        self.encoded.series()
    }

    /// When its values became known here: the answer's arrival, or the poll's last change.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Bytes of pages that it keeps, over all formats.
    pub fn bytes_kept(&self) -> usize {
        self.encoded.bytes_kept()
    }
}

/// A sorted map whose copies share what they have in common: with thousands of polls, a publication
/// copies the few nodes on the way to its own entries.
type Shared<K, V> = RedBlackTreeMapSync<K, V>;

/// Everything that is published at one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    families: Shared<MetricName, Shared<PollKey, Arc<Block>>>,
    polls: Shared<PollKey, Arc<PollStatus>>,
    pages: [[OnceLock<Page>; Coding::ALL.len()]; Format::ALL.len()],
}

/// All that one poll contributes to a snapshot.
pub struct Contribution {
    /// The workspace's data; the families of the poll itself are made from the status.
    pub blocks: Vec<Arc<Block>>,
    pub status: PollStatus,
    /// When this is published.
    pub at: Timestamp,
}

impl Snapshot {
    /// The polls and how they stand, by query and workspace.
    pub fn polls(&self) -> impl Iterator<Item = (&PollKey, &PollStatus)> {
        self.polls.iter().map(|(key, status)| (key, &**status))
    }

    /// The families by name, each as its blocks by query and workspace. A block may have no series.
    pub fn families(&self) -> impl Iterator<Item = impl Iterator<Item = (&PollKey, &Block)>> {
        self.families
            .values()
            .map(|blocks| blocks.iter().map(|(key, block)| (key, &**block)))
    }

    /// The series of this family that other queries have from the same workspace.
    pub fn rivals(&self, key: &PollKey, family: &MetricName) -> Vec<&SeriesList> {
        self.families
            .get(family)
            .into_iter()
            .flat_map(Shared::iter)
            .filter(|(other, _)| other.workspace == key.workspace && other.query != key.query)
            .map(|(_, block)| block.series())
            .collect()
    }

    /// The page but for its end: families by name, each with its header once and the blocks of its
    /// polls behind it. A family without series is not on it. The first call for a media does the work,
    /// others that come meanwhile wait for it.
    pub fn page(&self, media: Media) -> &Page {
        self.slot(media).get_or_init(|| {
            let mut page = PageBuilder::new(media);
            for blocks in self.families.values() {
                page.family(blocks.values().map(|block| &block.encoded));
            }
            page.build()
        })
    }

    /// The page, if it has been made.
    pub fn ready_page(&self, media: Media) -> Option<&Page> {
        self.slot(media).get()
    }

    fn slot(&self, media: Media) -> &OnceLock<Page> {
        &self.pages[media.format as usize][media.coding as usize]
    }

    /// This snapshot with everything of `key` replaced.
    fn with(&self, key: &PollKey, contribution: Contribution) -> Self {
        let mut families = self.families_without(key);
        let own = contribution.status.families(key);
        let own = own
            .into_iter()
            .map(|family| Arc::new(Block::new(family, contribution.at)));
        for block in contribution.blocks.into_iter().chain(own) {
            let name = block.header().name.clone();
            let blocks = families.get(&name).cloned().unwrap_or_default();
            families.insert_mut(name, blocks.insert(key.clone(), block));
        }
        Self {
            families,
            polls: self
                .polls
                .insert(key.clone(), Arc::new(contribution.status)),
            pages: Default::default(),
        }
    }

    /// This snapshot without anything of `key`.
    fn without(&self, key: &PollKey) -> Self {
        Self {
            families: self.families_without(key),
            polls: self.polls.remove(key),
            pages: Default::default(),
        }
    }

    fn families_without(&self, key: &PollKey) -> Shared<MetricName, Shared<PollKey, Arc<Block>>> {
        let mut families = self.families.clone();
        for (name, blocks) in &self.families {
            let mut rest = blocks.clone();
            if !rest.remove_mut(key) {
                continue;
            }
            if rest.is_empty() {
                families.remove_mut(name);
            } else {
                families.insert_mut(name.clone(), rest);
            }
        }
        families
    }
}

/// Holds the snapshot that is published now. Readers never wait; writers take turns.
#[derive(Debug, Default)]
pub struct SnapshotStore {
    current: ArcSwap<Snapshot>,
    writer: Mutex<()>,
}

impl SnapshotStore {
    pub fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Replaces everything of `key` with what `make` says, given the snapshot that is being replaced.
    /// No other publication comes between.
    pub fn publish(&self, key: &PollKey, make: impl FnOnce(&Snapshot) -> Contribution) {
        // The lock guards no data, so a panic under it has left nothing half done.
        let _turn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.current.load_full();
        let contribution = make(&before);
        self.current.store(Arc::new(before.with(key, contribution)));
    }

    /// Takes everything of `key` out.
    pub fn remove(&self, key: &PollKey) {
        let _turn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.current.load_full();
        self.current.store(Arc::new(before.without(key)));
    }
}

#[cfg(test)]
mod tests;
