//! `calve quarantine show`.

use std::fmt;

use futures::StreamExt as _;
use pipeline::{Quarantine, QuarantinedEvent, QuarantinedReceipt, Stored, StoredIn};
use serde::Serialize;

use super::sink::Sink;
use super::text::printable;
use super::{cannot_read, objects};
use crate::args::ShowArguments;
use crate::error::CliError;
use crate::printer::{Printer, count};

/// Prints the events of the objects, one after another.
pub(super) async fn run(
    arguments: &ShowArguments,
    table: Option<&str>,
    quarantine: &Quarantine,
    printer: Printer,
) -> Result<(), CliError> {
    let mut show = Show {
        arguments,
        sink: if arguments.raw {
            Sink::raw_only()
        } else {
            Sink::new(printer, "events")?
        },
        totals: Totals::default(),
        error: None,
    };
    let mut objects = std::pin::pin!(objects(&arguments.which, table, quarantine));
    while let Some(stored) = objects.next().await {
        let stored = stored?;
        let Some(object) = quarantine.get(&stored).await.map_err(cannot_read)? else {
            continue;
        };
        match stored.holds {
            StoredIn::Receipt => {
                let receipt = stored.receipt(&object).map_err(cannot_read)?;
                show.receipt(&stored, &receipt);
            }
            StoredIn::Events => {
                let read = stored.each_event(&object, |event| show.event(&stored, &event));
                read.map_err(cannot_read)?;
            }
        }
        if !show.may_go_on() {
            break;
        }
    }
    match show.error {
        Some(error) => Err(error),
        None if arguments.raw => show.sink.flush(),
        None => show.sink.end(&show.totals, "totals", &show.totals),
    }
}

struct Show<'a> {
    arguments: &'a ShowArguments,
    sink: Sink,
    totals: Totals,
    error: Option<CliError>,
}

/// How much was shown.
#[derive(Debug, Default, Serialize)]
struct Totals {
    n_shown: u64,
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} shown", count(self.n_shown, "event"))
    }
}

impl Show<'_> {
    /// Prints an event, and says whether there is room for more.
    fn event(&mut self, stored: &Stored, event: &QuarantinedEvent) -> bool {
        if !self.is_chosen(&event.kind) {
            return true;
        }
        let payload = event.payload();
        let item = Item {
            object: &stored.path,
            event,
        };
        self.print(&payload, &EventText(&item, &payload), &item)
    }

    fn receipt(&mut self, stored: &Stored, receipt: &QuarantinedReceipt) -> bool {
        if !self.is_chosen(&receipt.kind) {
            return true;
        }
        let bytes = match (&receipt.receipt, &receipt.message) {
            (Some(receipt), _) => receipt.get(),
            (None, message) => message.as_deref().unwrap_or_default(),
        };
        let item = ReceiptItem {
            object: &stored.path,
            receipt,
        };
        self.print(bytes.as_bytes(), &ReceiptText(&item, bytes), &item)
    }

    fn print(&mut self, bytes: &[u8], text: &impl fmt::Display, value: &impl Serialize) -> bool {
        let printed = if self.arguments.raw {
            self.sink.raw(bytes)
        } else {
            self.sink.item(text, value)
        };
        self.totals.n_shown += 1;
        self.error = printed.err();
        self.may_go_on()
    }

    fn is_chosen(&self, kind: &String) -> bool {
        let reason = &self.arguments.which.choice.reason;
        reason.as_ref().is_none_or(|reason| reason == kind)
    }

    fn may_go_on(&self) -> bool {
        let limit = self.arguments.limit.unwrap_or(u64::MAX);
        self.error.is_none() && self.sink.is_open() && self.totals.n_shown < limit
    }
}

/// One event, with the object that it is in.
#[derive(Debug, Serialize)]
struct Item<'a> {
    object: &'a str,
    #[serde(flatten)]
    event: &'a QuarantinedEvent,
}

struct EventText<'a>(&'a Item<'a>, &'a [u8]);

impl fmt::Display for EventText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Item { object, event } = self.0;
        let safe = |text: &str| printable(text.as_bytes());
        let index = event.source_index.map(|index| format!(" #{index}"));
        writeln!(
            f,
            "{}{} at byte {}, arrived {}",
            safe(&event.source_id),
            index.unwrap_or_default(),
            event.offset,
            safe(&event.received_at),
        )?;
        writeln!(f, "  in      {object}")?;
        writeln!(
            f,
            "  reason  {}: {}",
            safe(&event.kind),
            safe(&event.reason)
        )?;
        write!(f, "  bytes   {}", printable(self.1))
    }
}

/// One receipt, with the object that it is in.
#[derive(Debug, Serialize)]
struct ReceiptItem<'a> {
    object: &'a str,
    #[serde(flatten)]
    receipt: &'a QuarantinedReceipt,
}

struct ReceiptText<'a>(&'a ReceiptItem<'a>, &'a str);

impl fmt::Display for ReceiptText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReceiptItem { object, receipt } = self.0;
        let safe = |text: &str| printable(text.as_bytes());
        let what = if receipt.receipt.is_some() {
            "receipt"
        } else {
            "message"
        };
        writeln!(f, "{what} in {object}")?;
        writeln!(
            f,
            "  reason  {}: {}",
            safe(&receipt.kind),
            safe(&receipt.reason)
        )?;
        write!(f, "  bytes   {}", safe(self.1))
    }
}
