//! The values of annotations: each reader gives the value, or a problem that names the annotation,
//! what was found and what is expected.

use super::{Declaration, Problem, annotations, closest};
use jiff::{SignedDuration, Timestamp};

/// The two words for yes and no; kubectl demands them quoted.
pub const BOOLEAN: &[(&str, bool)] = &[("true", true), ("false", false)];

/// Longer than this is taken for a slip: traffic would stay on a dead backend for a week.
const LONGEST_DELAY: SignedDuration = SignedDuration::from_hours(168);

/// Reads a delay as kubectl writes one: `90s`, `1h30m`; at most a week.
pub fn delay(text: &str) -> Option<SignedDuration> {
    // The parser also takes "1 hour ago", weeks, and ISO 8601; an author means Go's form.
    let gos = !text.is_empty() && text.bytes().all(|b| b"0123456789.hmsun".contains(&b));
    let read = gos.then(|| text.parse::<SignedDuration>().ok()).flatten();
    read.filter(|d| (SignedDuration::ZERO..=LONGEST_DELAY).contains(d))
}

/// What [`delay`] understands, for people.
pub fn expected_delay() -> String {
    format!("a duration such as 0s, 90s or 1h30m, of at most {}h", LONGEST_DELAY.as_hours())
}

/// One annotation of an object, there or not.
#[derive(Clone, Copy)]
pub struct Annotation<'a> {
    name: &'static str,
    value: Option<&'a str>,
}

impl<'a> Annotation<'a> {
    pub fn of(declared: &'a Declaration, name: &'static str) -> Self {
        Self { name, value: declared.annotations.get(name).map(String::as_str) }
    }

    /// An annotation whose value is known by other means.
    pub fn with(name: &'static str, value: Option<&'a str>) -> Self {
        Self { name, value }
    }

    pub fn is_there(&self) -> bool {
        self.value.is_some()
    }

    /// A problem of this annotation, with what was found.
    pub fn problem(&self) -> Problem {
        Problem::error(annotations::field(self.name))
            .found(format!("{:?}", self.value.unwrap_or_default()))
    }

    /// A delay, see [`delay`].
    pub fn as_delay(&self, problems: &mut Vec<Problem>) -> Option<SignedDuration> {
        self.or_problem(delay(self.value?), problems, expected_delay)
    }

    /// A point in time.
    pub fn as_time(&self, problems: &mut Vec<Problem>) -> Option<Timestamp> {
        let text = self.value?;
        self.or_problem(text.parse::<Timestamp>().ok(), problems, || {
            "an RFC 3339 time such as 2026-01-31T14:30:00Z".into()
        })
    }

    /// One of these words.
    pub fn as_one_of<T: Copy>(
        &self,
        words: &[(&str, T)],
        problems: &mut Vec<Problem>,
    ) -> Option<T> {
        let text = self.value?;
        let meant = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
        self.or_problem(meant, problems, || {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            words.join(" or ")
        })
    }

    /// Comma-separated backends, by name, in the order given and each once. `Some` of what could be
    /// read where there is a problem.
    pub fn as_backends(
        &self,
        declared: &Declaration,
        problems: &mut Vec<Problem>,
    ) -> Option<Vec<String>> {
        let text = self.value?;
        let mut found: Vec<String> = vec![];
        for name in text.split(',').map(str::trim) {
            if found.iter().any(|n| n == name) {
                problems.push(
                    self.problem().expected(format!("each backend once; {name} is named twice")),
                );
            } else if declared.backends().any(|b| b.name == name) {
                found.push(name.to_owned());
            } else if declared.backends().next().is_some() {
                problems.push(self.stranger(name, text, declared));
            }
            // Without backends there is nothing to expect, and that is said already.
        }
        Some(found)
    }

    /// A name that is none of the backends.
    pub fn stranger(&self, name: &str, text: &str, declared: &Declaration) -> Problem {
        // Several rules of a route name the same.
        let mut names: Vec<&str> = vec![];
        for backend in declared.backends() {
            if !names.contains(&backend.name.as_str()) {
                names.push(&backend.name);
            }
        }
        let listed: Vec<_> = names.iter().copied().take(10).collect();
        let which = if name == text { String::new() } else { format!(", not {name:?}") };
        let problem =
            self.problem().expected(format!("one of the backends ({}){which}", listed.join(", ")));
        let problem = problem.about(name);
        match closest(name, names) {
            Some(near) => problem.next(format!("did you mean {near}?")),
            None => problem,
        }
    }

    fn or_problem<T>(
        &self,
        read: Option<T>,
        problems: &mut Vec<Problem>,
        expected: impl FnOnce() -> String,
    ) -> Option<T> {
        if read.is_none() {
            problems.push(self.problem().expected(expected()));
        }
        read
    }
}
