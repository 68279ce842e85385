//! `release` and `uninstall`: objects and ServiceProfiles go back to their authors.

use crate::cli::failure::Failure;
use crate::cli::object_name::ObjectName;
use crate::cli::output::print;
use crate::cli::session::{Session, SessionArgs};
use crate::cli::written::{self, DryRun, warn};
use crate::installation::release::{By, NotReleased, Release};
use crate::installation::{profiles, remains};
use crate::interventions::write::WriteError;
use crate::kinds::{Kind, ObjectRef};
use crate::snapshot::{Area, Snapshot};
use std::process::ExitCode;
use std::time::Duration;

/// Give objects back to their authors: the label goes off, and their weights come back
///
/// Nobody fails over for these objects any more, until they have the label again.
#[derive(Clone, Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The objects: KIND/NAME, such as trafficsplit/emoji
    #[arg(value_name = "KIND/NAME")]
    objects: Vec<String>,
    /// Every managed object of the namespace, or with -A of all
    #[arg(long, conflicts_with = "objects")]
    all: bool,
    /// Only show what would be released
    #[arg(long, value_enum, default_value_t, value_name = "WHERE")]
    dry_run: DryRun,
    #[command(flatten)]
    session: SessionArgs,
}

/// Give everything back, remove the webhooks, and print the rest for `kubectl delete -f -`
///
/// The webhooks go first: an API server that asks one which is gone refuses what everybody writes. Then each
/// object and each ServiceProfile becomes what its author wrote. Only where all of that succeeded is the rest
/// printed. Custom resources and the namespace are not among it.
#[derive(Clone, Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:
  linkerd-failover uninstall | kubectl delete -f -"
)]
pub(super) struct UninstallArgs {
    /// Only show what would be removed
    #[arg(long, value_enum, default_value_t, value_name = "WHERE")]
    dry_run: DryRun,
    #[command(flatten)]
    session: SessionArgs,
}

/// An API server asks a webhook for a moment after that is removed.
const FORGETS_WITHIN: Duration = Duration::from_secs(30);

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { objects, all, dry_run, session } = args;
    let names: Vec<ObjectName> =
        objects.iter().map(|name| ObjectName::parse(name)).collect::<Result<_, _>>()?;
    if names.is_empty() && !all {
        return Err(Failure::of("the arguments", "no object")
            .expected("KIND/NAME, or --all")
            .next("see what is managed: linkerd-failover status -A")
            .unreadable()
            .into());
    }
    let session = session.connect().await?;
    let snapshot = session.snapshot().await?;
    let objects = match names.is_empty() {
        true => snapshot.object_refs().into_iter().cloned().collect(),
        false => named(&session, &snapshot, &names).await?,
    };
    let is_right = give_back(&session, &snapshot, &objects, dry_run, Duration::ZERO).await;
    Ok(if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn named(
    session: &Session,
    snapshot: &Snapshot,
    names: &[ObjectName],
) -> Result<Vec<ObjectRef>, Failure> {
    let mut objects = vec![];
    for name in names {
        let object = session.object(name)?;
        if snapshot.index.object(&object).is_none() {
            return Err(session.why_unmanaged(snapshot, &object).await);
        }
        objects.push(object);
    }
    Ok(objects)
}

pub(super) async fn uninstall(args: UninstallArgs) -> anyhow::Result<ExitCode> {
    let UninstallArgs { dry_run, session } = args;
    let session = session.connect().await?;
    let (client, installation) = (&session.client, &session.installed.settings.installation);
    let refused = |error: remains::NotListed| Failure::of_request(error.what, &error.error);
    // First all that must be known: half of it would leave objects behind.
    let snapshot = session.snapshot_of(Area::All).await?;
    let unknown: Vec<String> = snapshot.gaps.iter().map(ToString::to_string).collect();
    let is_unknown = |kind: Kind| snapshot.index.served(kind).is_none();
    if !unknown.is_empty() && Kind::ALL.into_iter().all(is_unknown) {
        return Err(Failure::of("the managed objects", unknown.join("; "))
            .expected("the right to list them")
            .next("run it as an administrator of the cluster")
            .into());
    }
    remains::rest(client, installation).await.map_err(refused)?;
    let is_dry = dry_run != DryRun::None;
    let webhooks = remains::remove_webhooks(client, installation, is_dry).await.map_err(refused)?;
    for webhook in webhooks {
        eprintln!("{webhook} deleted{}", dry_run.suffix());
    }
    let objects: Vec<ObjectRef> = snapshot.object_refs().into_iter().cloned().collect();
    if !give_back(&session, &snapshot, &objects, dry_run, FORGETS_WITHIN).await {
        eprintln!(
            "not everything is given back: nothing else is removed; mend it, and run this again"
        );
        return Ok(ExitCode::FAILURE);
    }
    let (rest, release) = remains::rest(client, installation).await.map_err(refused)?;
    if let Some(release) = release {
        let namespace = &installation.namespace;
        eprintln!(
            "Helm has installed it: `helm uninstall {release} -n {namespace}` forgets the release too"
        );
    }
    print(&rest)?;
    Ok(ExitCode::SUCCESS)
}

/// Gives these back, one after another; whether all of them were.
async fn give_back(
    session: &Session,
    snapshot: &Snapshot,
    objects: &[ObjectRef],
    dry_run: DryRun,
    patience: Duration,
) -> bool {
    let settings = &session.installed.settings;
    let client = &session.client;
    let is_dry = dry_run != DryRun::None;
    let release = Release { client, snapshot, settings, dry_run: is_dry, patience };
    let mut all = true;
    for object in objects {
        match release.release(object).await {
            Ok((by, warnings)) => {
                warn(&warnings);
                eprintln!("{object} {}{}", text(by), dry_run.suffix());
            }
            Err(error) => {
                all = false;
                report(object, error);
                continue;
            }
        }
        for profile in profiles::of_split(snapshot, settings, object) {
            if is_dry {
                eprintln!("serviceprofile {profile} given back{}", dry_run.suffix());
                continue;
            }
            let version = snapshot.index.served(object.kind);
            match profiles::give_back(client, settings, object, version, &profile).await {
                Ok(()) => eprintln!("serviceprofile {profile} given back"),
                Err(error) => {
                    all = false;
                    eprintln!("serviceprofile {profile}: not given back ({error:#})");
                }
            }
        }
    }
    all
}

fn text(by: By) -> &'static str {
    match by {
        By::Webhook => "released",
        By::Here => "released, without the webhook",
        By::Nobody => "unchanged, it is not managed any more",
    }
}

fn report(object: &ObjectRef, error: NotReleased) {
    let shown = object.to_string();
    let failure = match error {
        NotReleased::Write(error @ WriteError::Failed(..)) if error.denial().is_some() => {
            let _ = written::fail(&shown, error);
            return;
        }
        NotReleased::Write(error) => written::failure(&shown, error).to_string(),
        other => format!("{shown}: {other}"),
    };
    eprintln!("linkerd-failover: {failure}");
}
