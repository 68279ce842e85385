//! The annotations of an object, with what this program records in them read once.

use crate::engine::{AuthoredWeights, MAX_WEIGHT, Problem, State, annotations};
use std::collections::BTreeMap;

/// All annotations of an object: as text, and typed where they are this program's own record.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotations {
    all: BTreeMap<String, String>,
    /// The largest weight that a record may contain.
    most: u32,
    state: Option<State>,
    record: Option<Result<AuthoredWeights, Problem>>,
}

impl Default for Annotations {
    fn default() -> Self {
        Self::read(BTreeMap::new(), MAX_WEIGHT)
    }
}

impl Annotations {
    /// Reads those of an object whose weights are at most `most`.
    pub(crate) fn read(all: BTreeMap<String, String>, most: u32) -> Self {
        let mut read = Self { all, most, state: None, record: None };
        read.read_state();
        read.read_record();
        read
    }

    /// What was decided last, where that can be read.
    pub(crate) fn state(&self) -> Option<&State> {
        self.state.as_ref()
    }

    /// The author's weights as recorded, or what is wrong with the record.
    pub(crate) fn record(&self) -> Option<Result<&AuthoredWeights, &Problem>> {
        self.record.as_ref().map(Result::as_ref)
    }

    /// Records what was decided, or nothing.
    pub(crate) fn set_state(&mut self, state: Option<State>) {
        match &state {
            Some(state) => {
                self.all.insert(annotations::STATE.to_owned(), state.to_annotation());
            }
            None => {
                self.all.remove(annotations::STATE);
            }
        }
        self.state = state;
    }

    /// Records the author's weights.
    pub(crate) fn set_record(&mut self, record: AuthoredWeights) {
        self.all.insert(annotations::AUTHORED_WEIGHTS.to_owned(), record.to_annotation());
        self.record = Some(Ok(record));
    }

    /// The value of one.
    pub fn get(&self, name: &str) -> Option<&String> {
        self.all.get(name)
    }

    /// Whether one is there.
    pub fn contains_key(&self, name: &str) -> bool {
        self.all.contains_key(name)
    }

    /// Sets one.
    pub fn insert(&mut self, name: String, value: String) {
        let read = self.reader_of(&name);
        self.all.insert(name, value);
        read(self);
    }

    /// Removes one.
    pub fn remove(&mut self, name: &str) {
        if self.all.remove(name).is_some() {
            self.reader_of(name)(self);
        }
    }

    /// All of them as text.
    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.all
    }

    fn reader_of(&self, name: &str) -> fn(&mut Self) {
        match name {
            annotations::STATE => Self::read_state,
            annotations::AUTHORED_WEIGHTS => Self::read_record,
            _ => |_| {},
        }
    }

    fn read_state(&mut self) {
        self.state = self.all.get(annotations::STATE).and_then(|text| State::parse(text));
    }

    fn read_record(&mut self) {
        let text = self.all.get(annotations::AUTHORED_WEIGHTS);
        self.record = text.map(|text| AuthoredWeights::parse(text, self.most));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{BySet, Identity};

    #[test]
    fn what_is_recorded_follows_every_change_of_the_text() {
        let mut annotations = Annotations::default();
        assert_eq!((annotations.state(), annotations.record()), (None, None));
        let state = State::new(&Identity::new("r"), BySet::new());
        annotations.insert(annotations::STATE.into(), state.to_annotation());
        assert_eq!(annotations.state(), Some(&state));
        let as_text = annotations.clone();
        annotations.set_state(None);
        assert_eq!((annotations.state(), annotations.get(annotations::STATE)), (None, None));
        annotations.set_state(Some(state));
        assert_eq!(annotations, as_text);
        annotations.insert(annotations::AUTHORED_WEIGHTS.into(), "{".into());
        assert!(annotations.record().unwrap().is_err());
        let record = AuthoredWeights::default();
        annotations.set_record(record.clone());
        assert_eq!(annotations.record(), Some(Ok(&record)));
        assert_eq!(annotations.get(annotations::AUTHORED_WEIGHTS), Some(&record.to_annotation()));
        annotations.remove(annotations::STATE);
        annotations.remove(annotations::AUTHORED_WEIGHTS);
        assert_eq!(annotations, Annotations::default());
    }

    #[test]
    fn every_annotation_is_there_as_text() {
        let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let all = BTreeMap::from([text("a", "1"), text(annotations::STATE, "{")]);
        let mut annotations = Annotations::read(all.clone(), 1);
        assert_eq!(annotations.as_map(), &all);
        assert!(annotations.contains_key("a") && !annotations.contains_key("b"));
        annotations.remove("a");
        assert_eq!(annotations.as_map(), &BTreeMap::from([text(annotations::STATE, "{")]));
    }
}
