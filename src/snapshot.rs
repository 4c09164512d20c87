//! What is published: one immutable [`Snapshot`] at a time, and the one place that swaps it.
//!
//! A snapshot is a list of [`Block`]s, a family's series from one query and workspace. Each is encoded
//! once, when it is first asked for, and shared by all snapshots that hold it: a poll re-encodes only
//! its own blocks, and a page is headers and blocks in order. No clock, no I/O.

mod status;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;
use jiff::Timestamp;

pub use status::{Failure, OwnFamily, POLL_FAMILIES, PollState, PollStatus, Success};

use crate::exposition::text;
use crate::series::{Family, FamilyHeader, MetricName, SeriesList};

/// Which poll: one query asked of one workspace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PollKey {
    pub query: Arc<str>,
    /// The workspace's name, as the label has it.
    pub workspace: Arc<str>,
}

/// A family's series from one query and workspace, and their text once it has been asked for.
#[derive(Debug)]
pub struct Block {
    header: FamilyHeader,
    series: SeriesList,
    at: Timestamp,
    text: OnceLock<Bytes>,
}

impl Block {
    /// `at`: when its values became known here.
    pub fn new(family: Family, at: Timestamp) -> Self {
        Self {
            header: family.header,
            series: family.series,
            at,
            text: OnceLock::new(),
        }
    }

    pub fn header(&self) -> &FamilyHeader {
        &self.header
    }

    pub fn series(&self) -> &SeriesList {
        &self.series
    }

    /// When its values became known here: the answer's arrival, or the poll's last change.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    fn text(&self) -> Bytes {
        self.text
            .get_or_init(|| {
                let mut text = Vec::new();
                text::encode_series(&self.header, &self.series, &mut text);
                text.into()
            })
            .clone()
    }
}

/// Everything that is published at one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    families: BTreeMap<MetricName, BTreeMap<PollKey, Arc<Block>>>,
    polls: BTreeMap<PollKey, Arc<PollStatus>>,
    page: OnceLock<TextPage>,
}

/// A page of text as a list of prepared pieces.
#[derive(Clone, Debug)]
pub struct TextPage {
    pub pieces: Arc<[Bytes]>,
    /// Of all pieces together.
    pub bytes: usize,
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
            .flatten()
            .filter(|(other, _)| other.workspace == key.workspace && other.query != key.query)
            .map(|(_, block)| block.series())
            .collect()
    }

    /// The page in text format 0.0.4: families by name, each with its header once and the blocks of
    /// its polls behind it. A family without series is not on it.
    pub fn page(&self) -> &TextPage {
        self.page.get_or_init(|| {
            let mut pieces = Vec::new();
            for blocks in self.families.values() {
                let mut blocks = blocks.values().filter(|block| !block.series.is_empty());
                let Some(first) = blocks.next() else { continue };
                let mut header = Vec::new();
                text::encode_header(&first.header, &mut header);
                pieces.push(header.into());
                pieces.push(first.text());
                pieces.extend(blocks.map(|block| block.text()));
            }
            TextPage {
                bytes: pieces.iter().map(Bytes::len).sum(),
                pieces: pieces.into(),
            }
        })
    }

    /// This snapshot with everything of `key` replaced.
    fn with(&self, key: &PollKey, contribution: Contribution) -> Self {
        let mut families = self.families.clone();
        for blocks in families.values_mut() {
            blocks.remove(key);
        }
        let own = contribution.status.families(key);
        let own = own
            .into_iter()
            .map(|family| Arc::new(Block::new(family, contribution.at)));
        for block in contribution.blocks.into_iter().chain(own) {
            families
                .entry(block.header.name.clone())
                .or_default()
                .insert(key.clone(), block);
        }
        families.retain(|_, blocks| !blocks.is_empty());
        let mut polls = self.polls.clone();
        polls.insert(key.clone(), Arc::new(contribution.status));
        Self {
            families,
            polls,
            page: OnceLock::new(),
        }
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
}

#[cfg(test)]
mod tests;
