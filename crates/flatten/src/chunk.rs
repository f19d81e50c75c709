//! The rows of one chunk: each event is walked once, and again only when the walk meets something rare.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, Fields, Schema};

use crate::cold::{self, TimeLookup};
use crate::output::Names;
use crate::plan::Plan;
use crate::scan::Stop;
use crate::time::{self, Reading};
use crate::trie::ROOT;
use crate::walk::{Findings, TimeFound, TimeRule, Walk};
use crate::{Doc, Event, Input, Record, Refusal, Refused, UnreadableTime};

/// What became of the events of one chunk.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// None when no event became a row.
    pub(crate) rows: Option<RecordBatch>,
    pub(crate) refused: Vec<Refused>,
    pub(crate) n_rescued: u64,
    pub(crate) findings: Findings,
}

/// Flattens the events from position `first` to `end` of the input.
///
/// # Errors
///
/// None are known; Arrow checks the arrays that it is given.
pub(crate) fn flatten(
    plan: &Plan,
    input: &Input<'_>,
    first: usize,
    end: usize,
) -> Result<Chunk, ArrowError> {
    let mut chunk = Rows {
        walk: Walk::new(plan, end - first),
        input,
        guess: 0,
        time_source: None,
        source: None,
        n_rescued: 0,
        names: Names::default(),
    };
    let mut refused = Vec::new();
    for (event, found) in input.events.iter().enumerate().take(end).skip(first) {
        if let Err(reason) = chunk.event(event, found) {
            chunk.walk.take_back();
            refused.push(Refused { event, reason });
        }
    }
    let findings = chunk.walk.findings();
    let n_rows = chunk.walk.n_rows;
    let mut fields = Vec::with_capacity(chunk.walk.columns.len());
    let mut arrays = Vec::with_capacity(chunk.walk.columns.len());
    for (field, column) in plan.fields.iter().zip(chunk.walk.columns) {
        // Millions of events without fields must not cost a null for each column of a wide table.
        if column.len() > 0 {
            let array = column.finish(n_rows)?;
            fields.push(field.of_type(array.data_type()));
            arrays.push(array);
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
    let schema = Arc::new(Schema::new(Fields::from(fields)));
    let rows = RecordBatch::try_new_with_options(schema, arrays, &options)?;
    Ok(Chunk {
        rows: (n_rows > 0).then_some(rows),
        refused,
        n_rescued: chunk.n_rescued,
        findings,
    })
}

struct Rows<'p, 'i> {
    walk: Walk<'p>,
    input: &'i Input<'i>,
    /// The time pointer that counted last.
    guess: u8,
    /// The last `_time_source`, since it hardly ever changes.
    time_source: Option<(u8, time::Form, String)>,
    /// The record of the last row.
    source: Option<u32>,
    n_rescued: u64,
    names: Names,
}

impl Rows<'_, '_> {
    /// Makes one event a row, or says why not; then the row has to be taken back.
    fn event(&mut self, number: usize, event: &Event<'_>) -> Result<(), Refusal> {
        let plan = self.walk.plan;
        let (event_bytes, max_event_bytes) = (event.bytes.len(), plan.shape.max_event_bytes);
        if event_bytes > max_event_bytes {
            return Err(Refusal::TooLong {
                event_bytes,
                max_event_bytes,
            });
        }
        if simdutf8::basic::from_utf8(event.bytes).is_err() {
            return Err(Refusal::of_bytes(event.bytes));
        }
        let walked = if plan.time_may_be_hidden {
            Ok(TimeFound::Unclear)
        } else {
            self.walk
                .event(event.bytes, TimeRule::Guess(self.guess), Vec::new())
        };
        let time = match walked {
            Ok(TimeFound::Read(rank, reading)) => Some((rank, reading)),
            Ok(TimeFound::Absent) => None,
            Ok(TimeFound::Unclear) | Err(Stop::RepeatedKey) => self.again(event)?,
            Err(Stop::NotJson) => return Err(Refusal::of_bytes(event.bytes)),
        };
        let record = self.input.records[event.record as usize];
        let time_us = self.check_time(time, &record)?;
        self.check_required()?;
        self.put_system_columns(event, &record, time, time_us)?;
        self.n_rescued += self.walk.accept(number);
        Ok(())
    }

    /// Walks once more through an event that repeats a key or whose time is not where it was in the event before.
    fn again(&mut self, event: &Event<'_>) -> Result<Option<(u8, Reading)>, Refusal> {
        self.walk.take_back();
        let plan = self.walk.plan;
        let refuse = |_| Refusal::of_bytes(event.bytes);
        // In this order: what is no object must not be searched.
        let first = event.bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        if first != Some(&b'{') {
            return Err(Refusal::of_bytes(event.bytes));
        }
        let replaced = cold::replaced_members(event.bytes).map_err(refuse)?;
        let TimeLookup { chosen, present } =
            cold::look_up_time(event.bytes, &plan.time, &plan.trie, plan.assume_offset_s)
                .map_err(refuse)?;
        let rule = TimeRule::Known(chosen.map(|(rank, _)| rank));
        self.walk
            .event(event.bytes, rule, replaced)
            .map_err(refuse)?;
        if chosen.is_none()
            && !present.is_empty()
            && plan.shape.unreadable_time == UnreadableTime::Refuse
        {
            let names = present
                .iter()
                .map(|&rank| plan.time[usize::from(rank)].to_string());
            return Err(Refusal::UnreadableTime(self.names.list(names.collect())));
        }
        self.guess = chosen.map_or(self.guess, |(rank, _)| rank);
        Ok(chosen)
    }

    /// The event time, if it is in range; the arrival always is.
    fn check_time(
        &mut self,
        time: Option<(u8, Reading)>,
        record: &Record<'_>,
    ) -> Result<i64, Refusal> {
        let plan = self.walk.plan;
        let Some((rank, Reading { time_us, .. })) = time else {
            return Ok(record.arrival_us);
        };
        let latest_us = record
            .arrival_us
            .saturating_add(i64::from(plan.shape.latest_seconds) * 1_000_000);
        if (plan.earliest_us..=latest_us).contains(&time_us) {
            return Ok(time_us);
        }
        let pointer = self.names.one(&plan.time[usize::from(rank)].to_string());
        Err(Refusal::TimeOutOfRange { pointer, time_us })
    }

    fn check_required(&mut self) -> Result<(), Refusal> {
        let plan = self.walk.plan;
        let missing = plan
            .required
            .iter()
            .find(|&&column| self.walk.columns[column].len() <= self.walk.n_rows);
        match missing {
            Some(&column) => {
                let name = self.names.one(&plan.columns[column].name);
                Err(Refusal::MissingRequired(name))
            }
            None => Ok(()),
        }
    }

    fn put_system_columns(
        &mut self,
        event: &Event<'_>,
        record: &Record<'_>,
        time: Option<(u8, Reading)>,
        time_us: i64,
    ) -> Result<(), Refusal> {
        let plan = self.walk.plan;
        let [
            event_time,
            ingested_at,
            time_source,
            source_id,
            source_index,
            doc,
        ] = plan.system;
        let row = self.walk.n_rows;
        if plan.shape.doc == Doc::Full {
            let whole = self.whole_event(event.bytes)?;
            self.walk.columns[doc].put_text(row, &whole, whole.len());
        } else if let Some(document) = self.walk.doc.document() {
            self.walk.columns[doc].put_text(row, document, document.len());
        }
        let columns = &mut self.walk.columns;
        columns[event_time].put_long(row, time_us);
        columns[ingested_at].put_long(row, self.input.ingested_at_us);
        let source_text = record.source_id.as_bytes();
        if self.source.replace(event.record) == Some(event.record) {
            columns[source_id].put_text_again(row, source_text);
        } else {
            columns[source_id].put_text(row, source_text, source_text.len());
        }
        columns[source_index].put_long(row, event.index);
        let Some((rank, Reading { form, .. })) = time else {
            self.time_source = None;
            columns[time_source].put_text(row, b"arrival", b"arrival".len());
            return Ok(());
        };
        if !matches!(&self.time_source, Some((last, last_form, _)) if (*last, *last_form) == (rank, form))
        {
            let text = format!("{} {form}", plan.time[usize::from(rank)]);
            columns[time_source].put_text(row, text.as_bytes(), text.len());
            self.time_source = Some((rank, form, text));
            return Ok(());
        }
        let text = self.time_source.as_ref().map_or("", |(_, _, text)| text);
        columns[time_source].put_text_again(row, text.as_bytes());
        Ok(())
    }

    /// The event for `doc = "full"`: its original bytes, unless something in it is hidden.
    fn whole_event(&self, bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
        let trimmed = bytes.trim_ascii();
        let hidden = cold::without_hidden(trimmed, &(0..trimmed.len()), ROOT, self.walk.trie());
        let hidden = hidden.map_err(|_| Refusal::of_bytes(bytes))?;
        Ok(hidden.unwrap_or_else(|| trimmed.to_vec()))
    }
}
