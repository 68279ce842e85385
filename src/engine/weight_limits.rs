//! What the weights of a set may be.

/// What the weights of one set may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightLimits {
    /// The largest weight.
    pub weight: u32,
    /// The largest sum of all weights.
    pub sum: u32,
}
