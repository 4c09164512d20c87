//! The books' file: one embedded transactional store, written by one process at a time.
//!
//! A commit is one transaction, synced to the disk before it returns. A process that was killed leaves
//! the last whole one. Who holds `ledger.lock` may open, repair and rename the file; nobody else
//! touches it. Where another process holds it, the store waits: nothing is read or written until
//! [`Store::retry`] has the lock.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use redb::{
    Database, ReadableDatabase, ReadableTable, TableDefinition, TableHandle, WriteTransaction,
};

use super::book::{Book, Change, Key, Rules};
use super::record;

const FILE: &str = "ledger.redb";
const LOCK: &str = "ledger.lock";

/// A file that is smaller is not worth the work of compacting it.
const WORTH_COMPACTING: u64 = 2 << 20;

/// Enough for a poll's pages; the rest is the operating system's to cache.
const CACHE: usize = 16 << 20;

/// `schema` is what the other tables look like.
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// A book's number, by query and workspace.
const BOOKS: TableDefinition<(&str, &str), u32> = TableDefinition::new("books");
const HEADS: TableDefinition<u32, &[u8]> = TableDefinition::new("heads");
/// By book, bin and label set.
const MARKS: TableDefinition<(u32, i64, &Key), &[u8]> = TableDefinition::new("marks");
/// By book and label set.
const SERIES: TableDefinition<(u32, &Key), &[u8]> = TableDefinition::new("series");

const LOWEST: Key = [0; 16];
const HIGHEST: Key = [0xff; 16];

type Upgrade = fn(&WriteTransaction) -> Result<(), redb::Error>;

/// The first brings a file from schema 1 to 2, and so on. All that a file lacks run in one transaction.
const UPGRADES: &[Upgrade] = &[];

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the state directory {} cannot be used", directory.display())]
    Directory {
        directory: PathBuf,
        source: io::Error,
    },
    #[error("{} is held by another process; a state directory is for one exporter only", path.display())]
    Held { path: PathBuf },
    #[error("{} was written by a newer version of the exporter: its schema is {found}, this version knows up to {known}", path.display())]
    Newer {
        path: PathBuf,
        found: u64,
        known: u64,
    },
    #[error("{} is damaged", path.display())]
    Damaged {
        path: PathBuf,
        source: Box<redb::Error>,
    },
    #[error("{} is not a ledger of the exporter", path.display())]
    Foreign { path: PathBuf },
    #[error("{} cannot be set aside", path.display())]
    Aside { path: PathBuf, source: io::Error },
    #[error("{} cannot be opened", path.display())]
    Open {
        path: PathBuf,
        source: Box<redb::Error>,
    },
    #[error("{} cannot be read", path.display())]
    Read {
        path: PathBuf,
        source: Box<redb::Error>,
    },
    #[error("{} cannot be written", path.display())]
    Write {
        path: PathBuf,
        source: Box<redb::Error>,
    },
    #[error("in {} {what} of query {query} and workspace {workspace} is damaged", path.display())]
    Record {
        path: PathBuf,
        what: &'static str,
        query: String,
        workspace: String,
    },
    #[error("query {query} and workspace {workspace} cannot be written before they have been read from {}", path.display())]
    Unread {
        path: PathBuf,
        query: String,
        workspace: String,
    },
}

/// How the file was found.
pub enum Beginning {
    Opened,
    Created,
    SetAside { aside: PathBuf, error: StoreError },
    Held { error: StoreError },
}

pub struct Store {
    directory: PathBuf,
    path: PathBuf,
    inner: Mutex<Inner>,
}

struct Inner {
    /// `None` after a failure: the store asks to be opened again then.
    database: Option<Database>,
    /// `None` while another process has it. Held as long as the database is; so it stands after it.
    lock: Option<File>,
    /// Books whose last reading failed. What is there must not be overwritten by a new book.
    unread: HashSet<(String, String)>,
}

impl Store {
    pub fn open(directory: &Path) -> Result<(Self, Beginning), StoreError> {
        let path = directory.join(FILE);
        let (database, lock, beginning) = match take(directory, &path) {
            Ok((database, lock, beginning)) => (Some(database), Some(lock), beginning),
            Err(error @ StoreError::Held { .. }) => (None, None, Beginning::Held { error }),
            Err(error) => return Err(error),
        };
        let inner = Mutex::new(Inner {
            database,
            lock,
            unread: HashSet::new(),
        });
        let store = Self {
            directory: directory.to_owned(),
            path,
            inner,
        };
        Ok((store, beginning))
    }

