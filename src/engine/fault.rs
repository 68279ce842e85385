//! Why traffic cannot go to a backend as it is declared.

/// Why traffic cannot go to a backend as it is declared, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It cannot be a Service that Linkerd sends to: never ready, and never given weight.
    NoService(Box<str>),
    /// Which Service it means is ambiguous: not known is not down.
    Unclear(Box<str>),
}
