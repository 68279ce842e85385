//! The table in which the command ends.

use crate::mutant::Outcome;
use crate::trial::Found;
use bench_table::{Claim, Verdict};

/// A line for the room, one for each survivor, and one for each mutant that is caught although it is listed as no defect.
pub fn claims(room: &str, found: &Found) -> Vec<Claim> {
    let [caught, endless, unviable, timed_out, survived] = [
        Outcome::Caught,
        Outcome::Endless,
        Outcome::Unviable,
        Outcome::TimedOut,
        Outcome::Survived,
    ]
    .map(|outcome| found.that(outcome));
    let (no_defect, survivors): (Vec<&str>, Vec<&str>) =
        survived.into_iter().partition(|name| found.no_defect.contains_key(*name));
    let (tried, untried) = (found.outcomes.len(), found.untried());
    let measured = format!(
        "{tried} of {} tried: {} caught, {} of them by the CPU that the tests used, {} survived and {} more are no defect, \
         {} timed out, {} unviable",
        found.mutants,
        caught.len() + endless.len(),
        endless.len(),
        survivors.len(),
        no_defect.len(),
        timed_out.len(),
        unviable.len()
    );
    let name = format!("{room}: every mutant is caught by a unit test");
    let mut room = Claim::new(name, "no survivor", measured, survivors.is_empty());
    if untried > 0 {
        room = room.note(format!("{untried} not tried"));
    }
    // Of what was not tried, and of what timed out, nothing is known.
    if room.verdict == Verdict::Held && untried + timed_out.len() > 0 {
        room.verdict = Verdict::NotMeasured;
    }
    let survivors = survivors.into_iter().map(|name| Claim::new(name, "caught", "survived", false));
    let mut listed = caught.iter().chain(&endless).chain(&unviable).copied().collect::<Vec<_>>();
    listed.retain(|name| found.no_defect.contains_key(*name));
    let listed = listed.into_iter().map(|name| {
        Claim::new(name, "survives: it is listed as no defect", "does not", false)
            .note("remove its entry")
    });
    std::iter::once(room).chain(survivors).chain(listed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn found(mutants: usize, outcomes: &[(&str, Outcome)]) -> Found {
        let outcomes = outcomes.iter().map(|(name, outcome)| ((*name).to_owned(), *outcome));
        let no_defect = BTreeMap::from([("equal".to_owned(), "because".to_owned())]);
        Found { mutants, outcomes: outcomes.collect(), no_defect }
    }

    #[test]
    fn a_survivor_is_a_line_of_its_own_and_is_missed() {
        let outcomes = [
            ("a", Outcome::Caught),
            ("b", Outcome::Survived),
            ("c", Outcome::TimedOut),
            ("d", Outcome::Endless),
            ("equal", Outcome::Survived),
        ];
        let claims = claims("engine", &found(6, &outcomes));
        assert_eq!(claims.len(), 2);
        assert_eq!(
            claims[0].measured,
            "5 of 6 tried: 2 caught, 1 of them by the CPU that the tests used, 1 survived and 1 more are no defect, \
             1 timed out, 0 unviable"
        );
        assert_eq!(claims[0].note, "1 not tried");
        assert_eq!((claims[0].verdict, claims[1].verdict), (Verdict::Missed, Verdict::Missed));
        assert_eq!(claims[1].name, "b");
    }

    #[test]
    fn what_was_not_tried_or_timed_out_is_not_held() {
        let verdict = |mutants, b| {
            let outcomes = [("a", Outcome::Caught), ("b", b), ("equal", Outcome::Survived)];
            let claims = claims("engine", &found(mutants, &outcomes));
            assert_eq!(claims.len(), 1);
            claims[0].verdict
        };
        assert_eq!(verdict(3, Outcome::Unviable), Verdict::Held);
        assert_eq!(verdict(3, Outcome::Endless), Verdict::Held);
        assert_eq!(verdict(4, Outcome::Caught), Verdict::NotMeasured);
        assert_eq!(verdict(3, Outcome::TimedOut), Verdict::NotMeasured);
    }

    #[test]
    fn an_entry_for_a_mutant_that_does_not_survive_is_missed() {
        for outcome in [Outcome::Caught, Outcome::Endless, Outcome::Unviable] {
            let claims = claims("engine", &found(1, &[("equal", outcome)]));
            assert_eq!(claims[1].name, "equal");
            assert_eq!(claims[1].verdict, Verdict::Missed);
            assert_eq!(claims[1].note, "remove its entry");
        }
    }
}
