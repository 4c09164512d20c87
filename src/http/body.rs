//! A response body made of pieces that exist already.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Prepared pieces, then one that was made for this response. Sending copies nothing here; the
/// length is known, so the response says it.
pub struct Pieces {
    pieces: Arc<[Bytes]>,
    next: usize,
    tail: Option<Bytes>,
    left: u64,
}

impl Pieces {
    /// `bytes` is the length of all of `pieces`.
    pub fn new(pieces: Arc<[Bytes]>, bytes: u64, tail: Bytes) -> Self {
        Self {
            left: bytes + tail.len() as u64,
            pieces,
            next: 0,
            tail: Some(tail),
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.get(self.next).cloned();
        self.next += 1;
        let Some(piece) = piece.or_else(|| self.tail.take()) else {
            return Poll::Ready(None);
        };
        self.left = self.left.saturating_sub(piece.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn all_pieces_are_sent_in_order_and_the_length_is_right() {
        let pieces: Arc<[Bytes]> = [Bytes::from("a"), Bytes::from(""), Bytes::from("bc")].into();
        let body = Pieces::new(pieces, 3, Bytes::from("tail"));
        assert_eq!(body.size_hint().exact(), Some(7));
        let sent = body.collect().await.unwrap().to_bytes();
        assert_eq!(sent, "abctail");
    }

    #[tokio::test]
    async fn an_empty_page_ends() {
        let body = Pieces::new([].into(), 0, Bytes::new());
        assert!(body.is_end_stream());
        assert_eq!(body.collect().await.unwrap().to_bytes(), "");
    }
}
