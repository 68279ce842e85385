//! What is wrong with an object, in terms that its author can act on.

use crate::engine::{FieldPath, work};
use std::fmt;

/// Whether a problem makes an object unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It could not be checked: a fact is not known.
    Unknown,
    /// Legal, but likely to hurt.
    Warning,
    /// Failover cannot work with this.
    Error,
}

/// One cause: where it is, what was found there, what is expected, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether it denies the object.
    pub severity: Severity,
    /// The field that is wrong.
    pub field: FieldPath,
    /// What stands there.
    pub found: String,
    /// What has to stand there.
    pub expected: String,
    /// The next step, if there is more to say than `expected` does.
    pub next: Option<String>,
    /// What it is about, where the text depends on neighbours too: a fault is the same as before if
    /// its field and this are.
    pub about: Option<Box<str>>,
    /// How much of something there is, where it is too much: more than before is a fault of its own.
    pub size: u32,
}

impl Problem {
    /// An error in a field.
    pub fn error(field: impl Into<FieldPath>) -> Self {
        Self::new(Severity::Error, field)
    }

    /// A warning about a field.
    pub fn warning(field: impl Into<FieldPath>) -> Self {
        Self::new(Severity::Warning, field)
    }

    /// What could not be checked in a field.
    pub fn unknown(field: impl Into<FieldPath>) -> Self {
        Self::new(Severity::Unknown, field)
    }

    fn new(severity: Severity, field: impl Into<FieldPath>) -> Self {
        Self {
            severity,
            field: field.into(),
            found: String::new(),
            expected: String::new(),
            next: None,
            about: None,
            size: 0,
        }
    }

    /// With what was found, shortened where it is long.
    pub fn found(mut self, found: impl fmt::Display) -> Self {
        self.found = excerpt(&found.to_string());
        self
    }

    /// With what is expected.
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = expected.into();
        self
    }

    /// With what identifies it beside its field.
    pub fn about(mut self, about: impl Into<Box<str>>) -> Self {
        self.about = Some(about.into());
        self
    }

    /// With how much of something there is.
    pub fn sized(mut self, size: usize) -> Self {
        self.size = u32::try_from(size).unwrap_or(u32::MAX);
        self
    }

    /// With the next step.
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// Whether it denies the object.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Everything but the field path, for answers that carry the path apart.
    pub fn message(&self) -> String {
        let mut text = format!("found {}, expected {}", self.found, self.expected);
        if let Some(next) = &self.next {
            text.push_str("; ");
            text.push_str(next);
        }
        text
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message())
    }
}

/// An author's value can be a megabyte; an answer should not be.
fn excerpt(text: &str) -> String {
    const MOST: usize = 120;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

/// So many candidates are compared at most: a guess is a courtesy.
const CANDIDATES: usize = 2_048;

/// The candidate that a misspelt name most likely meant, if one is close enough.
pub(crate) fn closest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Longer than any name of ours, or of Kubernetes.
    const LONGEST: usize = 512;
    if name.len() > LONGEST {
        return None;
    }
    let length = name.chars().count();
    let allowed = (length / 4).clamp(1, 4);
    candidates
        .into_iter()
        .filter(|candidate| *candidate != name)
        // Letters that are too many, or missing, are each a step.
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= allowed)
        .take(CANDIDATES)
        .map(|candidate| (work::counted(strsim::osa_distance(name, candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swapped_letters_are_close_and_other_names_are_not() {
        let services = ["emoji-svc", "emoji-svc-west", "web-svc"];
        assert_eq!(closest("emoji-svc-wset", services), Some("emoji-svc-west"));
        assert_eq!(closest("payments", services), None);
        assert_eq!(closest("", services), None);
    }

    #[test]
    fn only_an_excerpt_of_a_huge_value_is_quoted() {
        let problem = Problem::error("spec").found("é".repeat(1_000_000)).expected("less");
        assert!(problem.to_string().len() < 400);
    }
    #[test]
    fn a_name_is_close_by_a_quarter_of_its_letters_one_at_least_and_four_at_most() {
        for (name, candidate, is_close) in [
            ("ab", "abc", true),
            ("ab", "abcd", false),
            ("abcdefg", "abcdefgh", true),
            ("abcdefg", "abcdefghi", false),
            ("abcdefgh", "abcdefghij", true),
            ("abcdefgh", "abcdefghijk", false),
            ("abcdefgh", "xycdefgh", true),
            ("abcdefgh", "xyzdefgh", false),
            ("abcdefghijklmnopqrst", "abcdefghijklmnop", true),
            ("abcdefghijklmnopqrst", "abcdefghijklmno", false),
            ("abcdefghijklmnopqrst", "vwxydefghijklmnopqrs", false),
            ("same", "same", false),
        ] {
            assert_eq!(closest(name, [candidate]).is_some(), is_close, "{name} {candidate}");
        }
        let long = |letters| "a".repeat(letters);
        assert_eq!(closest(&long(512), [&*long(511)]), Some(&*long(511)));
        assert_eq!(closest(&long(513), [&*long(512)]), None);
    }

    #[test]
    fn a_value_is_quoted_whole_up_to_120_letters() {
        let found = |letters: usize| Problem::error("spec").found("é".repeat(letters)).found;
        assert_eq!(found(120), "é".repeat(120));
        assert_eq!(found(121), format!("{}… (242 bytes)", "é".repeat(120)));
    }

    #[test]
    fn only_an_error_denies() {
        assert!(Problem::error("spec").is_error());
        assert!(!Problem::warning("spec").is_error() && !Problem::unknown("spec").is_error());
    }

    #[test]
    fn a_problem_has_its_field_what_was_found_what_is_expected_and_the_next_step() {
        let problem = Problem::error("spec.service").found("nothing").expected("a Service");
        assert_eq!(problem.to_string(), "spec.service: found nothing, expected a Service");
        let problem = problem.next("name one").about("web").sized(3);
        assert_eq!(problem.message(), "found nothing, expected a Service; name one");
        assert_eq!((problem.about.as_deref(), problem.size), (Some("web"), 3));
        assert_eq!(problem.sized(usize::MAX).size, u32::MAX);
    }
}
