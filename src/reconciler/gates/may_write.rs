//! Leave to write: what the guard and the past say of a write that is wanted.

use crate::engine::{Now, SteadyTime};
use crate::index::store::Index;
use crate::kinds::ObjectRef;
use crate::reconciler::gates::arbitration;
use crate::reconciler::gates::arbitration::{Permission, WriteRequest};
use crate::reconciler::plan::{Plan, Write};
use crate::reconciler::queue::Queue;
use crate::reconciler::reconcile::Controller;
use crate::reconciler::reports;
use jiff::SignedDuration;
use std::time::Instant;

impl Controller {
    /// Whether it is for this replica to move the traffic, now.
    pub(crate) fn may_move(
        &self,
        queue: &mut Queue,
        index: &Index,
        object: &ObjectRef,
        write: &Write,
        plan: &Plan,
        now: Now,
    ) -> bool {
        let memory = queue.memories.get(object);
        let wanted = memory.and_then(|memory| memory.wanted_since(&plan.active));
        let since = |at: SteadyTime| at.duration_until(now.steady);
        let others = index.last_move_by_others(&self.me.replica);
        let verdict = arbitration::judge(&WriteRequest {
            me: &self.me,
            leading: self.leads(),
            decider: plan.decider.as_ref(),
            seen_for: since(plan.seen),
            rescue: plan.rescue,
            wanted_for: wanted.map_or(SignedDuration::ZERO, since),
            others_quiet_for: others.map_or(SignedDuration::MAX, since),
            confirmed: wanted
                .is_some_and(|since| queue.confirmations.cover(&plan.rests_on, since, now.steady)),
            reversed: memory.is_some_and(|memory| memory.has_rescued(&plan.active)),
            silent: queue.silent,
        });
        let leaves = write.leaves_primary();
        if verdict == Permission::Write && (!leaves || self.knows_brake(queue, object, wanted, now))
        {
            return true;
        }
        queue.memories.entry(object).wants(&plan.active, now.steady);
        match verdict {
            Permission::Write | Permission::Leave => {}
            Permission::Wait(wait) => queue.alarms.set(object, wait.try_into().unwrap_or_default()),
            Permission::Confirm => {
                // Asked at the same time.
                if leaves {
                    self.knows_brake(queue, object, wanted, now);
                }
                let families = self.settings.families;
                let (shared, client) = (&self.shared, &self.client);
                let since = wanted.unwrap_or(now.steady);
                queue.confirmations.ask(object, &plan.rests_on, since, shared, client, families);
            }
            Permission::FallSilent => {
                tracing::error!(
                    %object,
                    "another replica has taken back what this standby did: it does nothing more until it leads; if this persists, restart this replica"
                );
                queue.silent = true;
            }
        }
        false
    }

    /// Whether nothing of the past says to wait: a write that failed, a writer that undoes ours.
    pub(crate) fn is_time(&self, queue: &mut Queue, write: &Write, plan: &Plan) -> bool {
        let now = Instant::now();
        let Some(memory) = queue.memories.get_mut(&write.object) else { return true };
        let failed = memory.failed.as_ref().filter(|failed| failed.is_same(write));
        if let Some(wait) = failed.map(|failed| failed.not_before.saturating_duration_since(now))
            && !wait.is_zero()
        {
            queue.alarms.set(&write.object, wait);
            return false;
        }
        let undone = memory.undone.as_ref().filter(|_| write.moves());
        let Some((times, wait)) = undone.and_then(|undone| undone.again(&write.weights, now))
        else {
            return true;
        };
        if times > 1 {
            let who = plan.other_writer.as_deref().unwrap_or("another writer");
            if memory.is_news(&format!("undone {times} times by {who}")) {
                self.metrics.undone.inc();
                tracing::warn!(object = %write.object, times, by = who, next = ?wait, "weights are being undone");
                self.say(reports::undone(write, who, times));
            }
        }
        if wait.is_zero() {
            return true;
        }
        queue.alarms.set(&write.object, wait);
        false
    }
}
