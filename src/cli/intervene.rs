//! `pin`, `unpin`, `pause`, `resume`, `failback`, `freeze`, `unfreeze`.

use crate::cli::failure::Failure;
use crate::cli::object_name::ObjectName;
use crate::cli::session::{Session, SessionArgs};
use crate::cli::values::{in_order, parse_delay};
use crate::cli::written::{self, DryRun};
use crate::engine::to_the_second;
use crate::interventions::action::{Action, Order};
use crate::interventions::refusal::Refusal;
use crate::interventions::{checks, edit, write};
use crate::kinds::ObjectRef;
use crate::snapshot::Area;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Namespace;
use kube::core::DynamicObject;
use kube::{Api, Resource};
use std::process::ExitCode;

/// A reason stands in an annotation, in Events and in tables.
const LONGEST_REASON: usize = 500;

/// How something is changed.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct How {
    /// Why, for whoever looks at it later: it stands in the annotation changed-by, and in Events
    #[arg(long)]
    reason: Option<String>,
    /// Only show what would be written: as far as is known here, or as the API server would write it
    #[arg(long, value_enum, default_value_t, value_name = "WHERE")]
    dry_run: DryRun,
}

/// Of one object.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ObjectArgs {
    /// The object: KIND/NAME, such as trafficsplit/emoji
    #[arg(value_name = "KIND/NAME")]
    object: String,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    session: SessionArgs,
}

/// Send the traffic of an object to a backend, whatever the health of the others
#[derive(Clone, Debug, clap::Args)]
pub(super) struct PinArgs {
    /// The object: KIND/NAME, such as trafficsplit/emoji
    #[arg(value_name = "KIND/NAME")]
    object: String,
    /// The backend; several with commas between
    #[arg(value_delimiter = ',', required = true)]
    backend: Vec<String>,
    /// How long; without it until `unpin`
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_delay)]
    lasts: Option<SignedDuration>,
    /// Also to a backend that is not ready
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    session: SessionArgs,
}

/// Write nothing to an object: its weights stay as they are
#[derive(Clone, Debug, clap::Args)]
pub(super) struct PauseArgs {
    /// How long; without it until `resume`
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_delay)]
    lasts: Option<SignedDuration>,
    #[command(flatten)]
    object: ObjectArgs,
}

/// End a manual stay on a fallback
#[derive(Clone, Debug, clap::Args)]
pub(super) struct FailbackArgs {
    /// Also while no primary is ready: traffic returns as soon as one is
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    object: ObjectArgs,
}

/// Of the whole cluster.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ClusterWideArgs {
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    session: SessionArgs,
}

/// Write nothing in the whole cluster
#[derive(Clone, Debug, clap::Args)]
pub(super) struct FreezeArgs {
    /// How long; without it until `unfreeze`
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_delay)]
    lasts: Option<SignedDuration>,
    #[command(flatten)]
    rest: ClusterWideArgs,
}

/// An action, and how it is done.
struct Request {
    action: Action,
    lasts: Option<SignedDuration>,
    how: How,
}

pub(super) async fn pin(args: PinArgs) -> anyhow::Result<ExitCode> {
    let PinArgs { object, backend, lasts, force, how, session } = args;
    let backends = in_order(backend);
    if backends.is_empty() {
        return Err(Failure::of("BACKEND", "no name").expected("the name of a backend").into());
    }
    let request = Request { action: Action::Pin { backends }, lasts, how };
    change_object(request, &object, session, force).await
}

pub(super) async fn unpin(args: ObjectArgs) -> anyhow::Result<ExitCode> {
    undo(Action::Unpin, args).await
}

pub(super) async fn resume(args: ObjectArgs) -> anyhow::Result<ExitCode> {
    undo(Action::Resume, args).await
}

async fn undo(action: Action, args: ObjectArgs) -> anyhow::Result<ExitCode> {
    let ObjectArgs { object, how, session } = args;
    change_object(Request { action, lasts: None, how }, &object, session, false).await
}

pub(super) async fn pause(args: PauseArgs) -> anyhow::Result<ExitCode> {
    let PauseArgs { lasts, object: ObjectArgs { object, how, session } } = args;
    change_object(Request { action: Action::Pause, lasts, how }, &object, session, false).await
}

pub(super) async fn failback(args: FailbackArgs) -> anyhow::Result<ExitCode> {
    let FailbackArgs { force, object: ObjectArgs { object, how, session } } = args;
    let request = Request { action: Action::Failback, lasts: None, how };
    change_object(request, &object, session, force).await
}

pub(super) async fn freeze(args: FreezeArgs) -> anyhow::Result<ExitCode> {
    let FreezeArgs { lasts, rest: ClusterWideArgs { how, session } } = args;
    change_cluster(Request { action: Action::Freeze, lasts, how }, session).await
}

