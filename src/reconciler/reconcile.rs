//! One object is reconciled: decided by the newest facts, passed through the gates, and written.

use crate::engine::PendingDelays;
use crate::index::resource::WatchedResource;
use crate::index::store::Index;
use crate::kinds::ObjectRef;
use crate::notifications::Transitions;
use crate::reconciler::attempts::{Attempt, FailureStreak, Retry, WriteKey};
use crate::reconciler::conditions;
use crate::reconciler::context::{ReconcileRequest, Subject};
use crate::reconciler::gates::brake::TrafficPosition;
use crate::reconciler::gates::facts;
use crate::reconciler::gates::recording::{self, Later};
use crate::reconciler::gates::stop::{Gate, ProfileWork, Stop, StopReason, Wanted};
use crate::reconciler::hold::Hold;
use crate::reconciler::lanes::Lane;
use crate::reconciler::memory::Memory;
use crate::reconciler::notify;
use crate::reconciler::ordered_queue::{Cause, Urgency};
use crate::reconciler::plan::{self, Moves, Plan};
use crate::reconciler::profile_first;
use crate::reconciler::service_profiles::writes::{FollowUp, ProfileRequest};
use crate::reconciler::state::Reconciler;
use crate::reconciler::write::WriteKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Reconciler {
    /// Reconciles one object, and answers the deletions that wait for it where nothing moves.
    pub(crate) fn reconcile(&mut self, request: &ReconcileRequest<'_>) {
        let object = request.object;
        // It may have been queued twice.
        if self.writes.in_flight.blocks(object) {
            let cause = Cause { urgency: Urgency::Loss, noticed: request.noticed };
            self.writes.in_flight.mark_dirty(object.clone(), cause);
            return;
        }
        // A slow write goes on only as long as the newest decision wants it.
        self.writes.in_flight.mark_unwanted(object);
        let moves = match self.pass_gates(request) {
            Ok(moves) => moves,
            Err(stop) => self.stop(request, stop),
        };
        self.writes.in_flight.give_up_unwanted(object);
        let keeps_failing = self.memories.get(object).is_some_and(Memory::keeps_failing);
        if !(moves && request.leads && !keeps_failing) {
            self.release_deletions(request.index, object);
        }
    }

    /// The gates, in their order, and the write behind them. Returns whether traffic moves.
    fn pass_gates(&mut self, request: &ReconcileRequest<'_>) -> Gate<bool> {
        let subject = facts::check(request)?;
        let plan = self.plan(&subject)?;
        let wanted = self.check_needed(&subject, plan)?;
        let wanted = self.check_hold(&subject, wanted)?;
        let wanted = self.check_brake(&subject, wanted)?;
        self.check_permission(&subject, &wanted)?;
        self.check_order(&subject, &wanted)?;
        self.carry_decided(&subject, &wanted);
        self.check_profile(&subject, &wanted)?;
        self.check_backoff(&subject, &wanted)?;
        Ok(self.begin(&subject, wanted))
    }

    /// What becomes of an object whose weights are not written now. Returns whether its traffic is
    /// still to move, once the gate opens.
    fn stop(&mut self, request: &ReconcileRequest<'_>, stop: Stop) -> bool {
        let object = request.object;
        match stop.reason {
            StopReason::NotSynced => self.writes.in_flight.keep(object),
            StopReason::Absent => self.forget(object),
            StopReason::Unplanned => self.memories.count_nothing_ready(object, false),
            _ => {}
        }
        if let Some(position) = stop.position {
            self.brake.observe(request.index, object, position, request.now);
        }
        match stop.profile {
            ProfileWork::None => {}
            ProfileWork::Restore => {
                let follow_up = self.profiles.restore(&self.context, request);
                self.follow_up(object, follow_up);
            }
            ProfileWork::Carry { ours } => {
                if let Some(subject) = request.subject() {
                    let urgency = self.profiles.urgency_of_live_weights(object);
                    self.carry(&subject, ProfileRequest { decided: None, ours, urgency });
                }
            }
        }
        self.look_again(object, stop.look_again);
        stop.moves
    }

    /// Decides, and reports what the declaration and the plan show.
    fn plan(&mut self, subject: &Subject<'_>) -> Gate<Plan> {
        let object = subject.object;
        let (context, memories) = (&self.context, &mut self.memories);
        let look_again = conditions::report_declaration(context, memories, subject);
        self.look_again(object, look_again);
        let plan = self.planned(subject, Moves::All).ok_or_else(|| {
            Stop::new(StopReason::Unplanned).at(match subject.managed.sets {
                Err(_) => TrafficPosition::Withdrawn,
                Ok(_) => TrafficPosition::Undecided,
            })
        })?;
        self.look_again(object, plan.next.map(|next| next.try_into().unwrap_or_default()));
        self.observe_plan(subject, &plan);
        let (context, memories) = (&self.context, &mut self.memories);
        let look_again = conditions::report_plan(context, memories, subject, &plan);
        self.look_again(object, look_again);
        self.notify_transitions(subject, &plan);
        self.observe_late_landing(subject);
        Ok(plan)
    }

    /// Hands over what the object's state records and has not been handed over yet.
    fn notify_transitions(&mut self, subject: &Subject<'_>, plan: &Plan) {
        let Subject { object, managed, leads, now, .. } = *subject;
        if !self.context.notifier.sends_any(Transitions::TYPES) {
            return;
        }
        let positions = notify::positions(subject);
        let news = self.transitions.observe(object, &managed.uid, &positions, leads, now.wall);
        for transition in news {
            let why = conditions::each_set_of(managed, &plan.readiness, &transition.rules());
            self.context.notifier.notify(notify::transition(subject, transition, &why));
        }
    }

    fn planned(&self, subject: &Subject<'_>, moves: Moves) -> Option<Plan> {
        let memory = self.memories.get(subject.object);
        plan::plan(subject, memory, &self.context.me, moves)
    }

    /// Passes an object that needs a write.
    fn check_needed(&mut self, subject: &Subject<'_>, mut plan: Plan) -> Gate<Wanted> {
        if let Some(write) = plan.write.take() {
            return Ok(Wanted { write, plan });
        }
        let memory = self.memories.get_mut(subject.object);
        // A standby completes what it has begun.
        let ours = subject.leads || memory.as_ref().is_some_and(|memory| memory.is_rescued());
        if let Some(memory) = memory {
            memory.mark_up_to_date();
        }
        let stop = Stop::new(StopReason::UpToDate).at(plan.position);
        Err(stop.with_profile(ProfileWork::Carry { ours }))
    }

    /// Passes what no person holds.
    fn check_hold(&mut self, subject: &Subject<'_>, wanted: Wanted) -> Gate<Wanted> {
        let hold = if wanted.plan.paused {
            Hold::paused(subject.managed.changed_by.as_deref())
        } else if subject.index.cluster_wide.frozen {
            Hold::frozen(subject.index.cluster_wide.changed_by.as_ref())
        } else {
            return Ok(wanted);
        };
        // Freezing the cluster does not mean that the primaries are back.
        let wants_to_leave = wanted.write.leaves_primary() && !wanted.plan.paused;
        let position =
            if wants_to_leave { TrafficPosition::Undecided } else { wanted.plan.position };
        Err(self.hold(subject, &wanted, hold).at(position))
    }

    fn hold(&mut self, subject: &Subject<'_>, wanted: &Wanted, hold: Hold) -> Stop {
        conditions::report_hold(&self.context, &mut self.memories, subject, wanted, hold);
        let profile = ProfileWork::Carry { ours: subject.leads };
        Stop::new(StopReason::OnHold).with_profile(profile)
    }

    /// Passes what the brake does not hold. It comes before arbitration: a standby has to know how much
    /// wants to move.
    fn check_brake(&mut self, subject: &Subject<'_>, wanted: Wanted) -> Gate<Wanted> {
        let Subject { index, object, now, .. } = *subject;
        if !wanted.write.is_unasked_loss() {
            self.brake.observe(index, object, wanted.plan.position, now);
            return Ok(wanted);
        }
        let namespace = &self.context.namespace;
        let Err(braked) = self.brake.check(subject, &wanted.write, namespace) else {
            return Ok(wanted);
        };
        self.look_again(object, Some(braked.look_again));
        let stop = self.hold(subject, &wanted, braked.hold);
        // Of several sets the brake holds only those that leave their primary.
        let rest = self.planned(subject, Moves::NoFailover);
        match rest.and_then(|mut plan| Some(Wanted { write: plan.write.take()?, plan })) {
            Some(rest) if rest.write.changes_weights() => Ok(rest),
            _ => Err(stop),
        }
    }

    /// Passes a write that this replica may make now.
    fn check_permission(&mut self, subject: &Subject<'_>, wanted: &Wanted) -> Gate<()> {
        let permitted = match &wanted.write.kind {
            WriteKind::Flip(_) => {
                let (memories, brake) = (&mut self.memories, &mut self.brake);
                self.arbiter.check(&self.context, subject, wanted, memories, brake)
            }
            WriteKind::Correction if subject.leads => Ok(()),
            WriteKind::Record | WriteKind::Disclaim if subject.leads => {
                self.check_recording(subject, wanted)
            }
            _ => Err(None),
        };
        permitted.map_err(|look_again| {
            Stop::of_write(StopReason::NotPermitted, &wanted.write)
                .with_profile(ProfileWork::Carry { ours: subject.leads })
                .look_again(look_again)
        })
    }

    fn check_recording(
        &mut self,
        subject: &Subject<'_>,
        wanted: &Wanted,
    ) -> Result<(), Option<Duration>> {
        if self.writes.is_writing(&wanted.write) {
            return Ok(());
        }
        #[cfg(feature = "planted-faults")]
        if crate::planted_faults::never_records() {
            return Err(None);
        }
        let (object, now) = (subject.object, Instant::now());
        let since = self.memories.entry(object).unrecorded_since(now);
        let has_state = subject.managed.has_state();
        recording::check(since, has_state, self.traffic(), now).map_err(|later| match later {
            Later::After(wait) => Some(wait),
            Later::Uncrowded => {
                self.backlog.wait(object, since);
                None
            }
        })
    }

    /// Passes a write for which nothing more urgent waits. Another one takes its turn: how urgent an object
    /// is shows only in its decision.
    fn check_order(&mut self, subject: &Subject<'_>, wanted: &Wanted) -> Gate<()> {
        let (object, urgency) = (subject.object, wanted.urgency());
        // Another lane has a line of its own.
        let has_room = self.streak(object).is_some_and(|streak| streak.lane() != Lane::Fast)
            || self.writes.in_flight.has_room(urgency);
        let is_next = has_room && !self.queue.has_before(urgency);
        if is_next || self.writes.in_flight.contains(object) {
            return Ok(());
        }
        self.queue.enqueue(object.clone(), Cause { urgency, noticed: subject.noticed });
        Err(Stop::of_write(StopReason::Deferred, &wanted.write))
    }

    /// Passes a write whose profile is answered, or slow: callers follow the profile, and the API server has
    /// nothing else to do for the object until then, nor before the profiles of others.
    fn check_profile(&mut self, subject: &Subject<'_>, wanted: &Wanted) -> Gate<()> {
        let (object, write) = (subject.object, &wanted.write);
        let comes_after = self.profiles.is_followed(object)
            && !self.writes.in_flight.contains(object)
            && profile_first::may_come_after(subject, wanted);
        if !comes_after {
            return Ok(());
        }
        let cause = Cause { urgency: Urgency::ProfileMoved, noticed: subject.noticed };
        if self.profiles.in_flight.blocks(object) {
            if write.leaves_primary() {
                self.brake.begins(object);
            }
            self.profiles.in_flight.mark_dirty(object.clone(), cause);
        } else if self.has_room(cause.urgency) {
            return Ok(());
        } else {
            self.queue.enqueue(object.clone(), cause);
        }
        Err(Stop::of_write(StopReason::ProfileFirst, write))
    }

    /// Passes a write that need not wait for an earlier attempt.
    fn check_backoff(&mut self, subject: &Subject<'_>, wanted: &Wanted) -> Gate<()> {
        let (write, now) = (&wanted.write, Instant::now());
        let Some(memory) = self.memories.get(&write.object) else { return Ok(()) };
        let overwrites = memory.overwrites.as_ref().filter(|_| write.changes_weights());
        let (key, failed) = (WriteKey::from(write), memory.failed.as_ref());
        let retry = Retry::of(&key, &write.weights, failed, overwrites, now);
        if let Some(times) = retry.overwritten {
            let (context, memories) = (&self.context, &mut self.memories);
            conditions::report_overwritten(context, memories, subject, wanted, times, retry.wait);
        }
        match retry.wait {
            Duration::ZERO => Ok(()),
            wait => Err(Stop::of_write(StopReason::Backoff, write).look_again(Some(wait))),
        }
    }

    /// Begins the write, unless it is under way already, or its lane is full: then it waits for a place.
    /// Returns whether it moves traffic.
    fn begin(&mut self, subject: &Subject<'_>, wanted: Wanted) -> bool {
        let urgency = wanted.urgency();
        let (object, Wanted { write, plan }) = (subject.object, wanted);
        let moves = write.flip().is_some();
        let streak = self.streak(object);
        let cause = Cause { urgency, noticed: subject.noticed };
        let Some(lane) = self.writes.place(&write, streak, cause) else { return moves };
        if write.leaves_primary() {
            self.brake.begins(object);
        }
        if streak.is_some() {
            self.context.metrics.retries.inc();
        }
        let attempt = Attempt {
            write: Arc::new(write),
            active: plan.active,
            as_standby: !subject.leads,
            noticed: subject.noticed,
        };
        self.writes.begin(lane, urgency, attempt, subject.index.ticket(object), streak);
        moves
    }

    /// The failures in a row of an object's writes.
    fn streak(&self, object: &ObjectRef) -> Option<FailureStreak> {
        Some(self.memories.get(object)?.failed.as_ref()?.streak())
    }

    /// The profile gets the decided weights first, whatever becomes of their write.
    fn carry_decided(&mut self, subject: &Subject<'_>, wanted: &Wanted) {
        let weights = wanted.write.weights.as_slice();
        let decided = Some(weights).filter(|weights| !weights.is_empty());
        let ours = subject.leads || decided.is_some();
        let urgency = wanted.urgency();
        self.carry(subject, ProfileRequest { decided, ours, urgency });
    }

    /// Makes sure that the ServiceProfile of a split follows.
    fn carry(&mut self, subject: &Subject<'_>, request: ProfileRequest<'_>) {
        let follow_up = self.profiles.reconcile(&self.context, subject, request);
        self.follow_up(subject.object, follow_up);
    }

    fn follow_up(&mut self, object: &ObjectRef, follow_up: FollowUp) {
        self.look_again(object, follow_up.look_again);
        self.enqueue_all(follow_up.enqueue, Cause::now(Urgency::Change));
    }

    fn look_again(&mut self, object: &ObjectRef, after: Option<Duration>) {
        if let Some(after) = after {
            self.queue.enqueue_after(object, after);
        }
    }

    /// Remembers what the plan shows of delays and of announced losses.
    fn observe_plan(&mut self, subject: &Subject<'_>, plan: &Plan) {
        let Subject { object, managed, .. } = *subject;
        if let Some(memory) = self.memories.get_mut(object) {
            memory.observe_decision(&plan.wanted);
        }
        let recorded = managed.readable().iter().any(|set| !set.left_early().is_empty());
        let any_left_early = recorded || plan.left_early.values().any(|left| !left.is_empty());
        let delays = !plan.pending.values().all(PendingDelays::is_empty);
        if !any_left_early && !delays && self.memories.get(object).is_none() {
            return;
        }
        for set in managed.readable() {
            let name = &set.intent.set;
            if let (Some(still), Some(to)) = (plan.left_early.get(name), plan.wanted.get(name)) {
                self.memories.entry(object).observe_left_early(name, set.left_early(), still, to);
            }
            let Some(pending) = plan.pending.get(name) else { continue };
            let active = set.state.as_ref().map(|state| state.active.as_slice());
            self.memories.entry(object).observe(name, active, pending, &set.pending);
        }
    }

    /// An object is as it should be, as far as it can be: deletions need not wait for it, unless what its
    /// traffic follows is still being written.
    fn release_deletions(&mut self, index: &Index, object: &ObjectRef) {
        if !self.deletions.concerns(object)
            || self.writes.in_flight.contains(object)
            || self.profiles.is_writing(object)
        {
            return;
        }
        let is_carried = self.profiles.is_followed(object);
        let unseen = is_carried && !index.synced.has(WatchedResource::ServiceProfiles);
        if unseen || self.profiles.has_failed(object) {
            self.deletions.release_unmoved(object);
        } else {
            self.deletions.release(object);
        }
    }
}
