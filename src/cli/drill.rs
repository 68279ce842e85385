//! `drill`: runs the state machine of `interventions::drill` against the cluster.

use crate::cli::failure::Failure;
use crate::cli::intervene::{checked_reason, refused};
use crate::cli::object_name::ObjectName;
use crate::cli::output::{print_line, report_line};
use crate::cli::session::{Session, SessionArgs};
use crate::cli::values::parse_delay;
use crate::cli::written::{self, Target};
use crate::engine::annotations::{PIN, PIN_UNTIL};
use crate::engine::to_the_second;
use crate::interventions::action::{Action, Order};
use crate::interventions::drill::{
    Candidate, Drill, End, Look, Step, Why, candidate, facts, seconds,
};
use crate::interventions::edit::{self, Basis};
use crate::interventions::write::{self, WriteError};
use crate::kinds::{CLI_MANAGER, FIELD_MANAGER, ObjectRef, get_known};
use crate::snapshot::{Area, Snapshot};
use jiff::{SignedDuration, Timestamp};
use kube::core::DynamicObject;
use kube::{Api, Resource, ResourceExt};
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often it is looked at the object: while traffic moves, and while it stays.
const MOVING: Duration = Duration::from_millis(250);
const STAYING: Duration = Duration::from_secs(2);

/// How often health is looked at. That lists, and asks linked clusters: it takes long.
const HEALTH_EVERY: Duration = Duration::from_secs(2);

/// So many looks at health that fail in a row, while the object can be read: it is not known any more.
const FAILED_LOOKS: u32 = 5;

/// The longest that a look at the object takes.
const LOOKS_WITHIN: Duration = Duration::from_secs(5);

/// How often the pin is tried to be taken off.
const ATTEMPTS: u32 = 10;

/// In less, traffic does not move and come back; for longer, nobody watches a terminal.
const SHORTEST: SignedDuration = SignedDuration::from_secs(10);
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// Send the traffic of an object to a fallback for a while, watch it, and call it back
///
/// A fallback that is never used does not work when it is needed. The drill is refused unless a fallback is
/// ready. Traffic is called back at the end, on Ctrl-C, and when the fallback is not ready any more; and where
/// this terminal dies, the pin ends by itself at its time.
#[derive(Clone, Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:
  linkerd-failover drill trafficsplit/emoji -n emojivoto --for 5m --reason 'game day'"
)]
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
    session: Arc<Session>,
    object: ObjectRef,
    api: Api<DynamicObject>,
    person: String,
    began: Timestamp,
}

/// Refuses, or drills to the end.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { object, lasts, to, reason, session } = args;
    let name = ObjectName::parse(&object)?;
    let reason = checked_reason(reason)?;
    check_length(lasts)?;
    let session = Arc::new(session.connect().await?);
    let object = session.object(&name)?;
    let snapshot = look_at(&session, &object).await?;
    let (row, found) = (snapshot.row(&object), snapshot.objects.get(&object));
    let Some((row, found)) = row.zip(found) else {
        return Err(session.why_unmanaged(&snapshot, &object).await.into());
    };
    let basis = Basis::of(found.meta());
    let chosen = candidate(&row, snapshot.stopped(), snapshot.is_led, to.as_deref());
    let chosen = chosen.map_err(|refusal| refused(&object, refusal))?;
    let version = snapshot.index.served(object.kind).unwrap_or(object.kind.versions()[0]);
    let resource = object.kind.api_resource(version);
    let api = Api::namespaced_with(session.client.clone(), object.namespace(), &resource);
    let person = write::person(&session.client).await;
    let person = person.map_err(|error| Failure::of_request("who you are", &error))?;
    let began = to_the_second(Timestamp::now());
    let run = Run { session, object, api, person, began };
    run.drill(chosen, lasts, reason, &basis, snapshot).await
}

fn check_length(lasts: SignedDuration) -> Result<(), Failure> {
    match (SHORTEST..=LONGEST).contains(&lasts) {
        true => Ok(()),
        false => Err(Failure::of("--for", format!("{lasts:#}"))
            .expected(format!("{SHORTEST:#} to {LONGEST:#}, such as 5m"))
            .next("for what lasts longer: linkerd-failover pin")
            .unreadable()),
    }
}

async fn look_at(session: &Session, object: &ObjectRef) -> Result<Snapshot, Failure> {
    session.snapshot_of(Area::Namespace(object.namespace().to_owned())).await
}