pub(super) async fn unfreeze(args: ClusterWideArgs) -> anyhow::Result<ExitCode> {
    let ClusterWideArgs { how, session } = args;
    change_cluster(Request { action: Action::Unfreeze, lasts: None, how }, session).await
}

async fn change_object(
    request: Request,
    name: &str,
    session: SessionArgs,
    force: bool,
) -> anyhow::Result<ExitCode> {
    let name = ObjectName::parse(name)?;
    request.check()?;
    let session = session.connect().await?;
    let object = session.object(&name)?;
    let snapshot = session.snapshot_of(Area::Namespace(object.namespace().to_owned())).await?;
    let Some(row) = snapshot.row(&object) else {
        return Err(session.why_unmanaged(&snapshot, &object).await.into());
    };
    checks::check(&request.action, &row, force).map_err(|refusal| refused(&object, refusal))?;
    let version = snapshot.index.served(object.kind).unwrap_or(object.kind.versions()[0]);
    let resource = object.kind.api_resource(version);
    let api: Api<DynamicObject> =
        Api::namespaced_with(session.client.clone(), object.namespace(), &resource);
    let kind = object.kind.as_str().to_ascii_lowercase();
    let shown = format!("{kind}.{}/{}", object.kind.group(), object.name());
    request.write(&session, &api, object.name(), &shown).await
}

async fn change_cluster(request: Request, session: SessionArgs) -> anyhow::Result<ExitCode> {
    request.check()?;
    let session = session.connect().await?;
    let installed = &session.installed;
    if installed.deployment.is_none() && installed.gaps.is_empty() {
        return Err(Failure::of("this cluster", "no linkerd-failover")
            .expected("one that is installed: the annotation is on its namespace")
            .next("choose another --context, or name it by --installation")
            .into());
    }
    let namespace = installed.settings.installation.namespace.clone();
    let api: Api<Namespace> = Api::all(session.client.clone());
    request.write(&session, &api, &namespace, &format!("namespace/{namespace}")).await
}

/// The failure of a refused action.
pub(super) fn refused(object: &ObjectRef, refusal: Refusal) -> Failure {
    let Refusal { found, expected, next } = refusal;
    Failure::of(object, found).expected(expected).next(next)
}

/// Refuses a reason that is too long.
pub(super) fn checked_reason(reason: Option<&str>) -> Result<(), Failure> {
    let length = reason.map_or(0, |reason| reason.chars().count());
    match length > LONGEST_REASON {
        true => Err(Failure::of("--reason", format!("{length} characters"))
            .expected(format!("at most {LONGEST_REASON}"))),
        false => Ok(()),
    }
}

impl Request {
    /// What can be known of it without a cluster.
    fn check(&self) -> Result<(), Failure> {
        checked_reason(self.how.reason.as_deref())?;
        match self.lasts {
            Some(lasts) if lasts < SignedDuration::from_secs(1) => {
                Err(Failure::of("--for", format!("{lasts:#}")).expected("at least 1s, such as 30m"))
            }
            _ => Ok(()),
        }
    }

    /// Writes it, and prints what was written.
    async fn write<K>(
        self,
        session: &Session,
        api: &Api<K>,
        name: &str,
        shown: &str,
    ) -> anyhow::Result<ExitCode>
    where
        K: Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
    {
        let now = Timestamp::now();
        let person = write::person(&session.client).await;
        let person = person.map_err(|error| Failure::of_request("who you are", &error))?;
        let Self { action, lasts, how } = self;
        let until = lasts.map(|lasts| now.saturating_add(lasts)).transpose()?;
        let done = done(&action, until);
        let order = Order { action, until, person, reason: how.reason };
        let edit = |object: &K| edit::edit(&order, object.meta(), now);
        if how.dry_run == DryRun::Client {
            println!("{shown} {done} (dry run)");
            for (name, value) in order.annotations(now) {
                println!("  {name}{}", value.map_or("-".to_owned(), |value| format!("={value}")));
            }
            return Ok(ExitCode::SUCCESS);
        }
        let is_dry = how.dry_run == DryRun::Server;
        let result = write::write(&session.client, api, name, is_dry, edit).await;
        written::report(shown, &done, how.dry_run, result)
    }
}

/// `pinned to emoji-svc-west until 2026-11-26T03:30:00Z`.
fn done(action: &Action, until: Option<Timestamp>) -> String {
    let to = match action {
        Action::Pin { backends } => format!(" to {}", backends.join(",")),
        _ => String::new(),
    };
    let until = until.map(|until| format!(" until {}", to_the_second(until))).unwrap_or_default();
    format!("{}{to}{until}", action.intervention().done())
}
