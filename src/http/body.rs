//! A response body made of pieces that exist already.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// After so many bytes it is another answer's turn. As long as a client reads as fast as we write,
/// hyper would go on until the last byte, and the clients of this thread would be served one by one.
const TURN: usize = 256 << 10;

/// Prepared pieces, then one that was made for this response. Sending copies nothing here; the
/// length is known, so the response says it.
pub struct Pieces {
    pieces: Arc<[Bytes]>,
    next: usize,
    tail: Option<Bytes>,
    /// What is left of a piece that is longer than a turn.
    rest: Bytes,
    left: u64,
    /// Bytes that may still be given in this turn.
    turn: usize,
}

impl Pieces {
    /// `bytes` is the length of all of `pieces`.
    pub fn new(pieces: Arc<[Bytes]>, bytes: u64, tail: Bytes) -> Self {
        Self {
            left: bytes + tail.len() as u64,
            pieces,
            next: 0,
            tail: Some(tail),
            rest: Bytes::new(),
            turn: TURN,
        }
    }

    fn next_piece(&mut self) -> Option<Bytes> {
        let piece = self.pieces.get(self.next).cloned();
        self.next += 1;
        piece.or_else(|| self.tail.take())
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            let Some(piece) = self.next_piece() else {
                return Poll::Ready(None);
            };
            self.rest = piece;
        }
        if self.turn == 0 {
            self.turn = TURN;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let len = self.rest.len().min(self.turn);
        self.turn -= len;
        self.left = self.left.saturating_sub(len as u64);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(len)))))
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

    #[test]
    fn a_long_answer_lets_others_have_their_turn() {
        let pieces = [Bytes::from(vec![b'a'; TURN + 1]), Bytes::from("b")];
        let body = Pieces::new(pieces.into(), TURN as u64 + 2, Bytes::from("tail"));
        let (mut body, waker) = (std::pin::pin!(body), std::task::Waker::noop());
        let mut turns = vec![0];
        loop {
            match body.as_mut().poll_frame(&mut Context::from_waker(waker)) {
                Poll::Pending => turns.push(0),
                Poll::Ready(None) => break,
                Poll::Ready(Some(frame)) => {
                    *turns.last_mut().unwrap() += frame.unwrap().into_data().unwrap().len();
                }
            }
        }
        assert_eq!(turns, [TURN, 6]);
    }

    #[tokio::test]
    async fn an_empty_page_ends() {
        let body = Pieces::new([].into(), 0, Bytes::new());
        assert!(body.is_end_stream());
        assert_eq!(body.collect().await.unwrap().to_bytes(), "");
    }
}
