//! Who makes a page that is not ready: one for all that ask while it is made.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use tokio::time::Instant;

use crate::exposition::{Coding, Format, Media, Page};
use crate::snapshot::Snapshot;

/// How far a page may be behind the newest poll, so that few wait while the next one is made.
const LAG: Duration = Duration::from_millis(250);

/// A page that is being made. `None` if that failed.
type Making = BoxFuture<'static, Option<Page>>;

/// Pages under way. However many ask and however often polls publish, each media is made by one thread
/// at a time. Who asks first waits for it, so that a page shows what was published before it was asked
/// for. Who asks meanwhile gets the page before it if that one is hardly older, else waits for the one
/// under way, though a poll may have published since it was begun.
#[derive(Clone, Default)]
pub struct Maker(Arc<[[Mutex<Slot>; Coding::ALL.len()]; Format::ALL.len()]>);

#[derive(Default)]
struct Slot {
    /// Weak, so that a page that all have got does not live on here.
    making: Option<WeakShared<Making>>,
    /// The last page, until it is too old to be given out, and when it was begun.
    last: Option<(Instant, Page)>,
}

impl Maker {
    /// The snapshot's page, or one that is at most [`LAG`] behind. It is made off the async threads.
    pub async fn page(&self, snapshot: Arc<Snapshot>, media: Media) -> Option<Page> {
        if let Some(ready) = snapshot.ready_page(media) {
            return Some(ready.clone());
        }
        let making = {
            let mut slot = self.slot(media);
            let under_way = slot.making.as_ref().and_then(WeakShared::upgrade);
            match under_way.filter(|making| making.peek().is_none()) {
                Some(making) => match &slot.last {
                    Some((begun, page)) if begun.elapsed() < LAG => return Some(page.clone()),
                    _ => making,
                },
                None => {
                    let making = self.begin(snapshot, media);
                    slot.making = making.downgrade();
                    making
                }
            }
        };
        making.await
    }

    fn begin(&self, snapshot: Arc<Snapshot>, media: Media) -> Shared<Making> {
        let begun = Instant::now();
        let making = tokio::task::spawn_blocking(move || snapshot.page(media).clone())
            .map(Result::ok)
            .boxed()
            .shared();
        let maker = self.clone();
        let made = making.clone();
        // It goes on when all who asked have gone or were given the page before.
        tokio::spawn(async move {
            let Some(page) = made.await else { return };
            maker.slot(media).last = Some((begun, page));
            tokio::time::sleep_until(begun + LAG).await;
            // A page holds what polls have long replaced: it must not outlive its use.
            maker.slot(media).last.take_if(|(of, _)| *of == begun);
        });
        making
    }

    fn slot(&self, media: Media) -> std::sync::MutexGuard<'_, Slot> {
        self.0[media.format as usize][media.coding as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::SnapshotStore;

    fn media(coding: Coding) -> Media {
        Media {
            coding,
            ..Media::default()
        }
    }

    /// A snapshot that nobody has asked for a page yet.
    fn fresh() -> Arc<Snapshot> {
        SnapshotStore::default().current()
    }

    fn same(one: &Page, other: &Page) -> bool {
        Arc::ptr_eq(one.pieces(), other.pieces())
    }

    /// Runs a test on one thread that makes pages, none of which is made before the test says so.
    fn with_one_thread<F: Future<Output = ()>>(test: impl FnOnce(Maker) -> F) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .max_blocking_threads(1)
            .build()
            .unwrap();
        runtime.block_on(test(Maker::default()));
    }

    /// Asks three times, a poll publishing between any two, before the first page is made.
    async fn three(maker: &Maker, medias: [Media; 3]) -> [Page; 3] {
        let (made, hold) = std::sync::mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || hold.recv());
        let [first, second, third] = medias.map(|media| maker.page(fresh(), media));
        let release = async move { made.send(()).unwrap() };
        let (first, second, third, ()) = tokio::join!(first, second, third, release);
        busy.await.unwrap().unwrap();
        [first, second, third].map(Option::unwrap)
    }

    #[test]
    fn who_asks_while_a_page_is_made_gets_that_page() {
        with_one_thread(async |maker| {
            let (text, gzip) = (media(Coding::Identity), media(Coding::Gzip));
            let [first, second, other] = three(&maker, [text, text, gzip]).await;
            assert!(same(&first, &second));
            assert!(!same(&first, &other));
        });
    }

    #[test]
    fn the_page_before_is_given_out_while_it_is_young_and_the_next_is_being_made() {
        with_one_thread(async |maker| {
            let text = media(Coding::Identity);
            let before = maker.page(fresh(), text).await.unwrap();
            // Whoever asked has it before it is put aside for others.
            while maker.slot(text).last.is_none() {
                tokio::task::yield_now().await;
            }
            let [first, second, third] = three(&maker, [text; 3]).await;
            assert!(!same(&before, &first), "who asks first gets the newest");
            assert!(
                same(&before, &second) && same(&before, &third),
                "it is young"
            );

            tokio::time::sleep(LAG).await;
            let [first, second, third] = three(&maker, [text; 3]).await;
            assert!(
                same(&first, &second) && same(&first, &third),
                "all before are old"
            );
        });
    }

    #[tokio::test(start_paused = true)]
    async fn no_page_outlives_its_use() {
        let maker = Maker::default();
        let text = media(Coding::Identity);
        let page = maker.page(fresh(), text).await.unwrap();
        tokio::time::sleep(LAG + LAG).await;
        assert!(maker.slot(text).last.is_none());
        assert_eq!(Arc::strong_count(page.pieces()), 1);
    }
}
