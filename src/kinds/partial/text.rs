//! Text that is looked at while it is read: borrowed from the answer wherever it has no escapes.

use serde::Deserialize;
use std::borrow::Cow;
use std::ops::Deref;

#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}
