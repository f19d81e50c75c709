//! Bytes of JSON per second on one core: flattening, encoding, and both, over the shapes of the generator.
//!
//! Every round checks its answer, so that nothing is optimised away and nothing wrong is fast.

use std::hint::black_box;

use benches::{BenchTable, lines, on_one_thread};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use generator::{Corpus, Settings, Shape};

const N_EVENTS: usize = 5_000;

criterion_group! {
    name = speed;
    config = Criterion::default().sample_size(20);
    targets = flatten, parquet, flatten_parquet
}
criterion_main!(speed);

fn flatten(criterion: &mut Criterion) {
    measure(criterion, "flatten", |table, corpus| {
        let events = lines(corpus.ndjson());
        let n_rows = corpus.n_events() - corpus.n_refused();
        Box::new(move || {
            let flattened = table.flatten(black_box(&events))?;
            assert_eq!(flattened.n_rows(), n_rows);
            assert_eq!(flattened.refused.len(), events.len() - n_rows);
            Ok(())
        })
    });
}

fn parquet(criterion: &mut Criterion) {
    measure(criterion, "parquet", |table, corpus| {
        let batches = table
            .flatten(&lines(corpus.ndjson()))
            .map(|flattened| flattened.batches);
        let n_rows = (corpus.n_events() - corpus.n_refused()) as u64;
        Box::new(move || {
            let (mut n_encoded, batches) = (0, batches.as_ref().map_err(ToString::to_string)?);
            table.encode(black_box(batches), |file| {
                n_encoded += file.data_file.n_rows;
                Ok(())
            })?;
            assert_eq!(n_encoded, n_rows);
            Ok(())
        })
    });
}

fn flatten_parquet(criterion: &mut Criterion) {
    measure(criterion, "flatten_parquet", |table, corpus| {
        let events = lines(corpus.ndjson());
        let n_rows = (corpus.n_events() - corpus.n_refused()) as u64;
        Box::new(move || {
            assert_eq!(table.flatten_and_encode(black_box(&events))?.0, n_rows);
            Ok(())
        })
    });
}

/// One round of what is measured.
type Round<'a> = Box<dyn FnMut() -> benches::Result<()> + Send + 'a>;

/// Measures the round that `prepare` makes for each shape.
#[expect(
    clippy::unwrap_used,
    reason = "a bench that cannot be prepared has nothing to measure"
)]
fn measure(
    criterion: &mut Criterion,
    name: &str,
    prepare: impl for<'a> Fn(&'a BenchTable, &'a Corpus) -> Round<'a>,
) {
    let mut group = criterion.benchmark_group(name);
    for shape in Shape::ALL {
        let settings = Settings {
            shape,
            n_days: 1,
            ..Settings::default()
        };
        let corpus = Corpus::new(&settings, N_EVENTS);
        let table = BenchTable::settled_for(&corpus).unwrap();
        group.throughput(Throughput::Bytes(corpus.ndjson().len() as u64));
        group.bench_function(BenchmarkId::from_parameter(shape.name()), |bencher| {
            let mut round = prepare(&table, &corpus);
            on_one_thread(|| {
                bencher.iter(|| round().unwrap());
                Ok(())
            })
            .unwrap();
        });
    }
    group.finish();
}
