//! One object into the table: many pieces, one receipt.

use std::{collections::HashSet, sync::Arc, time::Instant};

use bytes::Bytes;
use lake::{BatchId, DataFile, ReceiptSource, SourceRecords, Token};

use super::{
    SourceObject,
    read::{NotRead, ObjectPieces},
};
use crate::{
    InflateError, Invocation, Outcome, Payload, Pipeline, PipelineError, Record, Report,
    SourceBatch,
    frame::frame,
    open_table::OpenTable,
    pieces::Piece,
    pipeline::{Landing, MAX_ROUNDS, give_up_at, ms_since},
    read::Content,
};

/// How often an object is read from its beginning, since the table may change so that its files do not fit any more.
const MAX_READS: u32 = 4;

/// What became of the object as a whole.
enum Landed {
    /// These files hold its rows.
    Files(Vec<DataFile>),
    Superseded,
}

/// What every piece of an object shares.
struct Work<'a> {
    object: &'a SourceObject,
    batch: BatchId,
    invocation: &'a Invocation,
    arrival_us: i64,
    n_pieces: u64,
    n_events: i64,
    before_bytes: usize,
}

impl Pipeline {
    /// Lands an object: returns when all of its events are committed as one batch, in the quarantine, or when it turns out to
    /// have been replaced. It is read in pieces, so that memory does not depend on its size.
    ///
    /// # Errors
    ///
    /// Then the notification may not be acknowledged; the same object may be run again.
    pub async fn run_object(
        &self,
        object: &SourceObject,
        invocation: &Invocation,
    ) -> Result<Report, PipelineError> {
        let margin_ms = self.settings.deadline_margin_ms;
        let give_up = invocation.deadline.map(|at| give_up_at(at, margin_ms));
        let work = Box::pin(self.land_object(object, invocation, give_up));
        match give_up {
            None => work.await,
            Some(give_up) => tokio::time::timeout_at(give_up, work)
                .await
                .unwrap_or_else(|_| {
                    Err(PipelineError::Deadline {
                        table: self.name.to_string(),
                        n_records: 1,
                    })
                }),
        }
    }

    async fn land_object(
        &self,
        object: &SourceObject,
        invocation: &Invocation,
        give_up: Option<tokio::time::Instant>,
    ) -> Result<Report, PipelineError> {
        let started = Instant::now();
        let mut open = self.current(invocation).await?;
        for read in 0..MAX_READS {
            let mut report = Report::of_object(&self.name.to_string(), self.is_staged());
            let finished = |mut report: Report, outcome| {
                report.set_outcome(object, outcome);
                report.elapsed_ms.total = ms_since(started);
                Ok(report)
            };
            let batch = BatchId {
                token: Token::new(open.table.uuid(), "s3", object.source_id().as_bytes()),
                attempt: invocation.seed.wrapping_add(u64::from(read) << 32),
            };
            if self.is_object_known(object, &batch, invocation).await? {
                report.is_repeat = true;
                return finished(report, Outcome::Known);
            }
            let landed = self.write_object(&mut open, object, batch, invocation, &mut report);
            let files = match landed.await? {
                Landed::Files(files) => files,
                Landed::Superseded => {
                    // What was written of it belongs to no receipt, and so to nobody.
                    let report = Report::of_object(&report.table, report.is_staged);
                    return finished(report, Outcome::Superseded);
                }
            };
            report.set_files(&files);
            let clock = Instant::now();
            let source = ReceiptSource {
                kind: "s3".to_owned(),
                records: SourceRecords::One(object.source_id()),
            };
            let written_at_ms = self.object_dated_ms(object, invocation);
            let receipt = lake::Receipt::new(&open.table, &batch, written_at_ms, source, files);
            let is_done = self
                .hand_over(receipt, invocation, give_up, &mut report)
                .await?;
            report.elapsed_ms.commit += ms_since(clock);
            if is_done {
                let outcome = report.outcome_of_object();
                return finished(report, outcome);
            }
            open = self.reload(invocation).await?;
        }
        Err(PipelineError::SchemaContention {
            table: self.name.to_string(),
            n_rounds: MAX_READS,
            n_events: 0,
        })
    }

    /// Whether an earlier notification brought the object. In staged mode the committer looks.
    async fn is_object_known(
        &self,
        object: &SourceObject,
        batch: &BatchId,
        invocation: &Invocation,
    ) -> Result<bool, PipelineError> {
        if self.is_staged() {
            return Ok(false);
        }
        let since_ms = self.object_dated_ms(object, invocation);
        let tokens = HashSet::from([batch.token]);
        let known = self
            .lake
            .committed(&self.name, &tokens, since_ms, None)
            .await;
        let known = known.map_err(|source| self.failed("look into the ledger of", source))?;
        Ok(known.contains_key(&batch.token))
    }

