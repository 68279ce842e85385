//! Why something is not done: what was found, what is expected, and the next step.

/// Why a command changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub found: String,
    pub expected: String,
    pub next: String,
}

impl Refusal {
    pub(crate) fn new(
        found: impl Into<String>,
        expected: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self { found: found.into(), expected: expected.into(), next: next.into() }
    }
}
