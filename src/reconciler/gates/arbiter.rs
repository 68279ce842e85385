//! The gate of arbitration: whether a move is for this replica to make, now.

use crate::engine::SteadyTime;
use crate::informers::confirm::ConsistentReader;
use crate::kinds::ObjectRef;
use crate::reconciler::context::{Context, Subject};
use crate::reconciler::gates::arbitration::{self, Permission, WriteRequest};
use crate::reconciler::gates::brake_gate::BrakeGate;
use crate::reconciler::gates::confirmations::Confirmations;
use crate::reconciler::gates::stop::Wanted;
use crate::reconciler::memory::Memories;
use jiff::SignedDuration;
use std::time::Duration;

/// What arbitration rests on beside the facts.
pub(crate) struct Arbiter {
    /// For the LISTs that are made past the watch.
    reader: ConsistentReader,
    confirmations: Confirmations,
    /// A move that this replica made as a standby was reversed: it makes no other until it leads.
    silent: bool,
}

impl Arbiter {
    pub(crate) fn new(reader: ConsistentReader) -> Self {
        Self { reader, confirmations: Confirmations::default(), silent: false }
    }

    /// Passes a move that this replica may make now. If not, it takes note since when it is wanted, and
    /// asks for what is missing; and returns when to look again even if nothing changes.
    pub(crate) fn check(
        &mut self,
        context: &Context,
        subject: &Subject<'_>,
        wanted: &Wanted,
        memories: &mut Memories,
        brake: &mut BrakeGate,
    ) -> Result<(), Option<Duration>> {
        let (object, active) = (subject.object, &wanted.plan.active);
        let since = memories.get(object).and_then(|memory| memory.wanted_since(active));
        let leaves_primary = wanted.write.leaves_primary();
        let permission = self.permission(context, subject, wanted, memories, since);
        if permission == Permission::Write
            && (!leaves_primary || brake.knows_record(subject, since))
        {
            return Ok(());
        }
        memories.entry(object).observe_wanted(active, subject.now.steady);
        match permission {
            Permission::Write | Permission::DeferToLeader => Err(None),
            Permission::Wait(wait) => Err(Some(wait.try_into().unwrap_or_default())),
            Permission::Confirm => {
                // Both are asked at the same time.
                if leaves_primary {
                    brake.knows_record(subject, since);
                }
                let since = since.unwrap_or(subject.now.steady);
                self.confirmations.ask(object, &wanted.plan.rests_on, since, &self.reader);
                Err(None)
            }
            Permission::FallSilent => {
                tracing::error!(
                    %object,
                    "another replica has taken back what this standby did: it does nothing more until it leads; if this persists, restart this replica"
                );
                self.silent = true;
                Err(None)
            }
        }
    }

    fn permission(
        &self,
        context: &Context,
        subject: &Subject<'_>,
        wanted: &Wanted,
        memories: &Memories,
        wanted_since: Option<SteadyTime>,
    ) -> Permission {
        let (plan, now) = (&wanted.plan, subject.now.steady);
        let ago = |at: SteadyTime| at.duration_until(now);
        let others = subject.index.last_move_by_others(&context.me.replica);
        let memory = memories.get(subject.object);
        arbitration::permission(&WriteRequest {
            me: &context.me,
            leading: subject.leads,
            decider: subject.managed.decider.as_deref(),
            seen_for: ago(subject.managed.seen),
            rescue: plan.rescue,
            wanted_for: wanted_since.map_or(SignedDuration::ZERO, ago),
            others_quiet_for: others.map_or(SignedDuration::MAX, ago),
            confirmed: wanted_since
                .is_some_and(|since| self.confirmations.cover(&plan.rests_on, since, now)),
            reversed: memory.is_some_and(|memory| memory.has_rescued(&plan.active)),
            silent: self.silent,
        })
    }

    /// The objects that the next answer is for; with a time after which to try again where it failed.
    /// None while nothing is asked.
    pub(crate) async fn next_answer(&mut self) -> Option<Vec<(ObjectRef, Option<Duration>)>> {
        self.confirmations.next().await
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }

    /// Another replica leads now, or this one.
    pub(crate) fn leadership_changed(&mut self) {
        self.silent = false;
    }

    /// Forgets what is not valid any more.
    pub(crate) fn prune(&mut self, now: SteadyTime) {
        self.confirmations.prune(now);
    }
}