    /// Writes data files and quarantine of all pieces.
    async fn write_object(
        &self,
        open: &mut Arc<OpenTable>,
        object: &SourceObject,
        batch: BatchId,
        invocation: &Invocation,
        report: &mut Report,
    ) -> Result<Landed, PipelineError> {
        let Some(reader) = &self.objects else {
            return Err(PipelineError::NoSource {
                location: object.location(),
            });
        };
        let mut pieces = match ObjectPieces::open(reader, object).await {
            Ok(pieces) => pieces,
            Err(NotRead::Superseded) => return Ok(Landed::Superseded),
            Err(NotRead::Failed(error)) => return Err(error),
            Err(NotRead::Broken(reason)) => {
                let rest = Content::Unreadable(InflateError::Rest { reason });
                let mut work = Work::new(object, batch, invocation, None);
                return self
                    .write_piece(open, &mut work, rest, report)
                    .await
                    .map(Landed::Files);
            }
        };
        let mut work = Work::new(object, batch, invocation, pieces.modified_ms);
        let mut files = Vec::new();
        loop {
            let clock = Instant::now();
            let next = pieces.next().await;
            report.elapsed_ms.read += ms_since(clock);
            let (content, is_last) = match next {
                Ok(None) => return Ok(Landed::Files(files)),
                Ok(Some(piece)) => (work.content(piece), false),
                Err(NotRead::Superseded) => return Ok(Landed::Superseded),
                Err(NotRead::Failed(error)) => return Err(error),
                Err(NotRead::Broken(reason)) => {
                    (Content::Unreadable(InflateError::Rest { reason }), true)
                }
            };
            files.extend(self.write_piece(open, &mut work, content, report).await?);
            if is_last {
                return Ok(Landed::Files(files));
            }
        }
    }

    /// Writes data files and quarantine of one piece.
    async fn write_piece(
        &self,
        open: &mut Arc<OpenTable>,
        work: &mut Work<'_>,
        content: Content,
        report: &mut Report,
    ) -> Result<Vec<DataFile>, PipelineError> {
        let (payload, contents) = (Arc::new(work.payload()), Arc::new(vec![content]));
        let batch = work.next_batch();
        for _ in 0..MAX_ROUNDS {
            let clock = Instant::now();
            let now_us = work.invocation.now_us;
            let landing = self.flatten(open, &payload, &contents, now_us).await?;
            report.elapsed_ms.flatten += ms_since(clock);

            let clock = Instant::now();
            let is_raced = self.widen(open, &landing, work.invocation).await?;
            report.elapsed_ms.schema += ms_since(clock);
            if is_raced {
                continue; // Another writer changed the schema first: flatten again from the bytes.
            }

            let clock = Instant::now();
            let files = self.write(open, &landing, &batch).await?;
            report.elapsed_ms.write += ms_since(clock);

            let clock = Instant::now();
            let place = self.quarantine(open, &landing, &batch).await?;
            report.elapsed_ms.quarantine += ms_since(clock);
            report.add_piece(&landing, place);
            work.pass(&landing);
            return Ok(files);
        }
        Err(PipelineError::SchemaContention {
            table: self.name.to_string(),
            n_rounds: MAX_ROUNDS,
            n_events: crate::tally::n_events(&contents),
        })
    }

    /// The object cannot have been delivered before it was written; its notification was made right then.
    fn object_dated_ms(&self, object: &SourceObject, invocation: &Invocation) -> i64 {
        self.dated_back_ms(object.notified_us.div_euclid(1_000), invocation)
    }
}

impl<'a> Work<'a> {
    fn new(
        object: &'a SourceObject,
        batch: BatchId,
        invocation: &'a Invocation,
        modified_ms: Option<i64>,
    ) -> Self {
        let written_us = modified_ms.and_then(|ms| ms.checked_mul(1_000));
        Self {
            object,
            batch,
            invocation,
            arrival_us: written_us.unwrap_or(object.notified_us),
            n_pieces: 0,
            n_events: 0,
            before_bytes: 0,
        }
    }

    /// The events of a piece.
    fn content(&mut self, piece: Piece) -> Content {
        self.before_bytes = usize::try_from(piece.offset).unwrap_or(usize::MAX);
        let body = Bytes::from(piece.body);
        let frames = frame(&body, usize::MAX).numbered_from(self.n_events);
        Content::Events { body, frames }
    }

    /// A payload for what comes next of the object. Its body is in its content.
    fn payload(&self) -> Payload {
        let source_id = self.object.source_id();
        Payload {
            source: SourceBatch::object(&source_id, self.before_bytes),
            records: vec![Record {
                delivery_id: self.object.delivery_id.clone(),
                source_id,
                arrival_us: self.arrival_us,
                body: Bytes::new(),
                is_base64: false,
            }],
        }
    }

    /// Names for the files of the next piece.
    fn next_batch(&mut self) -> BatchId {
        self.n_pieces += 1;
        BatchId {
            attempt: self.batch.attempt.wrapping_add(self.n_pieces),
            ..self.batch
        }
    }

    /// Counts what is done.
    fn pass(&mut self, landing: &Landing) {
        for content in landing.contents.iter() {
            if let Content::Events { body, frames } = content {
                let n_events = frames.n_events() + usize::from(frames.broken.is_some());
                self.n_events += i64::try_from(n_events).unwrap_or(i64::MAX);
                self.before_bytes += body.len();
            }
        }
    }
}
