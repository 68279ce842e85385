//! A state that is reported when it begins, when it changes and when it ends, and not for as long as
//! it lasts.

/// What was reported last. `T` is the state as data, so that two reports are compared by what they
/// mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReportOnce<T> {
    last: Option<T>,
}

impl<T> Default for ReportOnce<T> {
    fn default() -> Self {
        Self { last: None }
    }
}

impl<T: PartialEq> ReportOnce<T> {
    /// Whether this state has to be reported now; from now on it counts as reported.
    pub(crate) fn begins(&mut self, state: T) -> bool {
        self.changes(Some(state))
    }

    /// Whether a state that was reported has ended.
    pub(crate) fn ends(&mut self) -> bool {
        self.last.take().is_some()
    }

    /// The same for a state that may be there or not: whether it differs from what was reported last.
    pub(crate) fn changes(&mut self, state: Option<T>) -> bool {
        let changed = self.last != state;
        if changed {
            self.last = state;
        }
        changed
    }

    /// What was reported last, while it lasts.
    pub(crate) fn last(&self) -> Option<&T> {
        self.last.as_ref()
    }

    /// Whether nothing is reported that lasts.
    pub(crate) fn is_empty(&self) -> bool {
        self.last.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_reported_when_it_begins_changes_and_ends() {
        let mut reported = ReportOnce::default();
        assert!(reported.begins("gone") && !reported.begins("gone"));
        assert!(reported.begins("forbidden"));
        assert_eq!(reported.last(), Some(&"forbidden"));
        assert!(reported.ends() && !reported.ends() && reported.is_empty());
        assert!(reported.begins("forbidden"));
        let mut of_another_subject = ReportOnce::default();
        assert!(of_another_subject.begins("forbidden"));
        assert!(reported.changes(None) && !reported.changes(None));
    }
}
