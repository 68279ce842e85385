//! `pin`, `unpin`, `pause`, `resume`, `failback`, `freeze`, `unfreeze`.

use crate::cli::failure::Failure;
use crate::cli::object_name::ObjectName;
use crate::cli::output::print_line;
use crate::cli::session::{Session, SessionArgs};
use crate::cli::values::{in_order, parse_delay};
use crate::cli::written::{self, DryRun, Target};
use crate::engine::to_the_second;
use crate::interventions::action::{Action, Order};
use crate::interventions::edit::{self, Basis};
use crate::interventions::refusal::Refusal;
use crate::interventions::{checks, write};
use crate::kinds::ObjectRef;
use crate::kinds::one_line::one_line;
use crate::snapshot::Snapshot;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Namespace;
use kube::core::DynamicObject;
use kube::{Api, Client, Resource};
use std::process::ExitCode;

/// In characters. A reason stands in an annotation, in Events and in tables.
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

/// Of objects of one namespace.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ObjectArgs {
    /// The objects: KIND/NAME, such as trafficsplit/emoji
    #[arg(value_name = "KIND/NAME", required = true)]
    objects: Vec<String>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    session: SessionArgs,
}

/// Send the traffic of an object to a backend, whatever the health of the others
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  linkerd-failover pin trafficsplit/emoji emoji-svc-west -n emojivoto --for 30m --reason 'drain of node-3'
  linkerd-failover pin httproute/web web-svc-east,web-svc-west")]
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
#[command(after_help = "Example:
  linkerd-failover pause trafficsplit/emoji -n emojivoto --for 1h --reason 'a release'")]
pub(super) struct PauseArgs {
    /// How long; without it until `resume`
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_delay)]
    lasts: Option<SignedDuration>,
    #[command(flatten)]
    objects: ObjectArgs,
}

/// End a manual stay on a fallback
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:
  linkerd-failover failback trafficsplit/emoji -n emojivoto --reason 'the database is back'")]
pub(super) struct FailbackArgs {
    /// Also while no primary is ready: traffic returns as soon as one is
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    objects: ObjectArgs,
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
#[command(after_help = "Example:
  linkerd-failover freeze --for 30m --reason 'incident 4711'")]
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
        return Err(Failure::of("BACKEND", "no name")
            .expected("the name of a backend")
            .next(format!("see them: linkerd-failover status {object}"))
            .unreadable()
            .into());
    }
    let request = Request { action: Action::Pin { backends }, lasts, how };
    change_objects(request, &[object], session, force).await
}

pub(super) async fn unpin(args: ObjectArgs) -> anyhow::Result<ExitCode> {
    undo(Action::Unpin, args).await
}

pub(super) async fn resume(args: ObjectArgs) -> anyhow::Result<ExitCode> {
    undo(Action::Resume, args).await
}

async fn undo(action: Action, args: ObjectArgs) -> anyhow::Result<ExitCode> {
    let ObjectArgs { objects, how, session } = args;
    change_objects(Request { action, lasts: None, how }, &objects, session, false).await
}

pub(super) async fn pause(args: PauseArgs) -> anyhow::Result<ExitCode> {
    let PauseArgs { lasts, objects: ObjectArgs { objects, how, session } } = args;
    change_objects(Request { action: Action::Pause, lasts, how }, &objects, session, false).await
}

pub(super) async fn failback(args: FailbackArgs) -> anyhow::Result<ExitCode> {
    let FailbackArgs { force, objects: ObjectArgs { objects, how, session } } = args;
    let request = Request { action: Action::Failback, lasts: None, how };
    change_objects(request, &objects, session, force).await
}

pub(super) async fn freeze(args: FreezeArgs) -> anyhow::Result<ExitCode> {
    let FreezeArgs { lasts, rest: ClusterWideArgs { how, session } } = args;
    change_cluster(Request { action: Action::Freeze, lasts, how }, session).await
}

pub(super) async fn unfreeze(args: ClusterWideArgs) -> anyhow::Result<ExitCode> {
    let ClusterWideArgs { how, session } = args;
    change_cluster(Request { action: Action::Unfreeze, lasts: None, how }, session).await
}

/// Changes one object after another; one that is refused keeps the others from nothing.
async fn change_objects(
    request: Request,
    names: &[String],
    session: SessionArgs,
    force: bool,
) -> anyhow::Result<ExitCode> {
    let names: Vec<ObjectName> =
        names.iter().map(|name| ObjectName::parse(name)).collect::<Result<_, _>>()?;
    let request = request.checked()?;
    let session = session.connect().await?;
    let objects: Vec<ObjectRef> =
        names.iter().map(|name| session.object(name)).collect::<Result<_, _>>()?;
    let snapshot = session.snapshot().await?;
    let change = Change::by_person(request, &session.client).await?;
    let mut all = true;
    for object in &objects {
        all &= change.object(&session, &snapshot, object, force).await.unwrap_or_else(|failure| {
            written::report_failure(&failure);
            false
        });
    }
    Ok(exit_code(all))
}

