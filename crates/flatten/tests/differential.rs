//! The fast flattener and the reference agree on everything, and the laws hold, whatever the events.

use arrow_array::{Array, RecordBatch};
use flatten::{Conflict, Flattened, Flattener, Schema, Shape};
use proptest::collection::vec;
use proptest::prelude::*;

use super::reference;
use super::strategy::{self, Batch};

proptest! {
    // A case that fails becomes an example among the rules, so none is kept in files of proptest's own.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Columns, new columns, every cell, `_doc`, rescued and refused; law 2 and no lost event are looked at in `compare`.
    #[test]
    fn the_flattener_and_the_reference_agree(batch in strategy::batch()) {
        batch.with_input(|input| reference::compare(&batch.schema, &batch.shape, input))
            .map_err(TestCaseError::fail)?;
    }

    #[test]
    fn any_bytes_are_either_flattened_or_refused(
        events in vec(vec(any::<u8>(), 0..200), 0..8),
        shape in strategy::shape(),
    ) {
        let batch = Batch { schema: Schema::of_system_columns(), shape, events };
        batch.with_input(|input| reference::compare(&batch.schema, &batch.shape, input))
            .map_err(TestCaseError::fail)?;
    }

    /// Wherever a byte is not what it was: in a key, in a text with and without a column, in what is left out, between them.
    #[test]
    fn damaged_events_are_either_flattened_or_refused(
        mut batch in strategy::batch(),
        in_table: bool,
        damages in vec((any::<usize>(), any::<usize>(), prop_oneof![any::<u8>(), 0x80..=u8::MAX]), 1..8),
    ) {
        if in_table {
            let whole = batch.with_input(|input| reference::compare(&batch.schema, &batch.shape, input))
                .map_err(TestCaseError::fail)?;
            batch.schema.columns = whole.columns;
        }
        let n_events = batch.events.len().max(1);
        for (event, at, byte) in damages {
            if let Some(event) = batch.events.get_mut(event % n_events).filter(|event| !event.is_empty()) {
                let at = at % event.len();
                event[at] = byte;
            }
        }
        batch.with_input(|input| reference::compare(&batch.schema, &batch.shape, input))
            .map_err(TestCaseError::fail)?;
    }

    /// Once the new columns are in the table, the same events need no others and give the same rows.
    #[test]
    fn in_the_steady_state_the_same_events_give_the_same_rows(mut batch in strategy::batch()) {
        batch.shape.conflict = Conflict::Rescue;
        batch.shape.max_columns = 10_000;
        batch.shape.max_new_columns = 10_000;
        let first = batch.with_input(|input| reference::compare(&batch.schema, &batch.shape, input))
            .map_err(TestCaseError::fail)?;
        batch.schema.columns.clone_from(&first.columns);
        let second = batch.with_input(|input| reference::compare(&batch.schema, &batch.shape, input))
            .map_err(TestCaseError::fail)?;
        prop_assert_eq!(second, reference::Reference { new_columns: Vec::new(), ..first });
    }
}

/// Texts with and without a column, with escapes, in arrays; keys met before and new ones; and what stands between them.
#[test]
fn bytes_that_are_no_utf8_are_refused_wherever_they_stand() {
    let whole = r#"{"name":"Zoë","naïve":"plain","n":1.5,"list":["ü",{"x":"y"}],"escaped":"\u00e9ö","id":"0123456789abcdef0123456789abcdef"}"#;
    let mut batch = Batch {
        schema: Schema::of_system_columns(),
        shape: Shape::default(),
        events: vec![whole.into(); 3],
    };
    let compare = |batch: &Batch| {
        let compared =
            batch.with_input(|input| reference::compare(&batch.schema, &batch.shape, input));
        compared.unwrap_or_else(|difference| panic!("{difference}"))
    };
    batch.schema.columns = compare(&batch).columns;
    for at in 0..whole.len() {
        // One of which more has to come, one that continues, one of a surrogate, and one that stands nowhere.
        for byte in [0xC3, 0x80, 0xED, 0xFF] {
            // The second of three: the one before it has shown what usually comes.
            batch.events[1] = whole.into();
            batch.events[1][at] = byte;
            let is_text = std::str::from_utf8(&batch.events[1]).is_ok();
            let refused = compare(&batch).refused;
            assert_eq!(refused.is_empty(), is_text, "{byte:x} at {at}");
        }
    }
}

/// Of these `test.sh --long` runs fewer cases than of the others.
mod costly_tests {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

        /// Law 8, on batches of many chunks whose new paths and types are spread over all of them.
        #[test]
        fn the_number_of_threads_does_not_change_a_byte(batch in strategy::large_batch()) {
            let on_one = on_threads(1, &batch);
            for n_threads in [2, 7] {
                let on_more = on_threads(n_threads, &batch);
                prop_assert_eq!(&on_more.columns, &on_one.columns);
                prop_assert_eq!(&on_more.new_columns, &on_one.new_columns);
                prop_assert_eq!(&on_more.refused, &on_one.refused);
                prop_assert_eq!(on_more.n_rescued, on_one.n_rescued);
                prop_assert_eq!(bytes_of(&on_more.batches), bytes_of(&on_one.batches));
            }
            batch.with_input(|input| reference::compare(&batch.schema, &batch.shape, input))
                .map_err(TestCaseError::fail)?;
        }
    }
}

fn on_threads(n_threads: usize, batch: &Batch) -> Flattened {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(n_threads)
        .build()
        .unwrap();
    let flattener = Flattener::new(batch.schema.clone(), batch.shape.clone()).unwrap();
    pool.install(|| batch.with_input(|input| flattener.flatten(input)))
        .unwrap()
}

/// The rows of each batch, and the bytes of each buffer of each column.
fn bytes_of(batches: &[RecordBatch]) -> Vec<(usize, Vec<Vec<u8>>)> {
    batches
        .iter()
        .map(|batch| {
            let buffers = batch.columns().iter().flat_map(|array| {
                let data = array.to_data();
                let nulls = data.nulls().map(|nulls| nulls.validity().to_vec());
                let entries = data
                    .child_data()
                    .iter()
                    .flat_map(|child| child.buffers().iter());
                let values: Vec<_> = data
                    .buffers()
                    .iter()
                    .chain(entries)
                    .map(|buffer| buffer.to_vec())
                    .collect();
                values.into_iter().chain(nulls)
            });
            (batch.num_rows(), buffers.collect())
        })
        .collect()
}
