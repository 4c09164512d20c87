//! A gzip body is one member that strict readers read, whatever it was put together from.

use std::io::Read;

use flate2::read::GzDecoder;
use vminsights_exporter::exposition::{Coding, Encoded, Format, Media, PageBuilder};
use vminsights_exporter::series::MetricType;

use crate::fixture;

/// The one member that `body` is; whatever is wrong with it fails.
pub fn gunzip(body: &[u8]) -> Vec<u8> {
    // As Go does: magic, method, no reserved flags, no optional fields that are not there.
    assert_eq!(body[..4], [0x1f, 0x8b, 8, 0]);
    let mut decoder = GzDecoder::new(body);
    let mut plain = Vec::new();
    decoder.read_to_end(&mut plain).expect("data and checksum");
    assert_eq!(decoder.into_inner(), b"", "nothing follows the member");
    plain
}

fn gzip(format: Format) -> Media {
    let coding = Coding::Gzip;
    Media { format, coding }
}

fn identity(format: Format) -> Media {
    let coding = Coding::Identity;
    Media { format, coding }
}

#[test]
fn unzipped_it_is_the_plain_page() {
    for format in Format::ALL {
        let zipped = fixture::page(gzip(format));
        let plain = fixture::page(identity(format));
        assert!(zipped.len() < plain.len(), "{format:?}");
        assert!(gunzip(&zipped) == plain, "{format:?}");
    }
}

/// Blocks of every size that is treated apart: nothing, less than a stored block's head, more than
/// a stored block holds, and what cannot be compressed.
#[test]
fn blocks_of_every_size_fit_together() {
    // Not random enough for anything but a compressor.
    let mut state = 1_u64;
    let mut noise = |len: usize| -> String {
        let mut letter = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b' ' + (state >> 57) as u8 % 95)
        };
        std::iter::repeat_with(&mut letter).take(len).collect()
    };
    let families: Vec<_> = [0, 1, 100, 65_530, 65_536, 300_000]
        .into_iter()
        .flat_map(|len| {
            [noise(len), "a".repeat(len)].map(|label| {
                let series: [(&[&str], f64); 1] = [(&[&label], 1.0)];
                fixture::family("x", MetricType::Gauge, "", &["l"], &series)
            })
        })
        .collect();
    for format in Format::ALL {
        for share in [0, families.len() / 2, families.len()] {
            // Some are encoded for a plain page first: what is compressed is the same.
            let parts: Vec<Encoded> = families.iter().cloned().map(Encoded::new).collect();
            let mut plain = PageBuilder::new(identity(format));
            plain.family(&parts[..share]);
            drop(plain);
            let [plain, zipped] = [identity(format), gzip(format)].map(|media| {
                let mut builder = PageBuilder::new(media);
                builder.family(&parts);
                let page = builder.build();
                assert_eq!(page.pieces().concat().len() as u64, page.len());
                [&page.pieces().concat()[..], &page.tail(&[])].concat()
            });
            assert!(gunzip(&zipped) == plain, "{format:?}, {share} plain before");
        }
    }
}

#[test]
fn an_empty_page_is_a_member_too() {
    let page = PageBuilder::new(gzip(Format::OpenMetrics)).build();
    let body = [&page.pieces().concat()[..], &page.tail(&[])].concat();
    assert_eq!(gunzip(&body), b"# EOF\n");
    let page = PageBuilder::new(gzip(Format::Text)).build();
    let body = [&page.pieces().concat()[..], &page.tail(&[])].concat();
    assert_eq!(gunzip(&body), b"");
}
