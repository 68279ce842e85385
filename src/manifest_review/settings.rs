//! The settings of the webhook that a verdict depends on.

use crate::admission::view::Rules;
use crate::engine::Defaults;
use crate::kinds::selector::LabelSelector;

/// The settings of a review, as the webhook has them.
#[derive(Debug)]
pub(crate) struct ReviewSettings {
    /// Of managed objects.
    pub selector: LabelSelector,
    pub rules: Rules,
    /// For objects that do not set a value of their own.
    pub defaults: Defaults,
    /// The namespace of objects that name none.
    pub namespace: String,
}
