//! What a connection is made of, whichever socket it came by.

use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes to and from a client.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}
