//! What a check comes to.

/// So many faults are shown; of all others their number.
const SHOWN: usize = 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    /// It does not apply, or what it needs may not be read, which another check reports.
    Skipped,
    /// Meant so, or not harmful yet.
    Warning(String),
    Error(String),
}

impl Outcome {
    /// An error with a line for each fault; passed without any.
    pub(super) fn errors(faults: impl IntoIterator<Item = String>) -> Self {
        lines(faults).map_or(Self::Passed, Self::Error)
    }

    /// An error where there is a fault, with what is only to be warned of after it.
    pub(super) fn graded(
        faults: impl IntoIterator<Item = String>,
        warned_of: impl IntoIterator<Item = String>,
    ) -> Self {
        let faults: Vec<String> = faults.into_iter().collect();
        match faults.is_empty() {
            true => Self::warnings(warned_of),
            false => Self::errors(faults.into_iter().chain(warned_of)),
        }
    }

    /// The same as a warning.
    pub(super) fn warnings(faults: impl IntoIterator<Item = String>) -> Self {
        lines(faults).map_or(Self::Passed, Self::Warning)
    }
}

/// Linkerd indents the first line by four; the others are indented here.
fn lines(faults: impl IntoIterator<Item = String>) -> Option<String> {
    let faults: Vec<String> = faults.into_iter().collect();
    let more = faults.len().saturating_sub(SHOWN);
    let mut shown: Vec<String> = faults.into_iter().take(SHOWN).collect();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    (!shown.is_empty()).then(|| shown.join("\n    "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_a_line_and_many_are_counted() {
        let faults = |n: usize| (0..n).map(|i| format!("fault {i}"));
        assert_eq!(Outcome::errors(faults(0)), Outcome::Passed);
        assert_eq!(Outcome::errors(faults(2)), Outcome::Error("fault 0\n    fault 1".into()));
        let Outcome::Warning(many) = Outcome::warnings(faults(12)) else { panic!() };
        assert_eq!(many.lines().count(), 11);
        assert!(many.ends_with("\n    and 2 more"), "{many}");
    }
}
