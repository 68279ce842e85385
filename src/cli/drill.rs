//! `drill`: runs the state machine of `interventions::drill` against the cluster.

use crate::cli::failure::Failure;
use crate::cli::intervene::{checked_reason, refused};
use crate::cli::object_name::ObjectName;
use crate::cli::session::{Session, SessionArgs};
use crate::cli::values::parse_delay;
use crate::cli::written;
use crate::engine::annotations::{PIN, PIN_UNTIL};
use crate::engine::to_the_second;
use crate::interventions::action::{Action, Order};
use crate::interventions::drill::{
    Candidate, Drill, End, Look, Step, Why, candidate, facts, seconds,
};
use crate::interventions::edit;
use crate::interventions::write::{self, CLI_MANAGER, WriteError};
use crate::kinds::{FIELD_MANAGER, ObjectRef};
use crate::snapshot::{Area, Snapshot};
use jiff::{SignedDuration, Timestamp};
use kube::core::DynamicObject;
use kube::{Api, Resource, ResourceExt};
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How often it is looked at the object: while traffic moves, and while it stays.
const MOVING: Duration = Duration::from_millis(250);
const STAYING: Duration = Duration::from_secs(2);

/// How often the pin is tried to be taken off.
const ATTEMPTS: u32 = 10;

/// Send the traffic of an object to a fallback for a while, watch it, and call it back
///
/// A fallback that is never used does not work when it is needed. The drill is refused unless a fallback is
/// ready. Traffic is called back at the end, on Ctrl-C, and when the fallback is not ready any more; and where
/// this terminal dies, the pin ends by itself at its time.
#[derive(Clone, Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The object: KIND/NAME, such as trafficsplit/emoji
    #[arg(value_name = "KIND/NAME")]
    object: String,
    /// How long, such as 5m
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_delay)]
    lasts: SignedDuration,
    /// The fallback [default: the first one that is ready]
    #[arg(long, value_name = "BACKEND")]
    to: Option<String>,
    /// Why, for whoever looks at it meanwhile
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    session: SessionArgs,
}

/// The object of a drill, and who runs it.
struct Run {
    session: Session,
    object: ObjectRef,
    api: Api<DynamicObject>,
    person: String,
    began: Timestamp,
}

/// Refuses, or drills to the end.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { object, lasts, to, reason, session } = args;
    let name = ObjectName::parse(&object)?;
    checked_reason(reason.as_deref())?;
    if lasts < SignedDuration::from_secs(1) {
        let failure = Failure::of("--for", format!("{lasts:#}"));
        return Err(failure.expected("at least 1s, such as 5m").into());
    }
    let session = session.connect().await?;
    let object = session.object(&name)?;
    let snapshot = look_at(&session, &object).await?;
    let Some(row) = snapshot.row(&object) else {
        return Err(session.why_unmanaged(&snapshot, &object).await.into());
    };
    let chosen = candidate(&row, snapshot.stopped(), to.as_deref());
    let chosen = chosen.map_err(|refusal| refused(&object, refusal))?;
    let version = snapshot.index.served(object.kind).unwrap_or(object.kind.versions()[0]);
    let resource = object.kind.api_resource(version);
    let api = Api::namespaced_with(session.client.clone(), object.namespace(), &resource);
    let person = write::person(&session.client).await;
    let person = person.map_err(|error| Failure::of_request("who you are", &error))?;
    let began = to_the_second(Timestamp::now());
    let run = Run { session, object, api, person, began };
    run.drill(chosen, lasts, reason).await
}

async fn look_at(session: &Session, object: &ObjectRef) -> Result<Snapshot, Failure> {
    session.snapshot_of(Area::Namespace(object.namespace().to_owned())).await
}

