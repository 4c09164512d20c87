//! A family and its bytes: made when first asked for, once for each format and coding.

use std::sync::OnceLock;

use super::format::{Coding, Format, Media};
use super::gzip::{Checksum, Deflater, Segment};
use crate::series::{Family, FamilyHeader, SeriesList};

/// A family's header and series with what has been encoded of them. Header and series stay apart, so
/// that a page can have the header once before the series of several of these.
#[derive(Debug)]
pub struct Encoded {
    family: Family,
    ready: [Ready; Format::ALL.len()],
}

/// What one format has been asked for.
#[derive(Debug, Default)]
struct Ready {
    header: Piece,
    series: Piece,
}

/// A run of bytes in each coding.
#[derive(Debug, Default)]
struct Piece {
    plain: OnceLock<Segment>,
    gzip: OnceLock<Segment>,
}

impl Encoded {
    pub fn new(family: Family) -> Self {
        Self {
            family,
            ready: Default::default(),
        }
    }

    pub fn header(&self) -> &FamilyHeader {
        &self.family.header
    }

    pub fn series(&self) -> &SeriesList {
        &self.family.series
    }

    /// Bytes that are kept because they have been asked for, over all formats and codings.
    pub fn bytes_kept(&self) -> usize {
        let pieces = self.ready.iter().flat_map(|r| [&r.header, &r.series]);
        let segments = pieces.flat_map(|piece| [piece.plain.get(), piece.gzip.get()]);
        segments.flatten().map(|segment| segment.sent.len()).sum()
    }

    pub(super) fn encoded_header(&self, media: Media, deflater: &mut Deflater) -> &Segment {
        self.ready[media.format as usize]
            .header
            .get(media.coding, deflater, |out| {
                media.format.encode_header(self.header(), out);
            })
    }

    pub(super) fn encoded_series(&self, media: Media, deflater: &mut Deflater) -> &Segment {
        self.ready[media.format as usize]
            .series
            .get(media.coding, deflater, |out| {
                media
                    .format
                    .encode_series(self.header(), self.series(), out);
            })
    }
}

impl Piece {
    /// Who asks for gzip alone does not have the plain bytes kept too.
    fn get(
        &self,
        coding: Coding,
        deflater: &mut Deflater,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> &Segment {
        match coding {
            Coding::Identity => self.plain.get_or_init(|| {
                let mut out = Vec::new();
                encode(&mut out);
                Segment {
                    plain: Checksum::of(&out),
                    sent: out.into_boxed_slice().into(),
                }
            }),
            Coding::Gzip => self.gzip.get_or_init(|| match self.plain.get() {
                Some(plain) => deflater.segment(&plain.sent),
                None => {
                    let mut out = Vec::new();
                    encode(&mut out);
                    deflater.segment(&out)
                }
            }),
        }
    }
}
