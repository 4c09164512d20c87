use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use proptest::prelude::*;
use redb::backends::InMemoryBackend;
use redb::{ReadableTableMetadata, StorageBackend};

use super::super::book::tests::{DAY, Row, Step, T0, answer, entry, key, rows, rules};
use super::super::book::tests::{steps, totals};
use super::super::book::{Entry, MINUTE, Micros, Window};
use super::super::{Ledger, Opening};
use super::*;

const QUERY: &str = "threats";
const WORKSPACE: &str = "00000000-0000-0000-0000-000000000001";

fn opened(directory: &Path) -> Ledger {
    let (ledger, opening) = Ledger::open(directory);
    assert!(
        matches!(opening, Opening::Opened | Opening::Created),
        "{opening:?}"
    );
    ledger
}

fn taken(ledger: &Ledger, rules: Rules) -> Book {
    let (book, error) = ledger.book(QUERY, WORKSPACE, rules);
    assert!(error.is_none(), "{error:?}");
    book
}

/// Asks once, answers `entries` at `served`, and commits.
fn poll(ledger: &Ledger, book: &mut Book, entries: Vec<Entry>, served: Micros) {
    let (_, change) = book.absorb(book.question(book.slice()), entries, served, true);
    ledger.commit(QUERY, WORKSPACE, book, &change).unwrap();
}

/// A book of a total of 5 in one series, and 2 in the overflow.
fn counted(ledger: &Ledger) -> Book {
    let mut book = taken(ledger, rules(1));
    poll(ledger, &mut book, vec![], T0);
    let rows = vec![entry(T0, 1, 5.0), entry(T0, 2, 2.0)];
    poll(ledger, &mut book, rows, T0 + MINUTE);
    poll(ledger, &mut book, vec![], T0 + 2 * MINUTE);
    assert_eq!(
        totals(&book),
        [("1".into(), 5.0), ("overflow".into(), 2.0)].into()
    );
    book
}

/// All that a book has for others to see; in what order it was put together is not.
fn assert_same(left: &Book, right: &Book) {
    assert_eq!(left.rules, right.rules);
    assert_eq!(left.state, right.state);
    assert_eq!(left.marks, right.marks);
    assert_eq!(left.series, right.series);
}

fn store(ledger: &Ledger) -> &Store {
    ledger.0.as_ref().unwrap()
}

/// How many marks and series the file has.
fn records(ledger: &Ledger) -> (u64, u64) {
    let mut inner = store(ledger).inner();
    let database = inner.database(store(ledger).path()).unwrap();
    let transaction = database.begin_read().unwrap();
    let marks = transaction.open_table(MARKS).unwrap().len().unwrap();
    (
        marks,
        transaction.open_table(SERIES).unwrap().len().unwrap(),
    )
}

fn message(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[test]
fn a_book_is_as_it_was_committed_when_the_file_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("made").join("below");
    let (ledger, opening) = Ledger::open(&state);
    assert!(matches!(opening, Opening::Created), "{opening:?}");
    let book = counted(&ledger);
    assert!(ledger.is_persistent());
    assert_eq!(
        ledger.size(),
        Some(state.join(FILE).metadata().unwrap().len())
    );
    drop(ledger);
    let (ledger, opening) = Ledger::open(&state);
    assert!(matches!(opening, Opening::Opened), "{opening:?}");
    assert_same(&taken(&ledger, rules(1)), &book);
    assert_eq!(
        format!("{ledger:?}"),
        format!("Ledger({})", state.join(FILE).display())
    );
}

#[test]
fn a_ledger_in_memory_keeps_nothing() {
    let ledger = Ledger::in_memory();
    counted(&ledger);
    assert_eq!(taken(&ledger, rules(1)), Book::new(rules(1)));
    assert_eq!((ledger.is_persistent(), ledger.size()), (false, None));
    assert_eq!(format!("{ledger:?}"), "Ledger(in memory)");
}

#[test]
fn each_query_and_workspace_has_a_book_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = opened(directory.path());
    let book = counted(&ledger);
    for (query, workspace) in [(QUERY, "other"), ("other", WORKSPACE)] {
        let mut other = ledger.book(query, workspace, rules(1)).0;
        assert_eq!(other, Book::new(rules(1)));
        // A baseline writes everything, and so takes away what was there.
        let (_, change) = other.absorb(
            other.question(MINUTE),
            vec![entry(T0, 1, 9.0)],
            T0 + MINUTE,
            true,
        );
        ledger.commit(query, workspace, &other, &change).unwrap();
        assert_same(&ledger.book(query, workspace, rules(1)).0, &other);
    }
    assert_same(&taken(&ledger, rules(1)), &book);
}

