//! A gzip member (RFC 1952) put together from segments that were compressed each by itself.
//!
//! A segment is raw deflate data (RFC 1951) without a final block, cut at a byte's end and referring to
//! nothing before it: segments may follow each other in any order. The member's checksum and length
//! follow from theirs.

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};

/// Magic, deflate, no flags, no time, no extra flags, an unknown system.
pub(super) const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// An empty block that is the last: fixed codes, end of block.
const FINAL_BLOCK: [u8; 2] = [3, 0];

/// CRC-32 and length of plain bytes, as gzip's trailer has them.
#[derive(Clone, Debug, Default)]
pub(super) struct Checksum {
    crc: crc32fast::Hasher,
    len: u64,
}

/// Bytes as they are sent, and the checksum of the plain ones that they stand for.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub sent: Bytes,
    pub plain: Checksum,
}

impl Checksum {
    pub fn of(plain: &[u8]) -> Self {
        let mut crc = crc32fast::Hasher::new();
        crc.update(plain);
        Self {
            crc,
            len: plain.len() as u64,
        }
    }

    /// Of the bytes of both, the other's behind these.
    pub fn append(&mut self, other: &Self) {
        self.crc.combine(&other.crc);
        self.len += other.len;
    }

    /// Of the plain bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// What ends a member that has this checksum: final block, CRC, length modulo 2³².
    pub fn trailer(self) -> [u8; 10] {
        let mut trailer = [0; 10];
        trailer[..2].copy_from_slice(&FINAL_BLOCK);
        trailer[2..6].copy_from_slice(&self.crc.finalize().to_le_bytes());
        trailer[6..].copy_from_slice(&(self.len as u32).to_le_bytes());
        trailer
    }
}

/// Makes segments; its tables are allocated once for many.
pub(super) struct Deflater(Compress);

impl Default for Deflater {
    fn default() -> Self {
        Self(Compress::new(Compression::default(), false))
    }
}

impl Deflater {
    /// Compresses `plain`, unless storing it takes fewer bytes.
    pub fn segment(&mut self, plain: &[u8]) -> Segment {
        let sent = self
            .deflate(plain)
            .filter(|deflated| deflated.len() < stored_len(plain))
            .unwrap_or_else(|| stored(plain));
        Segment {
            // Without what the buffer has to spare: a segment may live long.
            sent: sent.into_boxed_slice().into(),
            plain: Checksum::of(plain),
        }
    }

    /// `None` if the compressor says no, which it never does to bytes.
    fn deflate(&mut self, plain: &[u8]) -> Option<Vec<u8>> {
        self.0.reset();
        let mut sent = Vec::with_capacity(plain.len() / 8 + 64);
        loop {
            let rest = plain.get(usize::try_from(self.0.total_in()).ok()?..)?;
            self.0
                .compress_vec(rest, &mut sent, FlushCompress::Sync)
                .ok()?;
            // Room left over is how the compressor says that it has given all it had.
            if sent.len() < sent.capacity() {
                let all_taken = self.0.total_in() == plain.len() as u64;
                return all_taken.then_some(sent);
            }
            sent.reserve(sent.capacity());
        }
    }
}

/// The most bytes that one stored block holds.
const STORED_MAX: usize = 0xffff;

/// Plain bytes as stored blocks.
pub(super) fn stored(plain: &[u8]) -> Vec<u8> {
    let mut sent = Vec::with_capacity(stored_len(plain));
    for chunk in plain.chunks(STORED_MAX) {
        let len = chunk.len() as u16;
        sent.push(0);
        sent.extend_from_slice(&len.to_le_bytes());
        sent.extend_from_slice(&(!len).to_le_bytes());
        sent.extend_from_slice(chunk);
    }
    sent
}

fn stored_len(plain: &[u8]) -> usize {
    plain.len() + 5 * plain.len().div_ceil(STORED_MAX)
}
