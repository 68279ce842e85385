//! The table in which the command ends.

use crate::mutant::Outcome;
use crate::trial::Found;
use bench_table::{Claim, Verdict};

/// A line for the room, and one for each survivor.
pub fn claims(room: &str, found: &Found) -> Vec<Claim> {
    let [caught, timed_out, unviable, survivors] =
        [Outcome::Caught, Outcome::TimedOut, Outcome::Unviable, Outcome::Survived]
            .map(|outcome| found.that(outcome));
    let (tried, untried) = (found.outcomes.len(), found.untried());
    let measured = format!(
        "{tried} of {} tried: {} caught, {} survived, {} timed out, {} unviable",
        found.mutants,
        caught.len(),
        survivors.len(),
        timed_out.len(),
        unviable.len()
    );
    let name = format!("{room}: every mutant is caught by a unit test");
    let mut note = format!("{} no defect, listed above", found.no_defect.len());
    if untried > 0 {
        note += &format!("; {untried} not tried");
    }
    let room = Claim::new(name, "no survivor", measured, survivors.is_empty()).note(note);
    // Nothing survived: of what was not tried, nobody knows.
    let verdict = match room.verdict {
        Verdict::Held if untried > 0 => Verdict::NotMeasured,
        verdict => verdict,
    };
    let survivors = survivors.into_iter().map(|name| Claim::new(name, "caught", "survived", false));
    std::iter::once(Claim { verdict, ..room }).chain(survivors).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn found(mutants: usize, outcomes: &[(&str, Outcome)]) -> Found {
        let outcomes = outcomes.iter().map(|(name, outcome)| ((*name).to_owned(), *outcome));
        let no_defect = BTreeMap::from([("e".to_owned(), "because".to_owned())]);
        Found { mutants, outcomes: outcomes.collect(), no_defect }
    }

    #[test]
    fn a_survivor_is_a_line_of_its_own_and_is_missed() {
        let outcomes = [("a", Outcome::Caught), ("b", Outcome::Survived), ("c", Outcome::TimedOut)];
        let claims = claims("engine", &found(5, &outcomes));
        assert_eq!(claims.len(), 2);
        assert_eq!(
            claims[0].measured,
            "3 of 5 tried: 1 caught, 1 survived, 1 timed out, 0 unviable"
        );
        assert_eq!(claims[0].note, "1 no defect, listed above; 1 not tried");
        assert_eq!((claims[0].verdict, claims[1].verdict), (Verdict::Missed, Verdict::Missed));
        assert_eq!(claims[1].name, "b");
    }

    #[test]
    fn what_was_not_tried_is_not_held() {
        let caught = [("a", Outcome::Caught), ("b", Outcome::Unviable)];
        let verdict = |mutants| claims("engine", &found(mutants, &caught))[0].verdict;
        assert_eq!(verdict(3), Verdict::Held);
        assert_eq!(verdict(4), Verdict::NotMeasured);
    }
}