#[test]
fn other_rules_keep_the_totals_and_none_of_the_old_records() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = opened(directory.path());
    counted(&ledger);
    assert_eq!(records(&ledger), (2, 1));
    let mut other = rules(1);
    other.fingerprint = 2;
    other.metrics.insert(0, "y_total".into());
    let mut book = taken(&ledger, other.clone());
    assert_eq!(book.counted(), [0.0, 7.0]);
    poll(&ledger, &mut book, vec![], T0 + 3 * MINUTE);
    assert_same(&taken(&ledger, other.clone()), &book);
    assert_eq!(records(&ledger), (0, 1));
    other.labels = vec!["vm".into()];
    let mut book = taken(&ledger, other.clone());
    poll(&ledger, &mut book, vec![], T0 + 4 * MINUTE);
    assert_same(&taken(&ledger, other), &book);
    assert_eq!(records(&ledger), (0, 0));
}

#[test]
fn a_second_opener_waits_and_goes_on_where_the_first_has_ended() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    let first = opened(directory.path());
    let mut book = counted(&first);
    let (second, opening) = Ledger::open(directory.path());
    let Opening::Held { error } = opening else {
        panic!("{opening:?}")
    };
    let held = format!(
        "{} is held by another process; a state directory is for one exporter only",
        path.display()
    );
    assert_eq!(error.to_string(), held);
    let (mut new, error) = second.book(QUERY, WORKSPACE, rules(1));
    assert_eq!(error.unwrap().to_string(), held);
    assert_eq!(second.retry().unwrap_err().to_string(), held);
    poll(&first, &mut book, vec![], T0 + 3 * MINUTE);
    drop(first);
    assert!(second.is_waiting());
    assert!(matches!(second.retry(), Ok(Opening::Opened)));
    assert!(!second.is_waiting());
    // What counted in the meantime knows nothing of the first one's totals.
    let (_, change) = new.absorb(new.question(MINUTE), vec![], T0, true);
    let error = second.commit(QUERY, WORKSPACE, &new, &change).unwrap_err();
    assert!(matches!(error, StoreError::Unread { .. }), "{error}");
    assert_same(&taken(&second, rules(1)), &book);
    let (_, opening) = Ledger::open(directory.path());
    assert!(matches!(opening, Opening::Held { .. }), "{opening:?}");
}

#[test]
fn a_damaged_or_foreign_file_is_set_aside_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    drop(counted(&opened(directory.path())));
    let whole = std::fs::read(&path).unwrap();
    let foreign = directory.path().join("foreign");
    let another: TableDefinition<&str, &str> = TableDefinition::new("another");
    let database = Database::create(&foreign).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(another).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let damaged = format!("{} is damaged: ", path.display());
    let not_ours = format!("{} is not a ledger of the exporter", path.display());
    let cases: [(&str, Vec<u8>); 6] = [
        (&damaged, b"# Notes\n".repeat(1000)),
        (&damaged, b"red".to_vec()),
        (&damaged, whole[..100].to_vec()),
        (&damaged, whole[..whole.len() / 2].to_vec()),
        (&damaged, [&whole[..9], &[0xa5; 5000][..]].concat()),
        (&not_ours, std::fs::read(&foreign).unwrap()),
    ];
    for (at, (expected, content)) in cases.into_iter().enumerate() {
        std::fs::write(&path, &content).unwrap();
        let (ledger, opening) = Ledger::open(directory.path());
        let Opening::SetAside { aside, error } = opening else {
            panic!("{at}: {opening:?}")
        };
        assert_eq!(
            aside,
            directory.path().join(format!("{FILE}.damaged-{}", at + 1))
        );
        if expected == damaged {
            assert!(std::fs::read(&aside).unwrap() == content, "{at}");
        } else {
            // redb's own check writes into what is redb's; the tables stay.
            let database = Database::open(&aside).unwrap();
            let transaction = database.begin_read().unwrap();
            transaction.open_table(another).unwrap();
        }
        let error = message(&error);
        assert!(error.starts_with(expected), "{at}: {error}");
        counted(&ledger);
    }
}

/// Whichever byte of a file is altered, what is read is what was written, or the file is set aside.
#[test]
fn an_altered_byte_never_becomes_another_total() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    let book = counted(&opened(directory.path()));
    let whole = std::fs::read(&path).unwrap();
    let used: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    let mut aside = 0;
    for at in used.iter().step_by(used.len().div_ceil(60)) {
        let mut content = whole.clone();
        content[*at] ^= 0x55;
        std::fs::write(&path, &content).unwrap();
        match Ledger::open(directory.path()) {
            (_, Opening::SetAside { .. }) => aside += 1,
            (ledger, Opening::Opened) => {
                let (found, _) = ledger.book(QUERY, WORKSPACE, rules(1));
                assert!(found.counted() <= book.counted(), "byte {at}");
            }
            (_, opening) => panic!("byte {at}: {opening:?}"),
        }
    }
    assert!(aside > 0);
}

