//! `min-ready`: what a backend needs to count as ready.

use std::fmt;

/// How many endpoints a backend needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// At least this many ready endpoints.
    Count(u32),
    /// At least this share, in percent, of the smaller of: the endpoints known now, the most that
    /// were ready lately. So neither scaling up (new endpoints not ready yet) nor scaling down
    /// (fewer than there were) moves traffic.
    Percent(u32),
}

impl Default for Threshold {
    fn default() -> Self {
        Self::Count(1)
    }
}

impl Threshold {
    /// Whether this many ready endpoints are enough. `peak` is the most that were ready lately.
    pub fn is_met(self, ready: u32, total: u32, peak: u32) -> bool {
        let needed = match self {
            Self::Count(count) => u64::from(count),
            Self::Percent(percent) => {
                let of = u64::from(total.min(peak.max(ready)));
                (of * u64::from(percent)).div_ceil(100)
            }
        };
        // Nothing ready is never enough.
        u64::from(ready) >= needed.max(1)
    }

    /// Reads `2` or `50%`.
    pub fn parse(text: &str) -> Option<Self> {
        let (digits, percent) = match text.strip_suffix('%') {
            Some(digits) => (digits, true),
            None => (text, false),
        };
        // `u32::from_str` takes a plus sign, which no author means.
        let number: u32 =
            digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??;
        match (number, percent) {
            (1..=100, true) => Some(Self::Percent(number)),
            (1.., false) => Some(Self::Count(number)),
            _ => None,
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scaling_does_not_move_traffic_and_losing_half_does_at_60_percent() {
        let sixty = Threshold::Percent(60);
        for (story, ready, total, peak, met) in [
            ("4 scaled to 16, none of the new ones ready", 4, 16, 4, true),
            ("16 scaled to 4", 4, 4, 16, true),
            ("half of 10 fail", 5, 10, 10, false),
            ("4 of 10 fail", 6, 10, 10, true),
            ("none left", 0, 0, 10, false),
            ("none ready, none ever", 0, 3, 0, false),
            ("1 of 1", 1, 1, 1, true),
        ] {
            assert_eq!(sixty.is_met(ready, total, peak), met, "{story}");
        }
    }

    #[test]
    fn counts_and_percentages_are_read_and_nothing_else() {
        assert_eq!(Threshold::parse("2"), Some(Threshold::Count(2)));
        assert_eq!(Threshold::parse("50%"), Some(Threshold::Percent(50)));
        for text in ["", "0", "0%", "101%", "-1", "+1", "1.5", "50 %", "%", "4294967296", "x"] {
            assert_eq!(Threshold::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn more_ready_is_never_worse(ready: u16, total: u16, peak: u16, percent in 1_u32..=100) {
            let met = |ready: u16| {
                Threshold::Percent(percent).is_met(ready.into(), total.max(ready).into(), peak.into())
            };
            prop_assume!(ready < u16::MAX && met(ready));
            // Of the same endpoints, one more is ready.
            prop_assume!(ready < total);
            prop_assert!(met(ready + 1));
        }
    }
}
