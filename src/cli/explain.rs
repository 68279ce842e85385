//! `linkerd-failover explain`.

use crate::checks::protection::missing;
use crate::cli::looker::report_gaps;
use crate::cli::object_name::ObjectName;
use crate::cli::output::print;
use crate::cli::session::{Session, SessionArgs};
use crate::engine::annotations::{FAILBACK_REQUESTED, PAUSED, PAUSED_UNTIL, PIN, PIN_UNTIL};
use crate::kinds::ObjectRef;
use crate::kinds::field_writers::FieldWriter;
use crate::printers::explanation::{Explained, explain};
use crate::snapshot::Snapshot;
use crate::snapshot::row::ObjectRow;
use std::process::ExitCode;

/// Explain where the traffic of an object is: its tiers, the facts, the rule that decided, what it waits for
///
/// It decides as the controller does, from the same facts, and works while no replica runs. Nothing is written.
#[derive(Clone, Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:
  linkerd-failover explain trafficsplit/emoji -n emojivoto"
)]
pub(super) struct Args {
    /// The object
    #[arg(value_name = "KIND/NAME")]
    object: String,
    #[command(flatten)]
    session: SessionArgs,
}

/// What a person writes to hold or to move traffic.
const BY_PEOPLE: [&str; 5] = [PIN, PIN_UNTIL, PAUSED, PAUSED_UNTIL, FAILBACK_REQUESTED];

/// Prints the explanation.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (session, snapshot, row) = look(&args.object, args.session).await?;
    report_gaps(&snapshot);
    let found = snapshot.objects.get(&row.object);
    let writers = BY_PEOPLE.into_iter().filter_map(|name| FieldWriter::of(found?, name));
    let settings = &session.installed.settings;
    let explained = Explained {
        row: &row,
        writers: &writers.collect::<Vec<_>>(),
        cluster_holds: &snapshot.cluster_holds(&settings.installation.namespace),
        missing: &missing(&snapshot, &row.object, settings),
        now: snapshot.now.wall,
    };
    print(&explain(&explained))?;
    Ok(ExitCode::SUCCESS)
}

/// A snapshot, and the row of the object of this name.
pub(super) async fn look(
    name: &str,
    args: SessionArgs,
) -> anyhow::Result<(Session, Snapshot, ObjectRow)> {
    let name = ObjectName::parse(name)?;
    let session = args.connect().await?;
    let object: ObjectRef = session.object(&name)?;
    let snapshot = session.snapshot().await?;
    match snapshot.row(&object) {
        Some(row) => Ok((session, snapshot, row)),
        None => Err(session.why_unmanaged(&snapshot, &object).await.into()),
    }
}
