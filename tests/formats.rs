//! One fixture in every format and coding: whole pages against golden files, each read again by
//! something that shares no code with the encoders. UPDATE_GOLDEN=1 writes the files.

#[path = "formats/fixture.rs"]
mod fixture;
#[path = "formats/gzip.rs"]
mod gzip;
#[path = "formats/protobuf.rs"]
mod protobuf;
#[path = "formats/served.rs"]
mod served;

use std::path::Path;

use vminsights_exporter::exposition::{Coding, Format, Media};

/// Compares with `tests/formats/<file>`.
fn golden(file: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/formats")
        .join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(page, written, "{file} is not what the encoder writes");
}

fn plain(format: Format) -> Media {
    let coding = Coding::Identity;
    Media { format, coding }
}

#[test]
fn text() {
    let page = fixture::page(plain(Format::Text));
    golden("page.txt", &String::from_utf8(page).unwrap());
}

#[test]
fn openmetrics() {
    let page = fixture::page(plain(Format::OpenMetrics));
    golden("page.openmetrics", &String::from_utf8(page).unwrap());
}
