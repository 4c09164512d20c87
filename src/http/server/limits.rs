//! What one client may cost. The defaults are for production; tests shorten them.

use std::time::Duration;

use rustix::process::{Resource, getrlimit};

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open at one time; beyond them, the longest without progress is cut for each new one.
    pub connections: usize,
    /// For a request's head, and so for an idle HTTP/1 connection too.
    pub head: Duration,
    /// Of a request's head, in bytes.
    pub head_bytes: usize,
    /// Of a request's path and query, in bytes.
    pub uri_bytes: usize,
    /// For a TLS handshake.
    pub handshake: Duration,
    /// Without progress: a new request, or a piece (256 KiB) that the client took of each answer.
    pub stall: Duration,
    /// From a request's head to the last byte of its answer.
    pub answer: Duration,
    /// Requests at one time on one HTTP/2 connection.
    pub http2_streams: u32,
    /// Between pings on an HTTP/2 connection, and for the answer to one.
    pub http2_ping: Duration,
    /// For the answers that are under way when the server stops.
    pub grace: Duration,
    /// Between looks at the web configuration's files.
    pub reload: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            head: Duration::from_secs(30),
            head_bytes: 32 << 10,
            uri_bytes: 4 << 10,
            handshake: Duration::from_secs(10),
            stall: Duration::from_secs(60),
            answer: Duration::from_secs(120),
            http2_streams: 32,
            http2_ping: Duration::from_secs(20),
            grace: Duration::from_secs(20),
            reload: Duration::from_secs(5),
        }
    }
}

impl Limits {
    /// At most half of the file descriptors that the process may have: polls need some, too.
    pub fn connections_of_this_process(&self) -> usize {
        let descriptors = getrlimit(Resource::Nofile).current;
        let half = descriptors.map_or(usize::MAX, |all| {
            usize::try_from(all / 2).unwrap_or(usize::MAX)
        });
        self.connections.min(half).max(1)
    }
}
