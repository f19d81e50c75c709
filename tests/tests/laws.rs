//! The laws on generated events of every shape: flattened by the rules, and the same bytes on any number of threads.

#[cfg(test)]
#[path = "../../crates/flatten/tests/reference/mod.rs"]
#[expect(dead_code, reason = "the tests of `flatten` print what it makes")]
mod reference;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use bytes::Bytes;
    use flatten::{Event, Input, Schema};
    use generator::{Corpus, Shape};
    use pipeline::{Invocation, Payload, Pipeline, Record, Settings, SourceBatch};

    use super::reference;

    const N_EVENTS: usize = 600;
    /// More than one thread's share of bytes.
    const N_EVENTS_IN_FILES: usize = 4_000;

    fn corpus(shape: Shape, n_events: usize) -> Corpus {
        let settings = generator::Settings {
            shape,
            ..generator::Settings::default()
        };
        Corpus::new(&settings, n_events)
    }

    /// A time after all events, so that none lies in the future.
    fn arrival_us() -> i64 {
        let settings = generator::Settings::default();
        (settings.start_ms + i64::from(settings.n_days) * 86_400_000) * 1000
    }

    /// Law 2 and the rules: the slow reference makes the same of each event, and each row rebuilds its event.
    #[test]
    fn generated_events_of_every_shape_flatten_by_the_rules() {
        for shape in Shape::ALL {
            let corpus = corpus(shape, N_EVENTS);
            let records = [flatten::Record {
                source_id: "generated",
                arrival_us: arrival_us(),
            }];
            let events: Vec<_> = (0..)
                .zip(corpus.events())
                .map(|(index, bytes)| Event {
                    bytes,
                    record: 0,
                    index,
                })
                .collect();
            let input = Input {
                records: &records,
                events: &events,
                ingested_at_us: arrival_us(),
            };
            let result = reference::compare(
                &Schema::of_system_columns(),
                &flatten::Shape::default(),
                &input,
            )
            .unwrap_or_else(|difference| panic!("{shape:?}: {difference}"));
            let refused: Vec<_> = result.refused.iter().map(|refused| refused.event).collect();
            let hostile: Vec<_> = (0..N_EVENTS)
                .filter(|&position| corpus.kinds()[position].is_refused())
                .collect();
            assert_eq!(refused, hostile, "{shape:?}");
        }
    }

    /// Law 8, to the bytes of the data files.
    #[test]
    fn the_number_of_threads_does_not_change_a_byte_of_the_data_files() {
        for shape in [Shape::Default, Shape::Hostile] {
            let on_one = data_files(shape, 1);
            assert!(on_one.len() > 1, "{shape:?}: one file proves little");
            for n_threads in [2, 7] {
                assert!(
                    data_files(shape, n_threads) == on_one,
                    "{shape:?} on {n_threads} threads"
                );
            }
        }
    }

    /// The bytes of each data file, by its partition and its number; between them the names hold what is random.
    fn data_files(shape: Shape, n_threads: usize) -> BTreeMap<(String, String), Vec<u8>> {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.warehouse = directory.path().into();
        settings.threads = n_threads;
        let payload = Payload {
            records: vec![Record {
                delivery_id: "generated".to_owned(),
                source_id: "generated".to_owned(),
                arrival_us: arrival_us(),
                body: Bytes::copy_from_slice(corpus(shape, N_EVENTS_IN_FILES).ndjson()),
                is_base64: false,
            }],
            source: SourceBatch::messages("sqs"),
        };
        let invocation = Invocation {
            now_us: arrival_us(),
            deadline: None,
            seed: 1,
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let report = runtime.block_on(async {
            let pipeline = Pipeline::open(settings).await.unwrap();
            pipeline.run(payload, &invocation).await.unwrap()
        });
        assert_eq!(report.n_rows + report.n_quarantined, report.n_events);

        let mut files = BTreeMap::new();
        collect(directory.path(), &mut files);
        assert_eq!(files.len() as u64, report.n_files);
        files
    }

    fn collect(directory: &Path, files: &mut BTreeMap<(String, String), Vec<u8>>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, files);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "parquet")
            {
                let partition = directory.file_name().unwrap().to_str().unwrap().to_owned();
                let (_, number) = path
                    .file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .rsplit_once('-')
                    .unwrap();
                files.insert(
                    (partition, number.to_owned()),
                    std::fs::read(&path).unwrap(),
                );
            }
        }
    }
}
