//! `release` and `uninstall`: objects and ServiceProfiles go back to their authors.

use crate::cli::failure::Failure;
use crate::cli::object_name::{ObjectName, SEE_MANAGED};
use crate::cli::output::{print, report_line};
use crate::cli::session::{Session, SessionArgs};
use crate::cli::written::{self, DryRun, Target, warn};
use crate::installation::left_behind::left_behind;
use crate::installation::release::{By, NotReleased, Release};
use crate::installation::{profiles, remains};
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use crate::snapshot::{Area, Gap, Snapshot};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Give objects back to their authors: the label goes off, and their weights come back
///
/// Nobody fails over for these objects any more, until they have the label again.
#[derive(Clone, Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:
  linkerd-failover release trafficsplit/emoji -n emojivoto
  linkerd-failover release --all -A --dry-run=server"
)]
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
            .next(SEE_MANAGED)
            .unreadable()
            .into());
    }
    let session = session.connect().await?;
    let snapshot = session.snapshot().await?;
    let (objects, are_managed) = match names.is_empty() {
        true => (snapshot.object_refs().into_iter().cloned().collect(), true),
        false => managed(&session, &snapshot, &names).await?,
    };
    let is_right = give_back(&session, &snapshot, &objects, dry_run, Instant::now()).await;
    Ok(if is_right && are_managed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The objects of these names, and whether all of them are managed: one that is not does not stop the others.
async fn managed(
    session: &Session,
    snapshot: &Snapshot,
    names: &[ObjectName],
) -> Result<(Vec<ObjectRef>, bool), Failure> {
    let named = names.iter().map(|name| session.object(name));
    let (objects, others): (Vec<_>, Vec<_>) = named
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .partition(|object| snapshot.index.object(object).is_some());
    for other in &others {
        written::report_failure(&session.why_unmanaged(snapshot, other).await);
    }
    Ok((objects, others.is_empty()))
}

pub(super) async fn uninstall(args: UninstallArgs) -> anyhow::Result<ExitCode> {
    let UninstallArgs { dry_run, session } = args;
    let session = session.connect().await?;
    let (client, installation) = (&session.client, &session.installed.settings.installation);
    let refused = |error: remains::NotListed| Failure::of_request(error.what, &error.error);
    // First all that must be known: half of it would leave objects behind.
    let snapshot = session.snapshot_of(Area::All).await?;
    check_known(&session, &snapshot)?;
    remains::rest(client, installation).await.map_err(refused)?;
    let is_dry = dry_run != DryRun::None;
    let webhooks = remains::remove_webhooks(client, installation, is_dry).await.map_err(refused)?;
    for webhook in webhooks {
        report_line(&format!("{webhook} deleted{}", dry_run.suffix()));
    }
    if !give_everything_back(&session, &snapshot, dry_run).await? {
        report_line(
            "not everything is given back: nothing else is removed; mend it, and run this again",
        );
        return Ok(ExitCode::FAILURE);
    }
    let (rest, release) = remains::rest(client, installation).await.map_err(refused)?;
    if let Some(release) = release {
        let namespace = &installation.namespace;
        report_line(&format!(
            "Helm has installed it: `helm uninstall {release} -n {namespace}` forgets the release too"
        ));
    }
    print(&if is_dry { commented(&rest) } else { rest })?;
    Ok(ExitCode::SUCCESS)
}

/// What a dry run prints must not be deleted by a pipe.
fn commented(text: &str) -> String {
    text.lines().map(|line| format!("# {line}\n")).collect()
}

/// Objects and profiles that may not be listed would stay as they are.
fn check_known(session: &Session, snapshot: &Snapshot) -> Result<(), Failure> {
    let is_needed = |gap: &&Gap| {
        let mut names = Kind::ALL.into_iter().map(Kind::plural).chain(["serviceprofiles"]);
        names.any(|name| gap.what.contains(name))
    };
    let gaps = snapshot.gaps.iter().filter(is_needed);
    let mut unknown: Vec<&str> = gaps.map(|gap| gap.what.as_str()).collect();
    if !session.installed.is_known {
        unknown.push("Deployments may not be listed, so that its settings are not known");
    }
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(Failure::of("what is to be given back", unknown.join("; "))
            .expected("the right to list all of it")
            .next("run it as an administrator of the cluster; nothing has been changed")),
    }
}

