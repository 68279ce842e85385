//! The mutants of one room: which there are, which are left to be tried, and what came of them.

use crate::cargo::{Crate, Tests};
use crate::kept::Kept;
use crate::mutant::{Mutant, Outcome};
use crate::shard::Shard;
use std::collections::BTreeMap;
use std::time::Instant;

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

    /// How many were not tried.
    pub fn untried(&self) -> usize {
        self.mutants.saturating_sub(self.outcomes.len())
    }
}

/// Those of a shard of which nothing is known, or that survived before and are a defect; these come first. What timed
/// out comes last: perhaps the machine is quiet by then.
pub fn left<'a>(
    mutants: &'a [Mutant],
    shard: Shard,
    known: impl Fn(&Mutant) -> Option<Outcome>,
    no_defect: &BTreeMap<String, String>,
) -> Vec<&'a Mutant> {
    let is_left = |mutant: &&Mutant| match known(mutant) {
        None | Some(Outcome::TimedOut) => true,
        Some(Outcome::Survived) => !no_defect.contains_key(&mutant.name),
        Some(Outcome::Caught | Outcome::Endless | Outcome::Unviable) => false,
    };
    let mut left: Vec<&Mutant> =
        shard.of(mutants.iter().collect()).into_iter().filter(is_left).collect();
    left.sort_by_key(|mutant| match known(mutant) {
        Some(Outcome::TimedOut) => 2,
        Some(_) => 0,
        None => 1,
    });
    left
}

/// The mutants of a room while they are tried.
pub struct Trial<'a, T> {
    /// The room.
    pub krate: &'a Crate,
    /// The text of a file of it.
    pub text_of: T,
    /// What is known.
    pub kept: &'a mut Kept,
    /// When no more mutants are begun.
    pub deadline: Instant,
}

impl<T: Fn(&str) -> String> Trial<'_, T> {
    /// Tries mutants, and keeps what came of them each time that some were tried. What survives all tests with few
    /// cases is tried with all cases once the others have been tried: most of it survives that too, and it takes long.
    pub fn run(&mut self, left: &[&Mutant]) -> anyhow::Result<()> {
        self.run_with(left, &[Tests::Quick, Tests::FewCases])?;
        let survived = |mutant: &&&Mutant| {
            let known = self.kept.outcome(&mutant.name, &(self.text_of)(&mutant.file));
            known == Some(Outcome::Survived)
        };
        let survivors: Vec<&Mutant> = left.iter().filter(survived).copied().collect();
        self.run_with(&survivors, &[Tests::All])
    }

    /// Tries mutants with the first tests, and those that get past them with the next.
    fn run_with(&mut self, left: &[&Mutant], tests: &[Tests]) -> anyhow::Result<()> {
        let Some(most) = tests.last() else { return Ok(()) };
        if left.is_empty() || Instant::now() >= self.deadline {
            return Ok(());
        }
        let baseline = self.krate.baseline(*most)?;
        let (began, mut tried) = (Instant::now(), 0);
        for some in left.chunks(AT_ONCE) {
            if Instant::now() >= self.deadline {
                break;
            }
            let mut outcomes = BTreeMap::new();
            let mut open: Vec<&str> = some.iter().map(|mutant| mutant.name.as_str()).collect();
            for tests in tests {
                if !open.is_empty() {
                    outcomes.extend(self.krate.try_all(&open, *tests, baseline)?);
                }
                let is_open = |name: &&str| outcomes.get(*name) == Some(&Outcome::Survived);
                open.retain(is_open);
            }
            for mutant in some {
                let Some(outcome) = outcomes.get(&mutant.name) else { continue };
                self.kept.keep(mutant.name.clone(), &(self.text_of)(&mutant.file), *outcome);
                match outcome {
                    Outcome::Survived => println!("survived: {}", mutant.name),
                    Outcome::TimedOut => println!("timed out: {}", mutant.name),
                    Outcome::Caught | Outcome::Endless | Outcome::Unviable => {}
                }
            }
            self.kept.write()?;
            tried += some.len();
            let each = began.elapsed().as_secs_f64() / tried as f64;
            println!("{tried} of {} tried, {each:.1} s each", left.len());
        }
        Ok(())
    }
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
        let mutants =
            ["slow", "caught", "new", "survived", "equal", "equal-too", "endless", "broken"];
        let mutants = mutants.map(mutant);
        let known = |mutant: &Mutant| match mutant.name.as_str() {
            "caught" => Some(Outcome::Caught),
            "survived" | "equal" => Some(Outcome::Survived),
            "endless" => Some(Outcome::Endless),
            "slow" => Some(Outcome::TimedOut),
            "broken" => Some(Outcome::Unviable),
            _ => None,
        };
        let equal = ["equal", "equal-too"].map(|name| (name.to_owned(), "because".to_owned()));
        let no_defect = BTreeMap::from(equal);
        let left = |shard: &str| {
            let left = left(&mutants, shard.parse().unwrap(), known, &no_defect);
            left.iter().map(|mutant| mutant.name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(left("0/1"), ["survived", "new", "equal-too", "slow"]);
        assert_eq!(left("0/2"), ["new", "slow"]);
        assert_eq!(left("1/2"), ["survived", "equal-too"]);
    }
}
