//! What a series costs to encode, beside the two client libraries' own encoders: the same families,
//! names, labels and values, ready in each library's form before the clock runs.

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
            bench.iter_with_large_drop(|| {
                let mut out = Vec::new();
                encode_families(format, &families, &mut out);
                out
            });
        });
    }
    let gathered = proto_families(SERIES);
    group.bench_function("prometheus crate, text", |bench| {
        bench.iter_with_large_drop(|| {
            let mut out = Vec::new();
            TextEncoder::new().encode(&gathered, &mut out).unwrap();
            out
        });
    });
    let registry = client_registry(SERIES);
    group.bench_function("prometheus-client crate, OpenMetrics", |bench| {
        bench.iter_with_large_drop(|| {
            let mut out = String::new();
            prometheus_client::encoding::text::encode(&mut out, &registry).unwrap();
            out
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
