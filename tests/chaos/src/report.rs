//! What comes of runs: the worst value of each bound, as claims.

use crate::facts::Worst;
use bench_table::{Claim, Verdict};

/// The worst of each bound over several runs.
pub fn worst_of(runs: &[Vec<Worst>]) -> Vec<Worst> {
    let mut all: Vec<Worst> = vec![];
    for one in runs.iter().flatten() {
        let alike = |known: &&mut Worst| known.invariant == one.invariant && known.name == one.name;
        match all.iter_mut().find(alike) {
            None => all.push(one.clone()),
            Some(known) if is_worse(one, known) => *known = one.clone(),
            Some(_) => {}
        }
    }
    all.sort_by_key(|worst| worst.invariant);
    all
}

/// What was measured is worse than what was not.
fn is_worse(one: &Worst, than: &Worst) -> bool {
    one.held.is_some() && (than.held.is_none() || one.value > than.value)
}

/// A claim for each bound.
pub fn claims(worst: &[Worst]) -> Vec<Claim> {
    let claim = |worst: &Worst| {
        let Worst { invariant, name, bound, worst, held, .. } = worst;
        let name = format!("{invariant}. {name}");
        match held {
            None => Claim::not_measured(name, bound, "nothing of the kind happened in these runs"),
            Some(held) => Claim {
                verdict: Verdict::of(*held),
                ..Claim::new(name, bound, worst.as_str(), *held)
            },
        }
    };
    worst.iter().map(claim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst(invariant: u8, value: f64, held: Option<bool>) -> Worst {
        Worst {
            invariant,
            name: "bounded",
            bound: "2".into(),
            worst: value.to_string(),
            value,
            held,
        }
    }

    #[test]
    fn of_several_runs_the_worst_value_counts_and_one_that_was_measured_before_none() {
        let runs = [
            vec![worst(2, 0.0, None), worst(1, 1.0, Some(true))],
            vec![worst(1, 3.0, Some(false)), worst(2, 0.5, Some(true))],
            vec![worst(1, 2.0, Some(true)), worst(2, 0.0, None)],
        ];
        let all = worst_of(&runs);
        let values: Vec<_> = all.iter().map(|w| (w.invariant, w.value, w.held)).collect();
        assert_eq!(values, [(1, 3.0, Some(false)), (2, 0.5, Some(true))]);
        let verdicts: Vec<_> = claims(&all).iter().map(|claim| claim.verdict).collect();
        assert_eq!(verdicts, [Verdict::Missed, Verdict::Held]);
        assert_eq!(claims(&[worst(3, 0.0, None)])[0].verdict, Verdict::NotMeasured);
    }
}
