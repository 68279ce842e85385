//! Leave to write: what the guard, the brake and the past say of a write that is wanted.

use super::brake;
use super::events::Said;
use super::guard::{self, Case, Verdict};
use super::plan::{Flip, Plan, Write};
use super::queue::Queue;
use super::reconcile::Controller;
use crate::cluster::Index;
use crate::failover::{Now, annotations};
use crate::resources::ObjectRef;
use jiff::SignedDuration;
use std::collections::BTreeSet;
use std::time::Instant;

impl Controller {
    /// Whether it is for this replica to move the traffic, now.
    pub(super) fn may_move(
        &self,
        queue: &mut Queue,
        index: &Index,
        object: &ObjectRef,
        plan: &Plan,
        now: Now,
    ) -> bool {
        let memory = queue.memories.get(object);
        let wanted = memory.and_then(|memory| memory.wanted_since(&plan.active));
        let since = |at: jiff::Timestamp| at.duration_until(now.steady);
        let others = index.last_move_by_others(&self.me.replica);
        let verdict = guard::judge(&Case {
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
        if verdict == Verdict::Write {
            return true;
        }
        queue.memories.entry(object).wants(&plan.active, now.steady);
        match verdict {
            Verdict::Write | Verdict::Leave => {}
            Verdict::Wait(wait) => queue.alarms.set(object, wait.try_into().unwrap_or_default()),
            Verdict::Confirm => {
                let families = self.settings.families;
                let (shared, client) = (&self.shared, &self.client);
                let since = wanted.unwrap_or(now.steady);
                queue.confirmations.ask(object, &plan.rests_on, since, shared, client, families);
            }
            Verdict::FallSilent => {
                tracing::error!(
                    %object,
                    "another replica has taken back what this standby did: it does nothing more until it leads; if this persists, restart this replica"
                );
                queue.silent = true;
            }
        }
        false
    }

    pub(super) fn brake_lets_go(
        &self,
        queue: &mut Queue,
        index: &Index,
        write: &Write,
        flip: &Flip,
        plan: &Plan,
        now: Now,
    ) -> bool {
        let Some(brake) = &mut queue.brake else { return true };
        if flip.leaves.is_empty() {
            brake.stays(&write.object);
            return true;
        }
        let primaries: BTreeSet<&String> = flip.leaves.iter().collect();
        let endpoints: Vec<u64> = primaries
            .into_iter()
            .flat_map(|name| index.endpoints_of(&write.object.beside(name)).to_vec())
            .collect();
        let (managed, released) = (index.objects().len(), index.cluster_wide.brake_released);
        let brake::Leave::Hold(wait) =
            brake.wants(&write.object, &endpoints, managed, released, now)
        else {
            return true;
        };
        queue.alarms.set(&write.object, wait.try_into().unwrap_or_default());
        let since = brake.engaged().map(|at| at.to_string()).unwrap_or_default();
        let why = format!(
            "the brake holds since {since}: too many objects would leave their primaries at once; if that is right, release it: kubectl annotate --overwrite namespace {} {}=$(date -u +%FT%TZ)",
            self.namespace,
            annotations::BRAKE_RELEASED
        );
        self.tell_held(queue, write, plan, &why);
        false
    }

    /// Whether nothing of the past says to wait: a write that failed, a writer that undoes ours.
    pub(super) fn is_time(&self, queue: &mut Queue, write: &Write, plan: &Plan) -> bool {
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
                self.say(Said::undone(write, who, times));
            }
        }
        if wait.is_zero() {
            return true;
        }
        queue.alarms.set(&write.object, wait);
        false
    }
}
