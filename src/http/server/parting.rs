//! How a connection ends without taking its last answer along.
//!
//! A socket that is closed while bytes of the client lie unread in it is reset, and a reset makes the
//! client lose what it has not read itself: an answer that was sent whole would arrive cut. So the socket
//! comes back from hyper, says that nothing more will come, and is read until the client is done, too.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::stream::Stream;

/// A client that has got its answer needs no longer to close its side.
const PATIENCE: Duration = Duration::from_secs(1);
/// Nor has it more to say than this.
const LAST_WORDS: u64 = 64 << 10;

/// Where a stream comes back to.
#[derive(Clone, Default)]
pub struct Parting(Arc<Mutex<Option<Box<dyn Stream>>>>);

/// A stream that comes back when it is dropped.
pub struct Lent {
    /// There until it is dropped.
    stream: Option<Box<dyn Stream>>,
    back: Parting,
}

impl Parting {
    pub fn lend(&self, stream: Box<dyn Stream>) -> Lent {
        Lent {
            stream: Some(stream),
            back: self.clone(),
        }
    }

    /// Ends the stream that has come back.
    pub async fn farewell(&self) {
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut stream) = stream else { return };
        let until_the_client_is_done = async {
            stream.shutdown().await?;
            let mut last_words = (&mut stream).take(LAST_WORDS);
            tokio::io::copy(&mut last_words, &mut tokio::io::sink()).await
        };
        // Whether it was reset or took its time, there is nobody left to tell.
        let _ = tokio::time::timeout(PATIENCE, until_the_client_is_done).await;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.back.0.lock().unwrap_or_else(PoisonError::into_inner) = self.stream.take();
    }
}

impl Lent {
    fn with<T>(
        &mut self,
        poll: impl FnOnce(Pin<&mut dyn Stream>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut self.stream {
            Some(stream) => poll(Pin::new(&mut **stream)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncRead for Lent {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Lent {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream
            .as_ref()
            .is_some_and(|stream| stream.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_the_client_still_says_is_read_and_its_end_ends_it() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let parting = Parting::default();
        let mut lent = parting.lend(Box::new(ours));
        lent.write_all(b"answer").await.unwrap();
        theirs.write_all(b"one more question").await.unwrap();
        drop(lent);
        let client = async {
            let mut answer = Vec::new();
            theirs.read_to_end(&mut answer).await.unwrap();
            drop(theirs);
            answer
        };
        let before = tokio::time::Instant::now();
        let ((), answer) = tokio::join!(parting.farewell(), client);
        assert_eq!(answer, b"answer");
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_ends_is_not_waited_for_long() {
        let (ours, _theirs) = tokio::io::duplex(64);
        let parting = Parting::default();
        drop(parting.lend(Box::new(ours)));
        let before = tokio::time::Instant::now();
        parting.farewell().await;
        assert_eq!(before.elapsed(), PATIENCE);
        parting.farewell().await;
        assert_eq!(before.elapsed(), PATIENCE, "there is nothing left");
    }
}
