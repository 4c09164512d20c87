//! What is asked again, and how soon.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::rig::{ONE_ROW, PATIENT, Rig, Told, ask_patiently};
use crate::server::{Behaviour, Reply, Seen};

/// Answers with these in turn, and from then on with one row.
pub struct AtFirst {
    replies: Vec<Reply>,
    asked: AtomicUsize,
}

impl AtFirst {
    pub fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self {
            replies: replies.into_iter().collect(),
            asked: AtomicUsize::new(0),
        }
    }
}

impl Behaviour for AtFirst {
    fn reply(&self, _: &Seen) -> Reply {
        let place = self.asked.fetch_add(1, Ordering::Relaxed);
        let reply = self.replies.get(place).cloned();
        reply.unwrap_or_else(|| Reply::json(200, ONE_ROW))
    }
}

#[tokio::test]
async fn what_may_pass_by_itself_is_asked_again() {
    for status in [429, 500, 502, 503] {
        let reply = Reply::json(status, "").header("retry-after", "0");
        let rig = Rig::asking(AtFirst::new([reply])).await;
        let answer = ask_patiently(&rig.client(), PATIENT).await.unwrap();
        assert_eq!(answer.table.row_count(), 1, "{status}");
        let reason = if status == 429 {
            "throttled"
        } else {
            "server_error"
        };
        assert_eq!((rig.counted(reason), rig.counted("success")), (1.0, 1.0));
    }
}

#[tokio::test]
async fn what_will_not_pass_is_asked_once() {
    for status in [307, 400, 403, 404, 405, 413, 501, 504] {
        let rig = Rig::asking(AtFirst::new([Reply::json(status, "")])).await;
        let failure = ask_patiently(&rig.client(), PATIENT).await.unwrap_err();
        assert_eq!(failure.to_string(), format!("HTTP {status}"));
        assert_eq!(rig.logs.seen().len(), 1);
    }
}

#[tokio::test]
async fn nothing_is_asked_again_that_would_come_too_late() {
    let reply = Reply::json(503, "").header("retry-after", "20");
    let rig = Rig::asking(AtFirst::new([reply])).await;
    let client = rig.client();
    let late = ask_patiently(&client, Duration::from_secs(20)).await;
    let told = Told::of(&late.unwrap_err());
    assert_eq!(told.text, "HTTP 503");
    assert_eq!(told.retry_after, Some(Duration::from_secs(20)));
    assert_eq!(rig.logs.seen().len(), 1);
}
