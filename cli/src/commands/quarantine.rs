//! `calve quarantine`: what could not become rows, and the way back into the table.

mod list;
mod replay;
mod show;
mod sink;
mod text;

use futures::{Stream, StreamExt as _, stream};
use pipeline::{PipelineError, Quarantine, Settings, Stored, TableName};

use crate::args::{ChoiceArguments, ObjectArguments, QuarantineCommand};
use crate::commands::table;
use crate::error::CliError;
use crate::printer::Printer;

/// Carries out one of the quarantine commands. `table` is given when only its events count.
pub(crate) async fn run(
    command: &QuarantineCommand,
    table: Option<&TableName>,
    settings: &Settings,
    printer: Printer,
) -> Result<(), CliError> {
    let lake = table::open(settings).await?;
    let quarantine = Quarantine::new(settings, lake);
    let table = table.map(ToString::to_string);
    let table = table.as_deref();
    match command {
        QuarantineCommand::List(choice) => list::run(choice, table, &quarantine, printer).await,
        QuarantineCommand::Show(show) => show::run(show, table, &quarantine, printer).await,
        QuarantineCommand::Replay(replay) => {
            replay::run(replay, table, &quarantine, settings, printer).await
        }
    }
}

/// The objects that the arguments name, or all of them, as they are found.
fn objects<'a>(
    which: &'a ObjectArguments,
    table: Option<&'a str>,
    quarantine: &'a Quarantine,
) -> impl Stream<Item = Result<Stored, CliError>> + 'a {
    let all = which.all.then(|| found(&which.choice, table, quarantine));
    let named = stream::iter(&which.objects)
        .then(move |name| async move { quarantine.find(name).await.map_err(cannot_read) });
    stream::iter(all).flatten().chain(named)
}

/// All objects of the table and since the day, if such are given.
fn found<'a>(
    choice: &ChoiceArguments,
    table: Option<&'a str>,
    quarantine: &'a Quarantine,
) -> impl Stream<Item = Result<Stored, CliError>> + 'a {
    let since = choice.since.map(|day| day.to_string());
    let objects = quarantine.objects(table, since);
    objects.map(|stored| stored.map_err(cannot_read))
}

fn cannot_read(source: PipelineError) -> CliError {
    CliError::Quarantine(source.into())
}
