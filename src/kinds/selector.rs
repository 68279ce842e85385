//! The label selector of managed objects.
//!
//! The API server evaluates it for the watch; a webhook's `objectSelector` matches where the old
//! *or* the new object does, so the webhook has to distinguish them itself. kube's `Selector` has
//! the matching; its text form is parsed here because no crate of the tree does.

use kube::core::{Expression, Selector, SelectorExt};
use std::collections::BTreeMap;

/// A selector in kubectl's notation, with what it matches.
#[derive(Clone, Debug)]
pub(crate) struct LabelSelector {
    text: String,
    parsed: Selector,
}

/// A text that is no label selector.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error(
    "{found:?} is not a label selector: expected comma-separated `key`, `!key`, `key=value`, `key!=value`, `key in (a,b)` or `key notin (a,b)`"
)]
pub(crate) struct NotASelector {
    found: String,
}

impl LabelSelector {
    pub(crate) fn parse(text: &str) -> Result<Self, NotASelector> {
        let expressions: Option<Vec<_>> = requirements(text).map(expression).collect();
        let expressions = expressions.ok_or_else(|| NotASelector { found: text.to_owned() })?;
        if expressions.is_empty() {
            // An empty selector would take over every object of the cluster.
            return Err(NotASelector { found: text.to_owned() });
        }
        Ok(Self { text: text.to_owned(), parsed: expressions.into_iter().collect() })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Labels that it matches; none where it has no such requirements that name them.
    pub(crate) fn example(&self) -> Option<BTreeMap<String, String>> {
        let label = |requirement: &str| match expression(requirement)? {
            Expression::Equal(name, value) => Some((name, value)),
            Expression::In(name, values) => Some((name, values.into_iter().next()?)),
            Expression::Exists(name) => Some((name, "check".to_owned())),
            _ => None,
        };
        let labels: BTreeMap<_, _> = requirements(&self.text).filter_map(label).collect();
        Some(labels).filter(|labels| self.matches(labels))
    }

    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.parsed.matches(labels)
    }
}

impl std::str::FromStr for LabelSelector {
    type Err = NotASelector;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// Splits at the commas outside of parentheses.
fn requirements(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    text.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth <= 0
    })
    .map(str::trim)
}

fn expression(text: &str) -> Option<Expression> {
    let name = |s: &str| {
        let s = s.trim();
        let legal = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        (!s.is_empty() && s.chars().all(legal)).then(|| s.to_owned())
    };
    // A value may be empty: `key=`.
    let value = |s: &str| if s.trim().is_empty() { Some(String::new()) } else { name(s) };
    if let Some(key) = text.strip_prefix('!') {
        return Some(Expression::DoesNotExist(name(key)?));
    }
    if let Some((key, rest)) = text.split_once("!=") {
        return Some(Expression::NotEqual(name(key)?, value(rest)?));
    }
    if let Some((key, rest)) = text.split_once('=') {
        let rest = rest.strip_prefix('=').unwrap_or(rest);
        return Some(Expression::Equal(name(key)?, value(rest)?));
    }
    if let Some(inner) = text.strip_suffix(')') {
        let (head, values) = inner.split_once('(')?;
        let values: Option<_> = values.split(',').map(value).collect();
        let (key, operator) = head.trim().rsplit_once(char::is_whitespace)?;
        return match operator {
            "in" => Some(Expression::In(name(key)?, values?)),
            "notin" => Some(Expression::NotIn(name(key)?, values?)),
            _ => None,
        };
    }
    Some(Expression::Exists(name(text)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_has_labels_that_the_selector_matches() {
        for text in ["a/b", "a=x,b", "a in (x, y),c!=z,!d", "a==x"] {
            let selector = LabelSelector::parse(text).unwrap();
            assert!(selector.matches(&selector.example().unwrap()), "{text}");
        }
        assert_eq!(LabelSelector::parse("a=x,a=y").unwrap().example(), None);
    }

    fn matches(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        LabelSelector::parse(selector).unwrap().matches(&labels)
    }

    #[test]
    fn kubectls_notation_is_understood() {
        for (selector, labels, expected) in [
            ("a", vec![("a", "x")], true),
            ("a", vec![("b", "x")], false),
            ("!a", vec![("b", "x")], true),
            ("a=x", vec![("a", "x")], true),
            ("a==x", vec![("a", "y")], false),
            ("a!=x", vec![("a", "y")], true),
            ("a in (x, y)", vec![("a", "y")], true),
            ("a notin (x,y),b=1", vec![("a", "z"), ("b", "1")], true),
            ("example.com/a=x,!b", vec![("example.com/a", "x")], true),
        ] {
            assert_eq!(matches(selector, &labels), expected, "{selector} on {labels:?}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused_with_the_text_found() {
        for text in ["", ",", "a b", "a in x", "a in (x", "=x", "a=x=y", "a is (x)", "a=x,"] {
            assert!(LabelSelector::parse(text).is_err(), "{text:?}");
        }
    }
}
