//! One rendering for all who look at the same moment.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long a rendering is shown to others. A person does not see the difference; a crowd, or somebody
/// who means harm, costs one rendering a second.
const FRESH: Duration = Duration::from_secs(1);

/// The last rendering, and when it was made.
#[derive(Default)]
pub struct Shared(Mutex<Option<(Instant, Bytes)>>);

impl Shared {
    /// The page, as `render` makes it or made it within the last second. Off the async threads, for a
    /// page reads each series of the snapshot once. `None` if rendering broke off.
    pub async fn html(&self, render: impl FnOnce() -> String + Send + 'static) -> Option<Bytes> {
        let mut last = self.0.lock().await;
        if let Some((at, html)) = &*last
            && at.elapsed() < FRESH
        {
            return Some(html.clone());
        }
        let html: Bytes = tokio::task::spawn_blocking(render).await.ok()?.into();
        *last = Some((Instant::now(), html.clone()));
        Some(html)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_crowd_costs_one_rendering_a_second() {
        let shared = Shared::default();
        assert_eq!(shared.html(|| "first".into()).await.unwrap(), "first");
        assert_eq!(shared.html(|| "second".into()).await.unwrap(), "first");
        tokio::time::advance(FRESH).await;
        assert_eq!(shared.html(|| "third".into()).await.unwrap(), "third");
    }

    #[tokio::test]
    async fn a_rendering_that_breaks_off_is_not_shared() {
        let shared = Shared::default();
        assert_eq!(shared.html(|| panic!("of a test")).await, None);
        assert_eq!(shared.html(|| "whole".into()).await.unwrap(), "whole");
    }
}