#[test]
fn a_newer_schema_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    drop(counted(&opened(directory.path())));
    let database = Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut meta = transaction.open_table(META).unwrap();
    meta.insert("schema", 7).unwrap();
    drop(meta);
    transaction.commit().unwrap();
    drop(database);
    let (ledger, opening) = Ledger::open(directory.path());
    let Opening::InMemory { error } = opening else {
        panic!("{opening:?}")
    };
    assert_eq!(
        error.to_string(),
        format!(
            "{} was written by a newer version of the exporter: its schema is 7, this version knows up to 1",
            path.display()
        )
    );
    assert!(!ledger.is_persistent());
    let names: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "the file and its lock: {names:?}");
}

#[test]
fn upgrades_run_once_and_in_order() {
    let marked: TableDefinition<&str, &str> = TableDefinition::new("marked");
    let path = Path::new("x");
    let database = Database::builder()
        .create_with_backend(InMemoryBackend::new())
        .unwrap();
    prepare(&database, path, UPGRADES).unwrap();
    let first: Upgrade = |transaction| {
        let marked: TableDefinition<&str, &str> = TableDefinition::new("marked");
        transaction.open_table(marked)?.insert("step", "first")?;
        Ok(())
    };
    let second: Upgrade = |transaction| {
        let marked: TableDefinition<&str, &str> = TableDefinition::new("marked");
        let mut table = transaction.open_table(marked)?;
        let before = table.get("step")?.map(|step| step.value().to_owned());
        table.insert("step", format!("{} second", before.unwrap()).as_str())?;
        Ok(())
    };
    for _ in 0..2 {
        prepare(&database, path, &[first, second]).unwrap();
        let transaction = database.begin_read().unwrap();
        let table = transaction.open_table(marked).unwrap();
        assert_eq!(table.get("step").unwrap().unwrap().value(), "first second");
    }
    let error = prepare(&database, path, UPGRADES).unwrap_err();
    assert!(
        matches!(error, StoreError::Newer { found: 3, .. }),
        "{error}"
    );
}

#[test]
fn a_directory_that_cannot_be_made_leaves_the_ledger_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let state = file.join("state");
    let (ledger, opening) = Ledger::open(&state);
    let Opening::InMemory { error } = opening else {
        panic!("{opening:?}")
    };
    assert_eq!(
        message(&error),
        format!(
            "the state directory {} cannot be used: Not a directory (os error 20)",
            state.display()
        )
    );
    assert!(!ledger.is_persistent());
}

#[test]
fn a_damaged_record_gives_a_new_book_that_is_written_anew() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = opened(directory.path());
    for what in ["the head", "a mark", "a series"] {
        counted(&ledger);
        {
            let mut inner = store(&ledger).inner();
            let database = inner.database(store(&ledger).path()).unwrap();
            let transaction = database.begin_write().unwrap();
            let bytes: &[u8] = b"xyz";
            match what {
                "the head" => drop(transaction.open_table(HEADS).unwrap().insert(0, bytes)),
                "a mark" => drop(
                    transaction
                        .open_table(MARKS)
                        .unwrap()
                        .insert((0, T0, &key(1)), bytes),
                ),
                _ => drop(
                    transaction
                        .open_table(SERIES)
                        .unwrap()
                        .insert((0, &key(9)), bytes),
                ),
            }
            transaction.commit().unwrap();
        }
        let (found, error) = ledger.book(QUERY, WORKSPACE, rules(1));
        assert_eq!(found, Book::new(rules(1)));
        assert_eq!(
            error.unwrap().to_string(),
            format!(
                "in {} {what} of query {QUERY} and workspace {WORKSPACE} is damaged",
                directory.path().join(FILE).display()
            )
        );
        let mut book = found;
        poll(&ledger, &mut book, vec![], T0);
        assert_same(&taken(&ledger, rules(1)), &book);
        assert_eq!(records(&ledger), (0, 0));
        // For the next round.
        let mut inner = store(&ledger).inner();
        let database = inner.database(store(&ledger).path()).unwrap();
        let transaction = database.begin_write().unwrap();
        let mut books = transaction.open_table(BOOKS).unwrap();
        books.remove((QUERY, WORKSPACE)).unwrap();
        drop(books);
        let mut heads = transaction.open_table(HEADS).unwrap();
        heads.remove(0).unwrap();
        drop(heads);
        transaction.commit().unwrap();
    }
}

