//! An answer's body on its way out.
//!
//! hyper takes more of a body than the client has taken, and holds it. So it is not the body that says
//! how far the client is, but its pieces: each is gone when its bytes are on the wire.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};

use super::places::Answer;

/// A client that takes one has made progress.
const PIECE: usize = 256 << 10;

/// A body in bounded pieces, each of which is progress when it is sent.
pub struct Watched {
    body: Body,
    rest: Bytes,
    answer: Arc<Answer>,
}

impl Watched {
    pub fn new(body: Body, answer: Arc<Answer>) -> Self {
        let rest = Bytes::new();
        Self { body, rest, answer }
    }
}

impl http_body::Body for Watched {
    type Data = Piece;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, axum::Error>>> {
        while self.rest.is_empty() {
            let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(other))) => {
                    // The trailers: a frame that is no data is all the same for any kind of data.
                    let trailers = other.into_trailers().ok().map(Frame::trailers);
                    return Poll::Ready(trailers.map(Ok));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let length = self.rest.len().min(PIECE);
        let bytes = self.rest.split_to(length);
        let answer = self.answer.clone();
        Poll::Ready(Some(Ok(Frame::data(Piece { bytes, answer }))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(body.lower() + rest);
        hint
    }
}

/// Bytes that are not sent yet.
pub struct Piece {
    bytes: Bytes,
    answer: Arc<Answer>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if self.bytes.is_empty() {
            self.answer.moved();
        }
    }
}