    pub fn is_waiting(&self) -> bool {
        self.inner().lock.is_none()
    }

    /// Opens the file if another process had it before and has left it by now.
    pub fn retry(&self) -> Result<Beginning, StoreError> {
        let mut inner = self.inner();
        if inner.lock.is_some() {
            return Ok(Beginning::Opened);
        }
        let (database, lock, beginning) = take(&self.directory, &self.path)?;
        inner.database = Some(database);
        inner.lock = Some(lock);
        Ok(beginning)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn size(&self) -> Option<u64> {
        Some(std::fs::metadata(&self.path).ok()?.len())
    }

    /// A book as it was committed last, under the rules of then with the bounds of `rules`.
    pub fn book(
        &self,
        query: &str,
        workspace: &str,
        rules: &Rules,
    ) -> Result<Option<Book>, StoreError> {
        let mut inner = self.inner();
        let name = (query.to_owned(), workspace.to_owned());
        let read = match inner.database(&self.path) {
            Ok(database) => {
                read(database, query, workspace, rules).map_err(|source| StoreError::Read {
                    path: self.path.clone(),
                    source: Box::new(source),
                })
            }
            Err(error) => Err(error),
        };
        match read {
            Ok(found) => {
                inner.unread.remove(&name);
                found.map_err(|what| StoreError::Record {
                    path: self.path.clone(),
                    what,
                    query: name.0,
                    workspace: name.1,
                })
            }
            Err(error) => {
                inner.database = None;
                inner.unread.insert(name);
                Err(error)
            }
        }
    }

    pub fn commit(
        &self,
        query: &str,
        workspace: &str,
        book: &Book,
        change: &Change,
    ) -> Result<(), StoreError> {
        let mut inner = self.inner();
        let name = (query.to_owned(), workspace.to_owned());
        if inner.unread.contains(&name) {
            return Err(StoreError::Unread {
                path: self.path.clone(),
                query: name.0,
                workspace: name.1,
            });
        }
        let written = write(inner.database(&self.path)?, query, workspace, book, change);
        written.map_err(|source| {
            // After a failed write the database takes no other until it is opened again.
            inner.database = None;
            StoreError::Write {
                path: self.path.clone(),
                source: Box::new(source),
            }
        })
    }

    /// One call at a time. A call that panicked may have left the database in any state but the file's.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|poisoned| {
            self.inner.clear_poison();
            let mut inner = poisoned.into_inner();
            inner.database = None;
            inner
        })
    }
}

impl Inner {
    fn database(&mut self, path: &Path) -> Result<&Database, StoreError> {
        if self.lock.is_none() {
            let path = path.to_owned();
            return Err(StoreError::Held { path });
        }
        let open = match self.database.take() {
            Some(database) => database,
            None => database(path)?,
        };
        Ok(self.database.insert(open))
    }
}

/// Takes the lock, then the file behind it.
fn take(directory: &Path, path: &Path) -> Result<(Database, File, Beginning), StoreError> {
    let unusable = |source| StoreError::Directory {
        directory: directory.to_owned(),
        source,
    };
    std::fs::create_dir_all(directory).map_err(unusable)?;
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(directory.join(LOCK))
        .map_err(unusable)?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => StoreError::Held {
            path: path.to_owned(),
        },
        TryLockError::Error(source) => unusable(source),
    })?;
    let there = std::fs::metadata(path).is_ok_and(|file| file.len() > 0);
    let (database, beginning) = match database(path) {
        Ok(database) if there => (compacted(path, database)?, Beginning::Opened),
        Ok(database) => (database, Beginning::Created),
        Err(error @ (StoreError::Damaged { .. } | StoreError::Foreign { .. })) => {
            let aside = set_aside(path).map_err(|source| StoreError::Aside {
                path: path.to_owned(),
                source,
            })?;
            (self::database(path)?, Beginning::SetAside { aside, error })
        }
        Err(error) => return Err(error),
    };
    if !matches!(beginning, Beginning::Opened) {
        // The file's name has to be on the disk too.
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(unusable)?;
    }
    Ok((database, lock, beginning))
}