#[test]
fn totals_that_could_not_be_read_are_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let (path, away) = (directory.path().join(FILE), directory.path().join("away"));
    let ledger = opened(directory.path());
    let book = counted(&ledger);
    // As after a failed write, with the disk still gone.
    store(&ledger).inner().database = None;
    std::fs::rename(&path, &away).unwrap();
    std::fs::create_dir(&path).unwrap();
    let (mut new, error) = ledger.book(QUERY, WORKSPACE, rules(1));
    assert_eq!(
        error.unwrap().to_string(),
        format!("{} cannot be opened", path.display())
    );
    let (_, change) = new.absorb(new.question(MINUTE), vec![], T0, true);
    std::fs::remove_dir(&path).unwrap();
    std::fs::rename(&away, &path).unwrap();
    let error = ledger.commit(QUERY, WORKSPACE, &new, &change).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "query {QUERY} and workspace {WORKSPACE} cannot be written before they have been read from {}",
            path.display()
        )
    );
    let mut found = taken(&ledger, rules(1));
    assert_same(&found, &book);
    poll(&ledger, &mut found, vec![], T0 + 3 * MINUTE);
}

#[test]
fn forgotten_marks_leave_the_file_and_their_room_is_used_again() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = opened(directory.path());
    let mut book = taken(&ledger, rules(10));
    poll(&ledger, &mut book, vec![], T0);
    let mut sizes = Vec::new();
    for hour in 1..=24 {
        let served = T0 + hour * 60 * MINUTE;
        let row = |number: u32| {
            let mut entry = entry(served - MINUTE, 0, 1.0);
            entry.key[..4].copy_from_slice(&number.to_le_bytes());
            entry
        };
        poll(&ledger, &mut book, (0..2000).map(row).collect(), served);
        let marks: usize = book.marks.values().map(HashMap::len).sum();
        assert_eq!(records(&ledger).0, marks as u64);
        assert!(marks <= 2 * 2000);
        sizes.push(ledger.size().unwrap());
    }
    assert_eq!(book.counted(), [24.0 * 2000.0]);
    assert_eq!(sizes[11], sizes[23], "{sizes:?}");
}

#[test]
fn a_file_that_is_mostly_empty_is_smaller_after_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = opened(directory.path());
    let mut book = taken(&ledger, rules(1));
    poll(&ledger, &mut book, vec![], T0);
    let attack = (0..60_000u32).map(|number| {
        let mut entry = entry(T0, 0, 1.0);
        entry.key[..4].copy_from_slice(&number.to_be_bytes());
        entry
    });
    poll(&ledger, &mut book, attack.collect(), T0 + MINUTE);
    let full = ledger.size().unwrap();
    assert!(full > WORTH_COMPACTING, "{full}");
    for hour in 1..4 {
        poll(&ledger, &mut book, vec![], T0 + hour * 60 * MINUTE);
    }
    assert_eq!(records(&ledger).0, 0);
    drop(ledger);
    let ledger = opened(directory.path());
    let compact = ledger.size().unwrap();
    assert!(compact < full / 4, "{full}, then {compact}");
    assert_same(&taken(&ledger, rules(1)), &book);
}

/// A disk in memory that stays when the database goes, and takes so many writes until it fails.
#[derive(Clone, Debug)]
struct Disk(Arc<(InMemoryBackend, AtomicI64)>);

impl Disk {
    fn new() -> Self {
        Self(Arc::new((InMemoryBackend::new(), AtomicI64::new(i64::MAX))))
    }

    /// What a process that is killed leaves.
    fn copied(&self) -> Self {
        let copy = Self::new();
        let mut bytes = vec![0; usize::try_from(self.0.0.len().unwrap()).unwrap()];
        self.0.0.read(0, &mut bytes).unwrap();
        copy.0.0.set_len(bytes.len() as u64).unwrap();
        copy.0.0.write(0, &bytes).unwrap();
        copy
    }

    fn takes(&self, writes: i64) {
        self.0.1.store(writes, Ordering::Relaxed);
    }

