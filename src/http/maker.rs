//! Who makes a page that is not ready: one for all that ask while it is made.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use crate::exposition::{Coding, Format, Media, Page};
use crate::snapshot::Snapshot;

/// A page that is being made. `None` if that failed.
pub type Making = Shared<BoxFuture<'static, Option<Page>>>;

/// Pages under way. However many ask and however often polls publish, each media is made by one thread
/// at a time, and nobody waits for longer than one page takes: who comes meanwhile gets that page,
/// though a poll may have published since it was begun.
#[derive(Default)]
pub struct Maker([[Slot; Coding::ALL.len()]; Format::ALL.len()]);

/// Weak, so that a page that all have got does not live on here.
type Slot = Mutex<Option<WeakShared<BoxFuture<'static, Option<Page>>>>>;

impl Maker {
    /// Begins the snapshot's page off the async threads, unless one of this media is under way.
    pub fn make(&self, snapshot: Arc<Snapshot>, media: Media) -> Making {
        let slot = &self.0[media.format as usize][media.coding as usize];
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = slot.as_ref().and_then(WeakShared::upgrade);
        if let Some(making) = under_way.filter(|making| making.peek().is_none()) {
            return making;
        }
        let made = tokio::task::spawn_blocking(move || snapshot.page(media).clone());
        let making = made.map(Result::ok).boxed().shared();
        *slot = making.downgrade();
        making
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_comes_while_a_page_is_made_gets_that_page() {
        let maker = Maker::default();
        let [text, gzip] = Coding::ALL.map(|coding| Media {
            coding,
            ..Media::default()
        });
        let first = maker.make(Arc::default(), text);
        let second = maker.make(Arc::default(), text);
        assert!(first.ptr_eq(&second));
        assert!(!first.ptr_eq(&maker.make(Arc::default(), gzip)));
        let page = first.await.unwrap();
        assert!(Arc::ptr_eq(
            page.pieces(),
            second.clone().await.unwrap().pieces()
        ));
        let later = maker.make(Arc::default(), text);
        assert!(!later.ptr_eq(&second), "that one was ready before");
    }
}