/// After an attack the file is mostly empty. What is free in it is used again, but given back only here.
fn compacted(path: &Path, mut database: Database) -> Result<Database, StoreError> {
    let size = std::fs::metadata(path).map_or(0, |file| file.len());
    if size < WORTH_COMPACTING {
        return Ok(database);
    }
    let used = used(&database).map_err(|error| failed(path, error))?;
    if used.saturating_mul(2) > size {
        return Ok(database);
    }
    match database.compact() {
        Ok(_) => Ok(database),
        // A disk without room, say. The file is as good as before, only not smaller.
        Err(_) => {
            drop(database);
            self::database(path)
        }
    }
}

/// How many bytes of the file's pages hold something.
fn used(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_write()?;
    let stats = transaction.stats()?;
    transaction.abort()?;
    Ok(stats
        .allocated_pages()
        .saturating_mul(stats.page_size() as u64))
}

/// Opens a file and brings it to today's schema. Every page is checked, so that a file that was
/// altered is found out now and not in the midst of a poll.
fn database(path: &Path) -> Result<Database, StoreError> {
    let opened = Database::builder()
        .set_cache_size(CACHE)
        .set_check_integrity_on_open(true)
        .create(path);
    let database = opened.map_err(|error| failed(path, error.into()))?;
    prepare(&database, path, UPGRADES)?;
    Ok(database)
}

fn prepare(database: &Database, path: &Path, upgrades: &[Upgrade]) -> Result<(), StoreError> {
    let failed = |error: redb::Error| failed(path, error);
    let found = schema(database).map_err(failed)?;
    let known = 1 + upgrades.len() as u64;
    let lacking = match found {
        Schema::Empty => &[],
        Schema::Version(found) if found > known => {
            let path = path.to_owned();
            return Err(StoreError::Newer { path, found, known });
        }
        Schema::Version(version) => {
            let done = version.checked_sub(1).map(usize::try_from);
            match done {
                Some(Ok(done)) => upgrades.get(done..).unwrap_or_default(),
                _ => {
                    let path = path.to_owned();
                    return Err(StoreError::Foreign { path });
                }
            }
        }
        Schema::Foreign => {
            let path = path.to_owned();
            return Err(StoreError::Foreign { path });
        }
    };
    let write = || -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        for upgrade in lacking {
            upgrade(&transaction)?;
        }
        transaction.open_table(META)?.insert("schema", known)?;
        transaction.open_table(BOOKS)?;
        transaction.open_table(HEADS)?;
        transaction.open_table(MARKS)?;
        transaction.open_table(SERIES)?;
        transaction.commit()?;
        Ok(())
    };
    write().map_err(failed)
}

enum Schema {
    Empty,
    Version(u64),
    Foreign,
}

fn schema(database: &Database) -> Result<Schema, redb::Error> {
    let transaction = database.begin_read()?;
    let tables: Vec<String> = transaction
        .list_tables()?
        .map(|table| table.name().to_owned())
        .collect();
    if tables.is_empty() {
        return Ok(Schema::Empty);
    }
    if !tables.iter().any(|table| table == META.name()) {
        return Ok(Schema::Foreign);
    }
    let schema = transaction.open_table(META)?.get("schema")?;
    Ok(schema.map_or(Schema::Foreign, |schema| Schema::Version(schema.value())))
}

/// What an error of opening says of the file: that it is damaged or another's, or that it is the
/// disk's or the system's fault.
fn failed(path: &Path, error: redb::Error) -> StoreError {
    let path = path.to_owned();
    match error {
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
            StoreError::Held { path }
        }
        redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TypeDefinitionChanged { .. } => StoreError::Foreign { path },
        redb::Error::Io(ref cause) if is_of_content(cause) => StoreError::Damaged {
            path,
            source: Box::new(error),
        },
        redb::Error::Corrupted(_) => StoreError::Damaged {
            path,
            source: Box::new(error),
        },
        error => StoreError::Open {
            path,
            source: Box::new(error),
        },
    }
}

fn is_of_content(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}

/// Renames the file to the first free name; the lock keeps others from taking it in between.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mut number = 1u64;
    loop {
        let aside = path.with_file_name(format!("{FILE}.damaged-{number}"));
        if !aside.try_exists()? {
            std::fs::rename(path, &aside)?;
            return Ok(aside);
        }
        number += 1;
    }
}

/// The inner error says which record cannot be what was written.
type Found = Result<Option<Book>, &'static str>;

