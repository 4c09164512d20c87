//! Protobuf pages, read with the schema in `metrics.proto` by a library that the encoder does not use.

use std::path::Path;

use protobuf::reflect::{FileDescriptor, MessageDescriptor};
use protobuf::well_known_types::timestamp;
use protobuf::{CodedInputStream, MessageDyn, text_format};
use vminsights_exporter::exposition::Format;

use crate::{fixture, golden, plain};

fn metric_family() -> MessageDescriptor {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats");
    let parsed = protobuf_parse::Parser::new()
        .pure()
        .include(&folder)
        .input(folder.join("metrics.proto"))
        .file_descriptor_set()
        .unwrap();
    let schema = parsed
        .file
        .into_iter()
        .find(|file| file.name() == "metrics.proto");
    FileDescriptor::new_dynamic(schema.unwrap(), &[timestamp::file_descriptor().clone()])
        .unwrap()
        .message_by_package_relative_name("MetricFamily")
        .unwrap()
}

fn families(page: &[u8]) -> Vec<Box<dyn MessageDyn>> {
    let descriptor = metric_family();
    let mut input = CodedInputStream::from_bytes(page);
    let mut families = Vec::new();
    while !input.eof().unwrap() {
        let len = input.read_raw_varint64().unwrap();
        let bytes = input.read_raw_bytes(u32::try_from(len).unwrap()).unwrap();
        families.push(descriptor.parse_from_bytes(&bytes).unwrap());
    }
    families
}

#[test]
fn another_library_reads_it() {
    let families = families(&fixture::page(plain(Format::Protobuf)));
    for family in &families {
        let unknown = family.special_fields_dyn().unknown_fields();
        assert_eq!(unknown.iter().count(), 0);
    }
    let readable: Vec<String> = families
        .iter()
        .map(|family| text_format::print_to_string_pretty(&**family))
        .collect();
    golden("page.protobuf.txt", &readable.join("\n"));
}

/// Written again by that library a family has as many bytes: nothing in it was lost on the reader.
#[test]
fn nothing_is_in_it_but_what_the_schema_knows() {
    let page = fixture::page(plain(Format::Protobuf));
    let again: usize = families(&page)
        .iter()
        .map(|family| family.write_length_delimited_to_bytes_dyn().unwrap().len())
        .sum();
    assert_eq!(again, page.len());
}
