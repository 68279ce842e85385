//! Why traffic cannot go to a backend as it stands.

/// Why traffic cannot go to a backend as it stands; in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It can be no Service that Linkerd sends to: never ready, and never given weight.
    NoService(Box<str>),
    /// Which Service it means is ambiguous: not known is not down.
    Unclear(Box<str>),
}
