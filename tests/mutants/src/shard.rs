//! A part of the mutants, for one of several machines or runs.

use anyhow::{Context, bail};
use std::fmt;
use std::str::FromStr;

/// Every n-th mutant, from the k-th on: as `cargo mutants --shard k/n --sharding round-robin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    of_this: usize,
    of_all: usize,
}

impl Shard {
    /// What is in the shard, of a list that is always in the same order.
    pub fn of<T>(self, all: Vec<T>) -> Vec<T> {
        all.into_iter().skip(self.of_this).step_by(self.of_all).collect()
    }
}

impl FromStr for Shard {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let expected = || format!("found {text:?}, expected a shard such as 0/8, of 0/8 to 7/8");
        let (k, n) = text.split_once('/').with_context(expected)?;
        let (of_this, of_all) =
            (k.parse().with_context(expected)?, n.parse().with_context(expected)?);
        if of_this >= of_all {
            bail!(expected());
        }
        Ok(Self { of_this, of_all })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.of_this, self.of_all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_is_in_one_shard() {
        let mut all: Vec<i32> = (0..3)
            .flat_map(|k| format!("{k}/3").parse::<Shard>().unwrap().of((0..10).collect()))
            .collect();
        assert_eq!(all[..4], [0, 3, 6, 9]);
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_no_shard_is_refused() {
        for text in ["", "1", "3/3", "0/0", "-1/2", "a/b"] {
            let refused = text.parse::<Shard>().unwrap_err().to_string();
            assert!(refused.contains("expected a shard such as 0/8"), "{text}: {refused}");
        }
    }
}
