//! The mutants of one room: which there are, which are left to be tried, and what came of them.

use crate::cargo::{Crate, Tests};
use crate::kept::Kept;
use crate::mutant::{Mutant, Outcome};
use crate::shard::Shard;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Mutants that are tried by one start of cargo-mutants, which takes a second itself.
const AT_ONCE: usize = 20;

/// What is known of a room at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Every mutant of the room, in whatever shard.
    pub mutants: usize,
    /// What came of mutants, in this run or before.
    pub outcomes: BTreeMap<String, Outcome>,
    /// Those that are no defect, and why.
    pub no_defect: BTreeMap<String, String>,
}

impl Found {
    /// The mutants that this came of.
    pub fn that(&self, outcome: Outcome) -> Vec<&str> {
        let those = self.outcomes.iter().filter(|(_, of)| **of == outcome);
        those.map(|(name, _)| name.as_str()).collect()
    }

    /// How many are neither known nor no defect.
    pub fn untried(&self) -> usize {
        self.mutants.saturating_sub(self.outcomes.len() + self.no_defect.len())
    }
}

/// Those of a shard of which nothing is known, or that survived before; these come first.
pub fn left<'a>(
    mutants: &'a [Mutant],
    shard: Shard,
    known: impl Fn(&Mutant) -> Option<Outcome>,
    no_defect: &BTreeMap<String, String>,
) -> Vec<&'a Mutant> {
    let is_left = |mutant: &&Mutant| match known(mutant) {
        None | Some(Outcome::Survived) => !no_defect.contains_key(&mutant.name),
        Some(Outcome::Caught | Outcome::TimedOut | Outcome::Unviable) => false,
    };
    let mut left: Vec<&Mutant> =
        shard.of(mutants.iter().collect()).into_iter().filter(is_left).collect();
    left.sort_by_key(|mutant| known(mutant).is_none());
    left
}

/// Tries them until the deadline, and keeps what came of them each time that some were tried.
pub fn try_until(
    krate: &Crate,
    left: &[&Mutant],
    text_of: impl Fn(&str) -> String,
    kept: &mut Kept,
    patience: Duration,
    deadline: Instant,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut tried = 0;
    for some in left.chunks(AT_ONCE) {
        if Instant::now() >= deadline {
            break;
        }
        let names: Vec<&str> = some.iter().map(|mutant| mutant.name.as_str()).collect();
        let mut outcomes = krate.try_all(&names, Tests::Quick, patience)?;
        let survived = |(name, outcome): &(String, Outcome)| {
            (*outcome == Outcome::Survived).then(|| name.clone())
        };
        let again: Vec<String> = outcomes.iter().filter_map(survived).collect();
        if !again.is_empty() {
            let names: Vec<&str> = again.iter().map(String::as_str).collect();
            outcomes.retain(|(name, _)| !again.contains(name));
            outcomes.extend(krate.try_all(&names, Tests::All, patience)?);
        }
        for mutant in some {
            if let Some((name, outcome)) = outcomes.iter().find(|(name, _)| *name == mutant.name) {
                kept.keep(name.clone(), &text_of(&mutant.file), *outcome);
                if *outcome == Outcome::Survived {
                    println!("survived: {name}");
                }
            }
        }
        kept.write()?;
        tried += some.len();
        let each = began.elapsed().as_secs_f64() / tried as f64;
        println!("{tried} of {} tried, {each:.1} s each", left.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutant::{Place, Span};

    #[test]
    fn survivors_come_first_and_what_is_known_is_not_tried_again() {
        let mutant = |name: &str| {
            let span = Span { start: Place { line: 1, column: 1 } };
            Mutant { name: name.into(), file: "a.rs".into(), span }
        };
        let mutants = ["caught", "new", "survived", "equal", "slow", "broken"].map(mutant);
        let known = |mutant: &Mutant| match mutant.name.as_str() {
            "caught" => Some(Outcome::Caught),
            "survived" => Some(Outcome::Survived),
            "slow" => Some(Outcome::TimedOut),
            "broken" => Some(Outcome::Unviable),
            _ => None,
        };
        let no_defect = BTreeMap::from([("equal".to_owned(), "because".to_owned())]);
        let left = |shard: &str| {
            let left = left(&mutants, shard.parse().unwrap(), known, &no_defect);
            left.iter().map(|mutant| mutant.name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(left("0/1"), ["survived", "new"]);
        assert_eq!(left("0/2"), ["survived"]);
        assert_eq!(left("1/2"), ["new"]);
    }
}
