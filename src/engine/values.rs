//! The values of annotations: each reader gives the value, or a problem that names the annotation,
//! what was found and what is expected.

use crate::engine::declaration::ByName;
use crate::engine::{Declaration, Problem, annotations, closest};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeSet, HashSet};

/// The two values for yes and no; kubectl demands them quoted.
pub(super) const BOOLEAN: &[(&str, bool)] = &[("true", true), ("false", false)];

/// Longer than this is taken for a slip: traffic would stay on a dead backend for a week.
const LONGEST_DELAY: SignedDuration = SignedDuration::from_hours(168);

/// The most problems of one annotation that are reported.
pub(super) const MOST_PROBLEMS: usize = 16;

/// Reads a delay as kubectl writes one: `90s`, `1h30m`; at most a week.
pub(crate) fn delay(text: &str) -> Option<SignedDuration> {
    // The parser also takes "1 hour ago", weeks, and ISO 8601; an author means Go's form.
    let gos = !text.is_empty() && text.bytes().all(|b| b"0123456789.hmsun".contains(&b));
    let read = gos.then(|| text.parse::<SignedDuration>().ok()).flatten();
    read.filter(|d| (SignedDuration::ZERO..=LONGEST_DELAY).contains(d))
}

/// What [`delay`] understands, for people.
pub(crate) fn expected_delay() -> String {
    format!("a duration such as 0s, 90s or 1h30m, of at most {}h", LONGEST_DELAY.as_hours())
}

/// One annotation of an object, there or not.
#[derive(Clone, Copy)]
pub(super) struct Annotation<'a> {
    name: &'static str,
    value: Option<&'a str>,
}

impl<'a> Annotation<'a> {
    pub(super) fn of(declared: &'a Declaration, name: &'static str) -> Self {
        Self { name, value: declared.annotations.get(name).map(String::as_str) }
    }

    /// An annotation whose value is known by other means.
    pub(super) fn with(name: &'static str, value: Option<&'a str>) -> Self {
        Self { name, value }
    }

    pub(super) fn is_there(&self) -> bool {
        self.value.is_some()
    }

    /// A problem of this annotation, with what was found.
    pub(super) fn problem(&self) -> Problem {
        Problem::error(annotations::field(self.name))
            .found(format!("{:?}", self.value.unwrap_or_default()))
    }

    /// A delay, see [`delay`].
    pub(super) fn as_delay(&self, problems: &mut Vec<Problem>) -> Option<SignedDuration> {
        self.or_problem(delay(self.value?), problems, expected_delay)
    }

    /// A point in time.
    pub(super) fn as_time(&self, problems: &mut Vec<Problem>) -> Option<Timestamp> {
        let text = self.value?;
        self.or_problem(text.parse::<Timestamp>().ok(), problems, || {
            "an RFC 3339 time such as 2026-01-31T14:30:00Z".into()
        })
    }

    /// One of these values.
    pub(super) fn as_one_of<T: Copy>(
        &self,
        values: &[(&str, T)],
        problems: &mut Vec<Problem>,
    ) -> Option<T> {
        let text = self.value?;
        let meant = values.iter().find(|(value, _)| *value == text).map(|(_, meaning)| *meaning);
        if meant.is_none() {
            let each: Vec<_> = values.iter().map(|(value, _)| format!("{value:?}")).collect();
            let problem = self.problem().expected(each.join(" or "));
            problems.push(match closest(text, values.iter().map(|(value, _)| *value)) {
                Some(near) => problem.next(format!("did you mean {near:?}?")),
                None => problem,
            });
        }
        meant
    }

    /// Comma-separated backends, by name, in the order given and each once. `Some` of what could be
    /// read where there is a problem.
    pub(super) fn as_backends(
        &self,
        declared: &Declaration,
        problems: &mut Vec<Problem>,
    ) -> Option<Vec<String>> {
        let text = self.value?;
        let (names, before) = (Names::of(declared), problems.len());
        let (mut found, mut seen) = (vec![], HashSet::new());
        for name in text.split(',').map(str::trim) {
            if seen.contains(name) {
                problems.push(
                    self.problem().expected(format!("each backend once; {name} is named twice")),
                );
            } else if names.check(name, text, self, problems) {
                seen.insert(name);
                found.push(name.to_owned());
            }
            if problems.len() - before >= MOST_PROBLEMS {
                break;
            }
        }
        Some(found)
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

/// How the backends of an object are called.
pub(super) struct Names<'a> {
    sets: Vec<ByName<'a>>,
    declared: &'a Declaration,
}

impl<'a> Names<'a> {
    pub(super) fn of(declared: &'a Declaration) -> Self {
        Self { sets: declared.sets.iter().map(|set| set.by_name()).collect(), declared }
    }

    /// Whether any backend is called so; what is wrong with a name that is `text`, or in it, is told
    /// as the annotation's. A Service that a rule has with several ports is not clear by its name.
    pub(super) fn check(
        &self,
        name: &str,
        text: &str,
        of: &Annotation<'_>,
        problems: &mut Vec<Problem>,
    ) -> bool {
        let sets = self.declared.sets.iter().zip(&self.sets);
        let mut is_there = false;
        for (set, by_name) in sets {
            let places = by_name.get(name);
            is_there |= !places.is_empty();
            let called: BTreeSet<&str> =
                places.iter().map(|i| set.backends[*i].name.as_str()).collect();
            if called.len() > 1 {
                let called: Vec<&str> = called.into_iter().collect();
                let expected = format!("the port with it: {}", called.join(" or "));
                problems.push(of.problem().expected(expected).about(name));
                return true;
            }
        }
        // Without backends there is nothing to expect, and that is reported already.
        if !is_there && self.declared.backends().next().is_some() {
            problems.push(self.stranger(name, text, of));
        }
        is_there
    }

    /// A name that is none of the backends.
    fn stranger(&self, name: &str, text: &str, of: &Annotation<'_>) -> Problem {
        // Several rules of a route name the same.
        let mut seen = HashSet::new();
        let names = self.declared.backends().map(|b| b.name.as_str());
        let names: Vec<&str> = names.filter(|name| seen.insert(*name)).collect();
        let listed: Vec<_> = names.iter().copied().take(10).collect();
        let which = if name == text { String::new() } else { format!(", not {name:?}") };
        let expected = format!("one of the backends ({}){which}", listed.join(", "));
        let problem = of.problem().expected(expected).about(name);
        match closest(name, names) {
            Some(near) => problem.next(format!("did you mean {near}?")),
            None => problem,
        }
    }
}
