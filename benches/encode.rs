//! What a series costs to encode, beside the two client libraries' own encoders: the same families,
//! names, labels and values, ready in each library's form before the clock runs, into a buffer that is there.

#[path = "support/mod.rs"]
mod support;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use prometheus::{Encoder, TextEncoder};
use support::{LABELS, SERIES, client_registry, family, proto_families};
use vminsights_exporter::exposition::{Encoded, Format, Media, PageBuilder, encode_families};

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("encode {SERIES} series"));
    group
        .throughput(Throughput::Elements(SERIES as u64))
        .sample_size(10);
    let families = [family(SERIES, 0)];
    for format in Format::ALL {
        group.bench_function(format.as_str(), |bench| {
            let mut out = Vec::new();
            bench.iter(|| {
                out.clear();
                encode_families(format, &families, &mut out);
                out.len()
            });
        });
    }
    let gathered = proto_families(SERIES);
    group.bench_function("prometheus crate, text", |bench| {
        let mut out = Vec::new();
        bench.iter(|| {
            out.clear();
            TextEncoder::new().encode(&gathered, &mut out).unwrap();
            out.len()
        });
    });
    let registry = client_registry(SERIES);
    group.bench_function("prometheus-client crate, OpenMetrics", |bench| {
        let mut out = String::new();
        bench.iter(|| {
            out.clear();
            prometheus_client::encoding::text::encode(&mut out, &registry).unwrap();
            out.len()
        });
    });
    group.bench_function("text, gzip, cold", |bench| {
        let media = Media {
            coding: vminsights_exporter::exposition::Coding::Gzip,
            ..Media::default()
        };
        bench.iter_batched(
            || Encoded::new(families[0].clone()),
            |encoded| {
                let mut page = PageBuilder::new(media);
                page.family([&encoded]);
                (page.build(), encoded)
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
    assert_eq!(LABELS.len(), 4);
}

criterion_group!(benches, encode);
criterion_main!(benches);