async fn change_cluster(request: Request, session: SessionArgs) -> anyhow::Result<ExitCode> {
    let request = request.checked()?;
    let asked_for = session.namespace.clone();
    let session = session.connect().await?;
    let installed = &session.installed;
    if installed.deployment.is_none() && installed.gaps.is_empty() {
        return Err(Failure::of("this cluster", "no linkerd-failover")
            .expected("one that is installed: the annotation is on its namespace")
            .next("choose another --context, or name it by --installation")
            .into());
    }
    let own = &installed.settings.installation.namespace;
    if let Some(other) = asked_for.filter(|asked_for| asked_for != own) {
        return Err(Failure::of(format!("-n {other}"), "a namespace of objects")
            .expected("none: a freeze is of the whole cluster")
            .next(format!("for one object: linkerd-failover pause KIND/NAME -n {other}"))
            .into());
    }
    let api: Api<Namespace> = Api::all(session.client.clone());
    let about = |error: kube::Error| Failure::of_request(format!("namespace {own}"), &error);
    let found = api.get(own).await.map_err(about)?;
    let change = Change::by_person(request, &session.client).await?;
    let basis = Basis::of(found.meta());
    Ok(exit_code(change.write(&session.client, &api, own, &Target::namespace(own), &basis).await))
}

fn exit_code(is_right: bool) -> ExitCode {
    if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The failure of a refused action.
pub(super) fn refused(object: &ObjectRef, refusal: Refusal) -> Failure {
    let Refusal { found, expected, next } = refusal;
    Failure::of(object, found).expected(expected).next(next)
}

/// A reason as one line; one that is too long is refused.
pub(super) fn checked_reason(reason: Option<String>) -> Result<Option<String>, Failure> {
    let reason = reason
        .map(|reason| one_line(reason.trim()).into_owned())
        .filter(|reason| !reason.is_empty());
    let length = reason.as_ref().map_or(0, |reason| reason.chars().count());
    match length > LONGEST_REASON {
        true => Err(Failure::of("--reason", format!("{length} characters"))
            .expected(format!("at most {LONGEST_REASON}"))
            .next("say where more stands, such as the number of an incident")
            .unreadable()),
        false => Ok(reason),
    }
}

impl Request {
    /// What can be known of it without a cluster.
    fn checked(self) -> Result<Self, Failure> {
        let How { reason, dry_run } = self.how;
        let how = How { reason: checked_reason(reason)?, dry_run };
        match self.lasts {
            Some(lasts) if lasts < SignedDuration::from_secs(1) => {
                Err(Failure::of("--for", format!("{lasts:#}"))
                    .expected("at least 1s, such as 30m")
                    .next("leave it out for no end")
                    .unreadable())
            }
            _ => Ok(Self { how, ..self }),
        }
    }
}

/// A request, and who makes it when.
struct Change {
    order: Order,
    dry_run: DryRun,
    now: Timestamp,
}

impl Change {
    async fn by_person(request: Request, client: &Client) -> Result<Self, Failure> {
        let Request { action, lasts, how: How { reason, dry_run } } = request;
        let now = Timestamp::now();
        let person = write::person(client).await;
        let person = person.map_err(|error| Failure::of_request("who you are", &error))?;
        let end = lasts.map(|lasts| now.saturating_add(lasts)).transpose();
        let until = end.map_err(|error| Failure::of("--for", error))?;
        Ok(Self { order: Order { action, until, person, reason }, dry_run, now })
    }

    /// Whether an object is as it should be after it.
    async fn object(
        &self,
        session: &Session,
        snapshot: &Snapshot,
        object: &ObjectRef,
        force: bool,
    ) -> Result<bool, Failure> {
        let (row, found) = (snapshot.row(object), snapshot.objects.get(object));
        let Some((row, found)) = row.zip(found) else {
            return Err(session.why_unmanaged(snapshot, object).await);
        };
        let action = &self.order.action;
        checks::check(action, &row, force).map_err(|refusal| refused(object, refusal))?;
        for hindrance in checks::hindrances(action, &row, snapshot.stopped()) {
            written::warn(&[hindrance.to_owned()]);
        }
        let version = snapshot.index.served(object.kind).unwrap_or(object.kind.versions()[0]);
        let resource = object.kind.api_resource(version);
        let api: Api<DynamicObject> =
            Api::namespaced_with(session.client.clone(), object.namespace(), &resource);
        let basis = Basis::of(found.meta());
        Ok(self.write(&session.client, &api, object.name(), &Target::of(object), &basis).await)
    }

    /// Writes it, and prints what was written.
    async fn write<K>(
        &self,
        client: &Client,
        api: &Api<K>,
        name: &str,
        target: &Target,
        basis: &Basis,
    ) -> bool
    where
        K: Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
    {
        let Self { order, dry_run, now } = self;
        let done = done(&order.action, order.until);
        if *dry_run == DryRun::Client {
            print_line(&format!("{} {done}{}", target.shown, dry_run.suffix()));
            for (name, value) in order.annotations(*now) {
                let value = value.map_or("-".to_owned(), |value| format!("={value}"));
                print_line(&format!("  {name}{value}"));
            }
            return true;
        }
        let edit = |object: &K| Ok(edit::edit(order, object.meta(), basis, *now)?);
        let is_dry = *dry_run == DryRun::Server;
        let result = write::write(client, api, name, is_dry, edit).await;
        written::report(target, &done, *dry_run, result)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        let checked = |reason: &str| checked_reason(Some(reason.to_owned()));
        assert_eq!(checked("two\nlines \"quoted\"").unwrap().unwrap(), "two lines \"quoted\"");
        assert_eq!(checked(" \n").unwrap(), None);
        assert!(checked(&"é".repeat(LONGEST_REASON)).is_ok());
        let long = checked(&"é".repeat(LONGEST_REASON + 1)).unwrap_err().to_string();
        assert!(
            long.starts_with("--reason: found 501 characters, expected at most 500;"),
            "{long}"
        );
    }
}