fn read(
    database: &Database,
    query: &str,
    workspace: &str,
    rules: &Rules,
) -> Result<Found, redb::Error> {
    let transaction = database.begin_read()?;
    let Some(id) = transaction.open_table(BOOKS)?.get((query, workspace))? else {
        return Ok(Ok(None));
    };
    let id = id.value();
    let head = transaction.open_table(HEADS)?.get(id)?;
    let head = head.and_then(|head| record::read_head(head.value(), rules));
    let Some((rules, state)) = head else {
        return Ok(Err("the head"));
    };

    let mut marks: BTreeMap<_, HashMap<_, _>> = BTreeMap::new();
    let table = transaction.open_table(MARKS)?;
    for mark in table.range((id, i64::MIN, &LOWEST)..=(id, i64::MAX, &HIGHEST))? {
        let (at, values) = mark?;
        let (_, bin, key) = at.value();
        let Some(values) = record::read_mark(values.value(), &rules) else {
            return Ok(Err("a mark"));
        };
        marks.entry(bin).or_default().insert(*key, values);
    }
    let mut series = HashMap::new();
    let table = transaction.open_table(SERIES)?;
    for one in table.range((id, &LOWEST)..=(id, &HIGHEST))? {
        let (at, one) = one?;
        let Some(one) = record::read_series(one.value(), &rules) else {
            return Ok(Err("a series"));
        };
        series.insert(*at.value().1, one);
    }
    Ok(Ok(Some(Book::restored(rules, state, marks, series))))
}

fn write(
    database: &Database,
    query: &str,
    workspace: &str,
    book: &Book,
    change: &Change,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut books = transaction.open_table(BOOKS)?;
        let mut heads = transaction.open_table(HEADS)?;
        let known = books.get((query, workspace))?.map(|id| id.value());
        let id = match known {
            Some(id) => id,
            None => {
                let last = heads.last()?.map(|(id, _)| id.value());
                let id = last.map_or(0, |last| last.saturating_add(1));
                books.insert((query, workspace), id)?;
                id
            }
        };
        // Records of other rules have other widths: nothing of theirs may stay.
        let same = heads.get(id)?.is_some_and(|head| {
            record::read_head(head.value(), book.rules())
                .is_some_and(|(rules, _)| rules == *book.rules())
        });
        let everything = change.everything || !same || book.covered_until().is_none();
        heads.insert(id, record::head(&book.rules, &book.state).as_slice())?;
        write_marks(&transaction, id, book, change, everything)?;
        write_series(&transaction, id, book, change, everything)?;
    }
    transaction.commit()?;
    Ok(())
}

/// In the table's order, which costs a fraction of a random one.
fn write_marks(
    transaction: &WriteTransaction,
    id: u32,
    book: &Book,
    change: &Change,
    everything: bool,
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(MARKS)?;
    let gone = if everything {
        Some(i64::MAX)
    } else {
        change.forgotten_before
    };
    if let Some(before) = gone {
        let range = (id, i64::MIN, &LOWEST)..(id, before, &LOWEST);
        table.retain_in(range, |_, _| false)?;
    }
    let mut lifted: Vec<(i64, Key)> = if everything {
        let bins = book.marks.iter();
        bins.flat_map(|(bin, marks)| marks.keys().map(|key| (*bin, *key)))
            .collect()
    } else {
        change.marks.clone()
    };
    lifted.sort_unstable();
    lifted.dedup();
    for (bin, key) in &lifted {
        // One that was lifted and forgotten at once is not there any more.
        if let Some(values) = book.marks.get(bin).and_then(|marks| marks.get(key)) {
            table.insert((id, *bin, key), record::mark(values).as_slice())?;
        }
    }
    Ok(())
}

fn write_series(
    transaction: &WriteTransaction,
    id: u32,
    book: &Book,
    change: &Change,
    everything: bool,
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(SERIES)?;
    let mut changed: Vec<&Key> = if everything {
        table.retain_in((id, &LOWEST)..=(id, &HIGHEST), |_, _| false)?;
        book.series.keys().collect()
    } else {
        change.series.iter().chain(&change.removed).collect()
    };
    changed.sort_unstable();
    changed.dedup();
    for key in changed {
        match book.series.get(key) {
            Some(series) => table.insert((id, key), record::series(series).as_slice())?,
            None => table.remove((id, key))?,
        };
    }
    Ok(())
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