impl Run {
    async fn drill(
        &self,
        chosen: Candidate,
        lasts: SignedDuration,
        reason: Option<String>,
        basis: &Basis,
        snapshot: Snapshot,
    ) -> anyhow::Result<ExitCode> {
        // Before the pin: a signal that comes now must not leave it there.
        let mut interrupted = interrupts()?;
        let Candidate { fallback, health, primaries } = chosen;
        // The annotation has whole seconds.
        let until = to_the_second(Timestamp::now().saturating_add(lasts)?);
        let pin = Action::Drill { backend: fallback.clone() };
        let written = self.write(pin, Some(until), reason, basis).await;
        let mut drill = Drill::begun(fallback, Timestamp::now(), until);
        if let Err(error) = written {
            if error.is_unanswered() {
                report_line("whether the pin was written is not known: taking it off");
                self.call_back(&mut drill, Why::Interrupted).await;
            }
            written::fail(&Target::of(&self.object), error);
            return Ok(ExitCode::FAILURE);
        }
        print_line(&format!(
            "{}: pinned to {} ({health}) until {until}, away from {}; Ctrl-C calls the traffic back",
            self.object,
            drill.fallback(),
            primaries.join(", ")
        ));
        let called_back = self.follow(&mut drill, snapshot, &mut interrupted).await;
        for line in drill.report() {
            print_line(&line);
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
        snapshot: Snapshot,
        interrupted: &mut watch::Receiver<u32>,
    ) -> Option<Why> {
        let (mut called_back, mut has_moved) = (None, false);
        let mut sight = Sight::new(snapshot);
        loop {
            let look = self.look(&mut sight, drill).await;
            let is_interrupted = *interrupted.borrow_and_update() > 0;
            let step = drill.step(&look, Timestamp::now(), is_interrupted);
            if let Some(after) = drill.moved_after().filter(|_| !has_moved) {
                print_line(&format!("traffic moved {} after the pin", seconds(after)));
                has_moved = true;
            }
            match step {
                Step::Done => return called_back,
                Step::Unpin(why) => {
                    print_line(&format!("calling the traffic back: {why}"));
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

    /// Takes the pin off, and no other that somebody has set meanwhile.
    async fn call_back(&self, drill: &mut Drill, why: Why) {
        let basis = Basis::of_pin(drill.fallback(), drill.until());
        let mut may_be_off = false;
        for _ in 0..ATTEMPTS {
            let reason = Some(format!("end of a drill: {why}"));
            match self.write(Action::Unpin, None, reason, &basis).await {
                Ok(()) | Err(WriteError::Gone) => return drill.unpinned(why, Timestamp::now()),
                // An attempt that was not answered may have been ours.
                Err(WriteError::Changed(_)) if may_be_off => {
                    return drill.unpinned(why, Timestamp::now());
                }
                Err(WriteError::Changed(_)) => return drill.taken_over(),
                Err(error) => {
                    may_be_off |= error.is_unanswered();
                    report_line(&format!("the pin is not taken off yet: {error}"));
                }
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
        basis: &Basis,
    ) -> Result<(), WriteError> {
        let (order, now) =
            (Order { action, until, person: self.person.clone(), reason }, Timestamp::now());
        let edit = |object: &DynamicObject| Ok(edit::edit(&order, object.meta(), basis, now)?);
        let name = self.object.name();
        let written = write::write(&self.session.client, &self.api, name, false, edit).await?;
        written::warn(&written.warnings);
        Ok(())
    }

    /// A look at the object, and at the last that is known of its backends.
    async fn look(&self, sight: &mut Sight, drill: &Drill) -> Look {
        sight.refresh(&self.session, &self.object).await;
        let read = get_known(&self.api, self.object.name());
        let found = match tokio::time::timeout(LOOKS_WITHIN, read).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => return unseen(&Failure::of_request(&self.object, &error)),
            Err(_) => return unseen(&Failure::of(&self.object, "no answer of the API server")),
        };
        let settings = &self.session.installed.settings;
        let is_managed = |found: &DynamicObject| settings.watch.selector.matches(found.labels());
        let Some(found) = found.filter(is_managed) else { return Look::Gone };
        let annotation = |name: &str| found.annotations().get(name).cloned();
        let pin = [annotation(PIN), annotation(PIN_UNTIL)];
        let others = others(&found, self.began);
        sight.snapshot.enter(settings, &self.object, found);
        let Some(row) = sight.snapshot.row(&self.object) else { return Look::Gone };
        let mut facts = facts(&row, drill.fallback(), pin, others);
        facts.is_ready &= sight.failed < FAILED_LOOKS;
        Look::Seen(facts)
    }
}

fn unseen(failure: &Failure) -> Look {
    report_line(&failure.to_string());
    Look::Unseen
}

/// The health of the backends as it was seen last, and the next look at it, which the object does not wait for.
struct Sight {
    snapshot: Snapshot,
    taken: Instant,
    next: Option<JoinHandle<Result<Snapshot, Failure>>>,
    /// How many looks have failed in a row.
    failed: u32,
}

impl Sight {
    fn new(snapshot: Snapshot) -> Self {
        Self { snapshot, taken: Instant::now(), next: None, failed: 0 }
    }

    /// Takes what the last look has brought, and begins the next.
    async fn refresh(&mut self, session: &Arc<Session>, object: &ObjectRef) {
        if let Some(task) = self.next.take_if(|task| task.is_finished()) {
            match task.await {
                Ok(Ok(snapshot)) => (self.snapshot, self.failed) = (snapshot, 0),
                Ok(Err(failure)) => {
                    report_line(&failure.to_string());
                    self.failed = self.failed.saturating_add(1);
                }
                Err(_) => self.failed = self.failed.saturating_add(1),
            }
            self.taken = Instant::now();
        }
        if self.next.is_none() && self.taken.elapsed() >= HEALTH_EVERY {
            let (session, object) = (session.clone(), object.clone());
            self.next = Some(tokio::spawn(async move { look_at(&session, &object).await }));
        }
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

/// Counts the signals that end a drill: Ctrl-C, and the end of the terminal or of the session. The second Ctrl-C
/// ends the program; the pin then ends by itself. A terminal that closes sends its signal more than once.
fn interrupts() -> std::io::Result<watch::Receiver<u32>> {
    let (count, counted) = watch::channel(0_u32);
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    for kind in kinds {
        let (mut signals, count) = (signal(kind)?, count.clone());
        tokio::spawn(async move {
            let mut times = 0_u32;
            while signals.recv().await.is_some() {
                count.send_modify(|count| *count = count.saturating_add(1));
                times = times.saturating_add(1);
                if times > 1 && kind == SignalKind::interrupt() {
                    report_line("ended; the pin ends by itself at its time");
                    std::process::exit(1);
                }
            }
        });
    }
    Ok(counted)
}
