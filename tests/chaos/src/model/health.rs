//! What is known of a Service's endpoints.

/// What the observer may hold the program to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// So many endpoints are ready, whoever looks.
    Ready(usize),
    /// None is, and none can be taken to be.
    Down,
    /// The program may be right whatever it takes it to be, and why.
    Open(&'static str),
}

impl Health {
    /// Whether it is ready for certain.
    pub fn is_ready(self) -> bool {
        matches!(self, Self::Ready(_))
    }

    /// Whether it is down for certain.
    pub fn is_down(self) -> bool {
        self == Self::Down
    }
}
