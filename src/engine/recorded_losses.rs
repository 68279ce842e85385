//! What is seen beside what is recorded: a restart forgets no lost port.

use crate::engine::{Health, Intent, SetState};
use std::borrow::Cow;

/// Health beside what is recorded of losses.
pub(crate) fn remembered<'a>(
    intent: &Intent,
    health: &'a [Health],
    state: Option<&SetState>,
) -> Cow<'a, [Health]> {
    let Some(state) = state.filter(|state| !state.short.is_empty()) else {
        return Cow::Borrowed(health);
    };
    let mut health = health.to_vec();
    for (backend, health) in intent.backends.iter().zip(&mut health) {
        if let Some(short) = state.short.get(&backend.name) {
            health.remember(short);
        }
    }
    Cow::Owned(health)
}