    fn write_one(&self) -> io::Result<()> {
        if self.0.1.fetch_sub(1, Ordering::Relaxed) > 0 {
            Ok(())
        } else {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    fn ledger(&self) -> Ledger {
        let database = Database::builder()
            .create_with_backend(self.clone())
            .unwrap();
        let path = PathBuf::from("memory");
        prepare(&database, &path, UPGRADES).unwrap();
        let inner = Mutex::new(Inner {
            database: Some(database),
            lock: Some(tempfile::tempfile().unwrap()),
            unread: HashSet::new(),
        });
        let directory = PathBuf::new();
        Ledger(Some(Arc::new(Store {
            directory,
            path,
            inner,
        })))
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.0.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.write_one()?;
        self.0.0.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.write_one()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.write_one()?;
        self.0.0.write(offset, data)
    }
}

/// What happens next.
#[derive(Clone, Debug)]
enum Happens {
    Step(Step),
    Restart,
    Kill,
    /// The disk takes so many more writes in the next poll.
    Full(i64),
}

fn happenings() -> impl Strategy<Value = Vec<Happens>> {
    let between = prop_oneof![
        4 => Just(None),
        1 => Just(Some(Happens::Restart)),
        1 => Just(Some(Happens::Kill)),
        1 => (0i64..40).prop_map(|writes| Some(Happens::Full(writes))),
    ];
    (steps(), prop::collection::vec(between, 40)).prop_map(|(steps, between)| {
        let steps = steps.into_iter().map(Happens::Step);
        let both = steps.zip(between);
        both.flat_map(|(step, between)| [Some(step), between].into_iter().flatten())
            .collect()
    })
}

/// Asks window after window until nothing is left, and commits each answer. What was not committed is
/// dropped, as a poll does.
fn catch_up(
    ledger: &Ledger,
    book: &mut Book,
    rows: &[Row],
    now: Micros,
    width: Micros,
) -> Result<(), StoreError> {
    let mut window = book.question(width);
    let mut release = true;
    loop {
        let mut next = book.clone();
        let (absorbed, change) = next.absorb(window, answer(rows, window, now), now, release);
        ledger.commit(QUERY, WORKSPACE, &next, &change)?;
        *book = next;
        release = false;
        match window {
            Window::Bins { until, .. } if absorbed.behind => {
                let width = width.max(MINUTE);
                window = Window::Bins {
                    from: until,
                    until: until + width - width % MINUTE,
                };
            }
            _ => return Ok(()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn whatever_happens_to_process_and_disk_each_row_is_counted_once(
        rows in rows(), happenings in happenings(), max_series in 1usize..8
    ) {
        // As for the book alone.
        let long = Rules { catch_up: 365 * DAY, expire_after: 365 * DAY, ..rules(max_series) };
        let mut disk = Disk::new();
        let mut ledger = disk.ledger();
        let mut book = taken(&ledger, long.clone());
        let mut now = T0;
        let mut width = book.slice();
        catch_up(&ledger, &mut book, &rows, now, width).unwrap();
        let mut shown = totals(&book);
        for happens in happenings {
            match happens {
                Happens::Step(Step::Wait(minutes)) => now += minutes * MINUTE + 1_234_567,
                Happens::Step(Step::Narrow(minutes)) => width = minutes * MINUTE,
                Happens::Step(Step::Poll | Step::Repeat) => {
                    catch_up(&ledger, &mut book, &rows, now, width).unwrap();
                    width = book.slice();
                }
                // Absorbed and not committed.
                Happens::Step(Step::Fail) => {
                    let window = book.question(width);
                    book.absorb(window, answer(&rows, window, now), now, true);
                    book = taken(&ledger, long.clone());
                }
                Happens::Restart => {
                    drop(ledger);
                    ledger = disk.ledger();
                    let again = taken(&ledger, long.clone());
                    assert_same(&again, &book);
                    book = again;
                }
                Happens::Kill => {
                    disk = disk.copied();
                    ledger = disk.ledger();
                    let again = taken(&ledger, long.clone());
                    assert_same(&again, &book);
                    book = again;
                }
                Happens::Full(writes) => {
                    disk.takes(writes);
                    let result = catch_up(&ledger, &mut book, &rows, now, width);
                    drop(ledger);
                    disk.takes(i64::MAX);
                    ledger = disk.ledger();
                    let again = taken(&ledger, long.clone());
                    if result.is_ok() {
                        assert_same(&again, &book);
                    }
                    book = again;
                }
            }
            let before = std::mem::replace(&mut shown, totals(&book));
            for (name, total) in &before {
                prop_assert!(shown.get(name) >= Some(total), "{name} went back");
            }
        }
        catch_up(&ledger, &mut book, &rows, now, width).unwrap();
        catch_up(&ledger, &mut book, &rows, now, width).unwrap();
        let counted = |row: &&Row| row.seen > T0 && row.seen <= now;
        let truth = rows.iter().filter(counted).count() as f64;
        prop_assert_eq!(book.counted(), [truth]);
        prop_assert_eq!(totals(&book).values().sum::<f64>(), truth);
    }
}
