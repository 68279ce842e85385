//! The `authored-weights` annotation: the author's weights, kept while ours are in the object.

use crate::engine::names::AuthoredText;
use crate::engine::{BySet, Problem, Weights, annotations};
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

/// The content of `failover.linkerd.io/authored-weights`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuthoredWeights {
    v: u32,
    /// Per set of backends: `""` for an object that has one.
    pub sets: BySet<Weights>,
    /// The same as their author wrote them, where that is not a whole number: `900m`, or a backend with
    /// two entries. Replicas of an older version read the numbers only.
    #[serde(default, skip_serializing_if = "BySet::is_empty")]
    pub written: BySet<AuthoredText>,
}

impl Default for AuthoredWeights {
    fn default() -> Self {
        Self::new(BySet::new())
    }
}

impl AuthoredWeights {
    /// The author's weights of each set, with none that were written otherwise.
    pub fn new(sets: BySet<Weights>) -> Self {
        Self { v: VERSION, sets, written: BySet::new() }
    }

    /// The same, as it was written.
    pub fn written(mut self, written: BySet<AuthoredText>) -> Self {
        self.written = written;
        self
    }

    /// Reads the annotation; no weight may be larger than `most`.
    pub fn parse(annotation: &str, most: u32) -> Result<Self, Problem> {
        let wrong = |found: String| {
            Problem::error(annotations::field(annotations::AUTHORED_WEIGHTS))
                .found(found)
                .expected(r#"{"v":1,"sets":{"":{"<backend>":<weight>,…}}}"#)
                .next("remove the annotation to have the weights in spec recorded anew")
        };
        let read: Self =
            serde_json::from_str(annotation).map_err(|e| wrong(format!("{annotation:?} ({e})")))?;
        if read.v != VERSION {
            return Err(wrong(format!("version {}", read.v)));
        }
        let weights = read.sets.values().flatten();
        match weights.into_iter().find(|(_, weight)| **weight > most) {
            Some((name, weight)) => Err(wrong(format!("weight {weight} for {name}"))),
            None => Ok(read),
        }
    }

    /// The annotation's value.
    pub fn to_annotation(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_annotation_has_the_shape_of_the_contract() {
        let weights = Weights::from([("emoji-svc".into(), 1), ("emoji-svc-west".into(), 0)]);
        let sets = BySet::from([(String::new(), weights)]);
        let text = AuthoredWeights::new(sets.clone()).to_annotation();
        assert_eq!(text, r#"{"v":1,"sets":{"":{"emoji-svc":1,"emoji-svc-west":0}}}"#);
        assert_eq!(AuthoredWeights::parse(&text, 1).unwrap().sets, sets);
    }

    #[test]
    fn what_was_written_otherwise_is_kept_beside_the_numbers() {
        let sets = || BySet::from([(String::new(), Weights::from([("a".into(), 1)]))]);
        let text = AuthoredText::from([("a".to_owned(), vec!["900m".into()])]);
        let record = AuthoredWeights::new(sets()).written([(String::new(), text.clone())].into());
        assert_eq!((&record.sets, &record.written[""]), (&sets(), &text));
        assert_eq!(AuthoredWeights::parse(&record.to_annotation(), 1), Ok(record));
    }

    #[test]
    fn garbage_is_a_problem_that_says_what_to_do() {
        for text in [
            "",
            "{}",
            r#"{"v":2,"sets":{}}"#,
            r#"{"v":1,"sets":{"":{"a":-1}}}"#,
            r#"{"v":1,"sets":{"":{"a":4000000000}}}"#,
        ] {
            let problem = AuthoredWeights::parse(text, 429_496).unwrap_err();
            assert!(problem.to_string().contains("remove the annotation"), "{problem}");
        }
    }
}
