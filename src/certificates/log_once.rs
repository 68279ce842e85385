//! What was said already.

use std::collections::BTreeMap;

/// Remembers the last word on each subject, so that a state is logged when it begins and not for
/// as long as it lasts.
#[derive(Debug, Default)]
pub(super) struct LogOnce {
    last: BTreeMap<&'static str, String>,
}

impl LogOnce {
    /// Whether this is news.
    pub(super) fn is_news(&mut self, subject: &'static str, word: &str) -> bool {
        let news = self.last.get(subject).is_none_or(|last| last != word);
        if news {
            self.last.insert(subject, word.to_owned());
        }
        news
    }

    /// There is nothing to say any more; whether there was.
    pub(super) fn is_over(&mut self, subject: &'static str) -> bool {
        self.last.remove(subject).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_news_when_it_begins_and_when_it_changes() {
        let mut said = LogOnce::default();
        assert!(said.is_news("secret", "is gone"));
        assert!(!said.is_news("secret", "is gone"));
        assert!(said.is_news("secret", "is forbidden") && said.is_news("files", "is gone"));
        assert!(said.is_over("secret") && !said.is_over("secret"));
        assert!(said.is_news("secret", "is forbidden"));
    }
}
