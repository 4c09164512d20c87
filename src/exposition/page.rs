//! A page as pieces in order, most of which other pages share.

use std::sync::Arc;

use bytes::Bytes;

use super::encoded::Encoded;
use super::format::{Coding, Format, Media};
use super::gzip::{self, Checksum, Deflater};
use crate::series::Family;

/// Pieces below this are copied together: sending a small one costs more than copying it.
const SMALL: usize = 16 << 10;

/// How much is copied together at most, but for the last.
const JOINED: usize = 128 << 10;

/// A page but for its end, ready to be sent any number of times.
#[derive(Clone, Debug)]
pub struct Page {
    media: Media,
    pieces: Arc<[Bytes]>,
    len: u64,
    plain: Checksum,
}

/// Puts a page together, family by family.
pub struct PageBuilder {
    page: Page,
    deflater: Deflater,
    pieces: Vec<Bytes>,
    small: Vec<u8>,
}

impl Page {
    /// As they are sent, in order.
    pub fn pieces(&self) -> &Arc<[Bytes]> {
        &self.pieces
    }

    /// Bytes of all pieces together.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What completes the page for one answer: `families`, encoded now, and what ends the format and
    /// the coding. A family that is empty is left out; one that the page has already must not be here.
    /// Gzip stores it: what is sent once is a few kilobytes, and compressing those anew for each answer
    /// costs more than all else that an answer needs.
    pub fn tail(&self, families: &[Family]) -> Bytes {
        let mut plain = Vec::new();
        encode_families(self.media.format, families, &mut plain);
        plain.extend_from_slice(self.media.format.end());
        match self.media.coding {
            Coding::Identity => plain.into(),
            Coding::Gzip => {
                let mut whole = self.plain.clone();
                whole.append(&Checksum::of(&plain));
                [gzip::stored(&plain), whole.trailer().into()]
                    .concat()
                    .into()
            }
        }
    }
}

impl PageBuilder {
    pub fn new(media: Media) -> Self {
        let mut builder = Self {
            page: Page {
                media,
                pieces: Arc::default(),
                len: 0,
                plain: Checksum::default(),
            },
            deflater: Deflater::default(),
            pieces: Vec::new(),
            small: Vec::new(),
        };
        if media.coding == Coding::Gzip {
            builder.push(&Bytes::from_static(&gzip::HEADER));
        }
        builder
    }

    /// Appends a family that several share: the first one's header, then everyone's series. Those
    /// without series are left out, and so is a family that has none.
    pub fn family<'a>(&mut self, parts: impl IntoIterator<Item = &'a Encoded>) {
        let parts: Vec<&Encoded> = parts
            .into_iter()
            .filter(|part| !part.series().is_empty())
            .collect();
        let Some(first) = parts.first() else { return };
        let media = self.page.media;
        let mut segments = vec![first.encoded_header(media, &mut self.deflater)];
        for part in &parts {
            segments.push(part.encoded_series(media, &mut self.deflater));
        }
        let bytes = segments.iter().map(|segment| segment.plain.len()).sum();
        self.prefix(&media.format.family_prefix(bytes));
        for segment in segments {
            self.push(&segment.sent);
            if media.coding == Coding::Gzip {
                self.page.plain.append(&segment.plain);
            }
        }
    }

    pub fn build(mut self) -> Page {
        self.flush();
        self.page.pieces = self.pieces.into();
        self.page
    }

    /// A few bytes that change with each page: stored rather than compressed.
    fn prefix(&mut self, plain: &[u8]) {
        match self.page.media.coding {
            Coding::Identity => self.push(&Bytes::copy_from_slice(plain)),
            Coding::Gzip => {
                self.push(&gzip::stored(plain).into());
                self.page.plain.append(&Checksum::of(plain));
            }
        }
    }

    fn push(&mut self, piece: &Bytes) {
        self.page.len += piece.len() as u64;
        if piece.len() < SMALL {
            self.small.extend_from_slice(piece);
            if self.small.len() >= JOINED {
                self.flush();
            }
        } else {
            self.flush();
            self.pieces.push(piece.clone());
        }
    }

    fn flush(&mut self) {
        if !self.small.is_empty() {
            self.pieces.push(Bytes::copy_from_slice(&self.small));
            self.small.clear();
        }
    }
}

/// Appends whole families, each with its header; one without series is left out.
pub fn encode_families(format: Format, families: &[Family], out: &mut Vec<u8>) {
    for family in families.iter().filter(|family| !family.series.is_empty()) {
        let start = out.len();
        format.encode_header(&family.header, out);
        format.encode_series(&family.header, &family.series, out);
        let prefix = format.family_prefix((out.len() - start) as u64);
        out.splice(start..start, prefix);
    }
}