impl Run {
    async fn drill(
        self,
        chosen: Candidate,
        lasts: SignedDuration,
        reason: Option<String>,
    ) -> anyhow::Result<ExitCode> {
        // Before the pin: a signal that comes now must not leave it there.
        let mut interrupted = interrupts()?;
        let Candidate { fallback, health, primaries } = chosen;
        // The annotation has whole seconds: a part of one is not cut off.
        let until = to_the_second(Timestamp::now().saturating_add(lasts)?);
        let pin = Action::Drill { backend: fallback.clone() };
        if let Err(error) = self.write(pin, Some(until), reason).await {
            return written::fail(&self.object.to_string(), error);
        }
        let began = Timestamp::now();
        println!(
            "{}: pinned to {fallback} ({health}) until {until}, away from {}; Ctrl-C calls the traffic back",
            self.object,
            primaries.join(", ")
        );
        let mut drill = Drill::begun(fallback, began, until);
        let called_back = self.follow(&mut drill, &mut interrupted).await;
        for line in drill.report() {
            println!("{line}");
        }
        let is_right = matches!(called_back, Some(Why::Over | Why::Interrupted))
            && drill.moved_after().is_some()
            && matches!(drill.end(), Some(End::Returned(_, Some(_))));
        Ok(if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Follows a drill to its end. Returns why it was called back, where it was.
    async fn follow(
        &self,
        drill: &mut Drill,
        interrupted: &mut watch::Receiver<u32>,
    ) -> Option<Why> {
        let (mut called_back, mut has_moved) = (None, false);
        loop {
            let look = self.look(drill).await;
            let is_interrupted = *interrupted.borrow_and_update() > 0;
            let step = drill.step(&look, Timestamp::now(), is_interrupted);
            if let Some(after) = drill.moved_after().filter(|_| !has_moved) {
                println!("traffic moved {} after the pin", seconds(after));
                has_moved = true;
            }
            match step {
                Step::Done => return called_back,
                Step::Unpin(why) => {
                    println!("calling the traffic back: {why}");
                    called_back = Some(why);
                    self.call_back(drill, why).await;
                }
                Step::Wait => self.pause(drill, interrupted).await,
            }
        }
    }

    /// Until the next look: at the end of the drill at the latest, and at once on a signal.
    async fn pause(&self, drill: &Drill, interrupted: &mut watch::Receiver<u32>) {
        let left = Timestamp::now().duration_until(drill.until());
        let left = Duration::try_from(left).unwrap_or_default().max(Duration::from_millis(50));
        let pause = if drill.is_moving() { MOVING } else { STAYING.min(left) };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            Ok(()) = interrupted.changed() => {}
        }
    }

    async fn call_back(&self, drill: &mut Drill, why: Why) {
        for _ in 0..ATTEMPTS {
            match self.write(Action::Unpin, None, Some(format!("end of a drill: {why}"))).await {
                Ok(()) | Err(WriteError::Gone) => return drill.unpinned(why, Timestamp::now()),
                Err(error) => eprintln!("the pin is not taken off yet: {error}"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        drill.given_up(why);
    }

    async fn write(
        &self,
        action: Action,
        until: Option<Timestamp>,
        reason: Option<String>,
    ) -> Result<(), WriteError> {
        let (order, now) =
            (Order { action, until, person: self.person.clone(), reason }, Timestamp::now());
        let edit = |object: &DynamicObject| edit::edit(&order, object.meta(), now);
        let name = self.object.name();
        let written = write::write(&self.session.client, &self.api, name, false, edit).await?;
        written::warn(&written.warnings);
        Ok(())
    }

    async fn look(&self, drill: &Drill) -> Look {
        let snapshot = match look_at(&self.session, &self.object).await {
            Ok(snapshot) => snapshot,
            Err(failure) => {
                eprintln!("{failure}");
                return Look::Unseen;
            }
        };
        let (row, object) = (snapshot.row(&self.object), snapshot.objects.get(&self.object));
        let Some((row, object)) = row.zip(object) else { return Look::Gone };
        let annotation = |name: &str| object.annotations().get(name).cloned();
        let pin = [annotation(PIN), annotation(PIN_UNTIL)];
        Look::Seen(facts(&row, drill.fallback(), pin, others(object, self.began)))
    }
}

/// The field managers, but for the controller's and ours, that have written an object since.
fn others(object: &DynamicObject, since: Timestamp) -> BTreeSet<String> {
    let entries = object.metadata.managed_fields.iter().flatten();
    let is_new = |time: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Time| time.0 > since;
    let new = entries.filter(|entry| entry.time.as_ref().is_some_and(is_new));
    let managers = new.filter_map(|entry| entry.manager.clone());
    managers.filter(|name| name != FIELD_MANAGER && name != CLI_MANAGER).collect()
}

/// Counts the signals that end a drill: Ctrl-C, and the end of the terminal or of the session. The second one
/// ends the program; the pin then ends by itself.
fn interrupts() -> std::io::Result<watch::Receiver<u32>> {
    let (count, counted) = watch::channel(0);
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    for kind in kinds {
        let (mut signals, count) = (signal(kind)?, count.clone());
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                count.send_modify(|count| *count += 1);
                if *count.borrow() > 1 {
                    eprintln!("ended; the pin ends by itself at its time");
                    std::process::exit(1);
                }
            }
        });
    }
    Ok(counted)
}
