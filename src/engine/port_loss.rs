//! Where to go from what falls short: a port that is lost moves traffic only to a backend that serves
//! it, and all that is left.

use crate::engine::BackendIndex;
use crate::engine::evaluation::Evaluation;
use crate::engine::ports::Ports;
use crate::engine::reason::DecisionReason;
use std::collections::BTreeSet;

impl Evaluation<'_> {
    /// The first tier that serves, or that serves more than all before it; otherwise the first with
    /// anything ready.
    pub(crate) fn best_ready(&self) -> Option<(usize, Vec<BackendIndex>)> {
        let mut best: Option<(usize, Vec<BackendIndex>)> = None;
        for (tier, members) in self.intent.tiers.iter().enumerate() {
            let serves = |i: &BackendIndex| self.serves(*i);
            let partly = |i: &BackendIndex| self.health(*i).is_partly_ready();
            for (kind, suffices) in
                [(&serves as &dyn Fn(&BackendIndex) -> bool, true), (&partly, false)]
            {
                let better = |i: &BackendIndex| match &best {
                    Some((_, best)) => self.covers(*i, best, suffices),
                    None => true,
                };
                let new: Vec<BackendIndex> =
                    members.iter().copied().filter(|i| kind(i) && better(i)).collect();
                if new.is_empty() {
                    continue;
                }
                best = Some((tier, new));
                if suffices {
                    return best;
                }
                break;
            }
        }
        best
    }

    /// Whether a backend is better than those before it that fall short: it serves what they lack,
    /// and all that they still serve. `suffices`: it meets its own minimum.
    fn covers(&self, i: BackendIndex, short: &[BackendIndex], suffices: bool) -> bool {
        let of = |i: &BackendIndex| self.health(*i).ports();
        let lost: BTreeSet<u16> = short.iter().filter_map(of).flat_map(Ports::lost).collect();
        let theirs: BTreeSet<u16> = of(&i).into_iter().flat_map(Ports::serves).collect();
        if lost.is_empty() {
            // It lacks numbers alone: any that has them will do, but not at the price of a port.
            let counted = short.iter().filter_map(of).flat_map(Ports::classes);
            let mut counted = counted.filter(|_| of(&i).is_some());
            return suffices && counted.all(|class| class.iter().any(|port| theirs.contains(port)));
        }
        let mut left = short.iter().filter_map(of).flat_map(Ports::serves);
        left.all(|port| theirs.contains(&port)) && !lost.is_disjoint(&theirs)
    }

    /// Whether what is lost has something left that nothing to go to would serve too.
    pub(crate) fn has_no_refuge(&self, i: BackendIndex) -> bool {
        if !self.health(i).is_partly_ready() {
            return false;
        }
        let serving: Vec<BackendIndex> =
            self.before.iter().copied().filter(|i| self.serves(*i)).collect();
        let best = if serving.is_empty() { self.best().active } else { serving };
        match best.contains(&i) {
            true => self.has_lost_a_port(i),
            false => !best.iter().any(|j| self.covers(*j, &[i], true)),
        }
    }

    /// False for a backend that was passed over because a better one is short of what it lacks too.
    pub(crate) fn may_be_preferred(&self, i: BackendIndex) -> bool {
        let tier = self.intent.tier_of(i);
        let better = self.intent.tiers.iter().take(tier).flatten().copied();
        let short =
            |i: &BackendIndex| self.health(*i).is_partly_ready() && self.has_lost_a_port(*i);
        let short: Vec<BackendIndex> = better.filter(short).collect();
        short.is_empty() || self.covers(i, &short, true)
    }

    fn has_lost_a_port(&self, i: BackendIndex) -> bool {
        self.health(i).ports().is_some_and(|ports| !ports.lost().is_empty())
    }

    pub(crate) fn for_want_of_better(&self, active: &[BackendIndex]) -> DecisionReason {
        match active.iter().any(|i| self.has_lost_a_port(*i)) {
            true => DecisionReason::NothingCovers,
            false => DecisionReason::BelowMinimum,
        }
    }
}