/// Gives back what is managed, the profiles of what is not any more, and names what is left behind.
async fn give_everything_back(
    session: &Session,
    snapshot: &Snapshot,
    dry_run: DryRun,
) -> Result<bool, Failure> {
    let (client, settings) = (&session.client, &session.installed.settings);
    let objects: Vec<ObjectRef> = snapshot.object_refs().into_iter().cloned().collect();
    let now = Instant::now();
    let forgotten = if dry_run == DryRun::None { now + FORGETS_WITHIN } else { now };
    let mut all = give_back(session, snapshot, &objects, dry_run, forgotten).await;
    let left = left_behind(client, snapshot, settings).await;
    let left = left.map_err(|error| Failure::of_request("what is not managed any more", &error))?;
    for (_, line) in &left {
        report_line(&format!("linkerd-failover: {line}"));
    }
    for (split, profile) in profiles::of_others(snapshot, settings) {
        // It would be given the weights of an outage.
        if left.iter().all(|(object, _)| *object != split) {
            all &= give_profile_back(session, snapshot, &split, &profile, dry_run).await;
        }
    }
    Ok(all && left.is_empty())
}

/// Gives these back, one after another; whether all of them were.
async fn give_back(
    session: &Session,
    snapshot: &Snapshot,
    objects: &[ObjectRef],
    dry_run: DryRun,
    forgotten: Instant,
) -> bool {
    let settings = &session.installed.settings;
    let client = &session.client;
    let is_dry = dry_run == DryRun::Server;
    let release = Release { client, snapshot, settings, dry_run: is_dry, forgotten };
    let mut all = true;
    for object in objects {
        let released = match dry_run {
            DryRun::Client => Ok((By::Webhook, vec![])),
            DryRun::None | DryRun::Server => release.release(object).await,
        };
        match released {
            Ok((by, warnings)) => {
                warn(&warnings);
                report_line(&format!("{object} {}{}", text(by), dry_run.suffix()));
            }
            Err(error) => {
                all = false;
                report(object, error);
                continue;
            }
        }
        for profile in profiles::of_split(snapshot, settings, object) {
            all &= give_profile_back(session, snapshot, object, &profile, dry_run).await;
        }
    }
    all
}

async fn give_profile_back(
    session: &Session,
    snapshot: &Snapshot,
    split: &ObjectRef,
    profile: &ObjectKey,
    dry_run: DryRun,
) -> bool {
    let settings = &session.installed.settings;
    let version = snapshot.index.served(split.kind);
    let given_back = match dry_run {
        DryRun::None => {
            profiles::give_back(&session.client, settings, split, version, profile).await
        }
        DryRun::Client | DryRun::Server => Ok(()),
    };
    let is_right = given_back.is_ok();
    report_line(&match given_back {
        Ok(()) => format!("serviceprofile {profile} given back{}", dry_run.suffix()),
        Err(error) => {
            format!("linkerd-failover: serviceprofile {profile}: not given back ({error:#})")
        }
    });
    is_right
}

fn text(by: By) -> &'static str {
    match by {
        By::Webhook => "released",
        By::Here => "released, without the webhook",
        By::Nobody => "unchanged, it is not managed any more",
    }
}

fn report(object: &ObjectRef, error: NotReleased) {
    match error {
        NotReleased::Write(error) => written::fail(&Target::of(object), error),
        other => report_line(&format!("linkerd-failover: {object}: {other}")),
    }
}
