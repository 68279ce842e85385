//! How many rounds are made.

use std::time::{Duration, Instant};

/// Rounds are made for a time, so that the whole takes no longer on a slow machine; what they measure
/// does not decide when they end.
pub(crate) struct Budget {
    end: Instant,
    at_least: usize,
    done: usize,
}

impl Budget {
    pub(crate) fn new(time: Duration, at_least: usize) -> Self {
        Self { end: Instant::now() + time, at_least, done: 0 }
    }
}

/// The numbers of the rounds.
impl Iterator for Budget {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let more = self.done < self.at_least || Instant::now() < self.end;
        more.then(|| {
            self.done += 1;
            self.done - 1
        })
    }
}
