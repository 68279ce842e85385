//! Paths to the fields of an object.

use std::borrow::Cow;
use std::fmt;

/// A path to a field: [rendered](fmt::Display) as the API server writes one,
/// `spec.rules[0].backendRefs[1].weight`, or as the [tokens](Self::tokens) of a JSON pointer.
///
/// ```
/// use linkerd_failover::engine::FieldPath;
///
/// let weight = FieldPath::from("spec.backends").index(1).field("weight");
/// assert_eq!(weight.to_string(), "spec.backends[1].weight");
/// assert_eq!(weight.tokens().collect::<Vec<_>>(), ["spec", "backends", "1", "weight"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Segment {
    /// `.name`
    Field(Cow<'static, str>),
    /// `[0]`, of a list.
    Index(usize),
    /// `[name]`, of a map whose keys are not ours to choose.
    Key(Box<str>),
    /// `[]`, any entry of a list.
    Any,
}

impl FieldPath {
    /// A field of this one.
    pub fn field(&self, name: impl Into<Cow<'static, str>>) -> Self {
        self.with(Segment::Field(name.into()))
    }

    /// The entry of this list at a position.
    pub fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    /// The entry of this map by a key.
    pub fn key(&self, key: &str) -> Self {
        self.with(Segment::Key(key.into()))
    }

    /// The same field wherever it stands in the lists above it.
    pub fn at_any_index(&self) -> Self {
        let any = |segment: &Segment| match segment {
            Segment::Index(_) => Segment::Any,
            other => other.clone(),
        };
        Self(self.0.iter().map(any).collect())
    }

    /// The reference tokens of the JSON pointer, not escaped.
    pub fn tokens(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.0.iter().map(|segment| match segment {
            Segment::Field(name) => Cow::Borrowed(&**name),
            Segment::Key(key) => Cow::Borrowed(&**key),
            Segment::Index(index) => Cow::Owned(index.to_string()),
            Segment::Any => Cow::Borrowed("*"),
        })
    }

    fn with(&self, segment: Segment) -> Self {
        let mut segments = Vec::with_capacity(self.0.len() + 2);
        segments.extend_from_slice(&self.0);
        segments.push(segment);
        Self(segments)
    }
}

impl From<&'static str> for FieldPath {
    /// Fields of fields: `spec.parentRefs`.
    fn from(fields: &'static str) -> Self {
        Self(fields.split('.').map(|name| Segment::Field(name.into())).collect())
    }
}

impl From<&Self> for FieldPath {
    fn from(path: &Self) -> Self {
        path.clone()
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Field(name) if i == 0 => f.write_str(name)?,
                Segment::Field(name) => write!(f, ".{name}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) => write!(f, "[{key}]")?,
                Segment::Any => f.write_str("[]")?,
            }
        }
        Ok(())
    }
}

/// Tests compare with what is rendered.
#[cfg(test)]
impl PartialEq<&str> for FieldPath {
    fn eq(&self, other: &&str) -> bool {
        self.to_string() == **other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_rendered_as_the_api_server_writes_one() {
        let rule = FieldPath::from("spec.rules").index(0).field("backendRefs");
        assert_eq!(rule.index(1).field("weight"), "spec.rules[0].backendRefs[1].weight");
        let annotation = FieldPath::from("metadata.annotations").key("example.com/a");
        assert_eq!(annotation, "metadata.annotations[example.com/a]");
        assert_eq!(annotation.tokens().last().unwrap(), "example.com/a");
    }

    #[test]
    fn a_field_is_the_same_at_any_index() {
        let at = |i| FieldPath::from("spec.backends").index(i).field("service");
        assert_ne!(at(0), at(1));
        assert_eq!(at(0).at_any_index(), at(1).at_any_index());
        assert_eq!(at(0).at_any_index(), "spec.backends[].service");
    }
}
