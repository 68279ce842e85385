//! The shortest account of a failure: halves of the faults are left out for as long as it still fails.

use crate::facts::FaultId;
use std::collections::BTreeSet;

/// Delta debugging: which faults to run with next. It does not run anything itself.
#[derive(Clone, Debug)]
pub struct Shrink {
    /// With these it failed.
    fails: Vec<FaultId>,
    /// So many are left out at once; none when nothing is left to try.
    size: usize,
    /// Which part is left out next.
    next: usize,
    runs_left: usize,
}

impl Shrink {
    /// A plan with these faults failed; so many runs may be spent.
    pub fn new(fails: Vec<FaultId>, runs: usize) -> Self {
        let size = fails.len().div_ceil(2);
        Self { fails, size, next: 0, runs_left: runs }
    }

    /// The fewest faults known with which it fails.
    pub fn shortest(&self) -> &[FaultId] {
        &self.fails
    }

    /// The faults to try now; none when nothing is left to try.
    pub fn candidate(&self) -> Option<BTreeSet<FaultId>> {
        if self.runs_left == 0 || self.size == 0 || self.fails.is_empty() {
            return None;
        }
        let from = self.next * self.size;
        let left_out = from..from + self.size;
        let kept = self.fails.iter().enumerate().filter(|(at, _)| !left_out.contains(at));
        Some(kept.map(|(_, id)| *id).collect())
    }

    /// What came of the candidate.
    pub fn tried(&mut self, failed: bool) {
        let Some(candidate) = self.candidate() else { return };
        self.runs_left -= 1;
        if failed {
            // What stood before the part is needed, and what follows it has moved into its place.
            self.fails = candidate.into_iter().collect();
        } else {
            self.next += 1;
        }
        if self.next * self.size >= self.fails.len() {
            self.next = 0;
            self.size = if self.size == 1 { 0 } else { self.size.div_ceil(2) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Shrinks what fails where all of `causes` are there. Returns it and how many runs it took.
    fn shrink(faults: usize, causes: &[FaultId], runs: usize) -> (Vec<FaultId>, usize) {
        let mut shrink = Shrink::new((0..faults).collect(), runs);
        let mut taken = 0;
        while let Some(candidate) = shrink.candidate() {
            taken += 1;
            shrink.tried(causes.iter().all(|cause| candidate.contains(cause)));
        }
        (shrink.shortest().to_vec(), taken)
    }

    #[test]
    fn one_cause_is_found_among_many() {
        let (found, runs) = shrink(100, &[37], 1000);
        assert_eq!(found, [37]);
        assert!(runs < 30, "{runs}");
    }

    #[test]
    fn what_fails_without_faults_is_left_with_none() {
        let (found, _) = shrink(40, &[], 1000);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn no_more_runs_are_spent_than_allowed() {
        let (found, runs) = shrink(100, &[3, 90], 4);
        assert_eq!(runs, 4);
        assert!(found.contains(&3) && found.contains(&90) && found.len() < 101);
    }

    proptest! {
        #[test]
        fn what_is_left_fails_still_and_nothing_of_it_can_be_left_out(
            faults in 1..60_usize,
            causes in proptest::collection::btree_set(0..60_usize, 0..5),
        ) {
            let causes: Vec<_> = causes.into_iter().filter(|cause| *cause < faults).collect();
            let (found, _) = shrink(faults, &causes, 10_000);
            prop_assert_eq!(found, causes);
        }
    }
}
