//! How far the requests of an object are protected, and who asks for it.

use std::fmt;

/// How far requests are protected when a backend is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protection {
    /// Weights move.
    #[default]
    Standard,
    /// Warm standby too, and on a route Linkerd's retries.
    Seamless,
}

impl Protection {
    /// Both, by the values of the annotation.
    pub(crate) const BY_VALUE: &[(&str, Self)] =
        &[("standard", Self::Standard), ("seamless", Self::Seamless)];

    /// Reads a value of the annotation.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::BY_VALUE.iter().find(|(value, _)| *value == text).map(|(_, protection)| *protection)
    }

    /// As the annotation has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Seamless => "seamless",
        }
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the namespace of an object asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NamespaceDefault {
    /// Nothing.
    #[default]
    Silent,
    /// This, for objects that ask for nothing themselves.
    Asks(Protection),
    /// It has not been read yet, or may not be.
    NotKnown,
}

/// Who asks for the protection of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProtectionSetBy {
    /// Its annotation.
    Object,
    /// The annotation of its namespace.
    Namespace,
    /// The chart's value, or the flag.
    Chart,
}

impl ProtectionSetBy {
    /// For a sentence: `by …`.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Object => "its annotation",
            Self::Namespace => "the annotation of its namespace",
            Self::Chart => "the chart's value protection",
        }
    }
}

/// All that the protection of an object follows from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProtectionSources {
    /// The object's annotation; it wins.
    pub object: Option<Protection>,
    /// The annotation of its namespace.
    pub namespace: NamespaceDefault,
    /// What holds where neither says anything.
    pub chart: Protection,
    /// The object's annotation `warm-standby`, which wins over what a protection includes.
    pub warm_standby: Option<bool>,
    /// What holds without it, whatever the protection is.
    pub chart_warm_standby: bool,
}

impl ProtectionSources {
    /// The protection that holds; none where the namespace decides and is not known.
    pub fn protection(&self) -> Option<Protection> {
        match (self.object, self.namespace) {
            (Some(own), _) => Some(own),
            (None, NamespaceDefault::Asks(protection)) => Some(protection),
            (None, NamespaceDefault::Silent) => Some(self.chart),
            (None, NamespaceDefault::NotKnown) => None,
        }
    }

    /// Whether more is known to be asked for than that weights move.
    pub fn is_seamless(&self) -> bool {
        self.protection() == Some(Protection::Seamless)
    }

    /// Who asks for it.
    pub(crate) fn set_by(&self) -> ProtectionSetBy {
        match (self.object, self.namespace) {
            (Some(_), _) => ProtectionSetBy::Object,
            (None, NamespaceDefault::Silent) => ProtectionSetBy::Chart,
            (None, NamespaceDefault::Asks(_) | NamespaceDefault::NotKnown) => {
                ProtectionSetBy::Namespace
            }
        }
    }

    /// Whether ready fallbacks keep the smallest share; none where that depends on what is not known.
    pub fn warm_standby(&self) -> Option<bool> {
        let own = self.warm_standby.or(self.chart_warm_standby.then_some(true));
        own.or_else(|| Some(self.protection()? == Protection::Seamless))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Protection::{Seamless, Standard};

    #[test]
    fn a_value_is_written_as_it_is_read() {
        for (value, protection) in Protection::BY_VALUE {
            assert_eq!(Protection::parse(value), Some(*protection));
            assert_eq!(protection.as_str(), *value);
        }
        assert_eq!(Protection::parse("Seamless"), None);
    }

    #[test]
    fn the_object_wins_over_its_namespace_and_that_over_the_chart() {
        let sources = |object, namespace, chart| ProtectionSources {
            object,
            namespace,
            chart,
            ..Default::default()
        };
        use NamespaceDefault::{Asks, NotKnown, Silent};
        for (object, namespace, chart, expected, by) in [
            (None, Silent, Standard, Some(Standard), ProtectionSetBy::Chart),
            (None, Silent, Seamless, Some(Seamless), ProtectionSetBy::Chart),
            (None, Asks(Seamless), Standard, Some(Seamless), ProtectionSetBy::Namespace),
            (None, Asks(Standard), Seamless, Some(Standard), ProtectionSetBy::Namespace),
            (None, NotKnown, Seamless, None, ProtectionSetBy::Namespace),
            (Some(Standard), Asks(Seamless), Seamless, Some(Standard), ProtectionSetBy::Object),
            (Some(Seamless), Asks(Standard), Standard, Some(Seamless), ProtectionSetBy::Object),
            (Some(Seamless), NotKnown, Standard, Some(Seamless), ProtectionSetBy::Object),
        ] {
            let sources = sources(object, namespace, chart);
            assert_eq!((sources.protection(), sources.set_by()), (expected, by), "{sources:?}");
        }
    }

    #[test]
    fn seamless_is_warm_standby_unless_the_object_says_no() {
        for (warm_standby, chart_warm_standby, object, expected) in [
            (None, false, None, false),
            (None, false, Some(Seamless), true),
            (None, true, Some(Standard), true),
            (Some(false), true, Some(Seamless), false),
            (Some(true), false, Some(Standard), true),
        ] {
            let sources = ProtectionSources {
                object,
                warm_standby,
                chart_warm_standby,
                ..ProtectionSources::default()
            };
            assert_eq!(sources.warm_standby(), Some(expected), "{sources:?}");
        }
    }

    #[test]
    fn without_knowing_the_namespace_warm_standby_is_known_where_the_namespace_does_not_matter() {
        for (warm_standby, chart_warm_standby, object, expected) in [
            (None, false, None, None),
            (None, true, None, Some(true)),
            (Some(false), false, None, Some(false)),
            (None, false, Some(Standard), Some(false)),
            (None, false, Some(Seamless), Some(true)),
        ] {
            let sources = ProtectionSources {
                object,
                namespace: NamespaceDefault::NotKnown,
                chart: Seamless,
                warm_standby,
                chart_warm_standby,
            };
            assert_eq!(sources.warm_standby(), expected, "{sources:?}");
        }
    }
    #[test]
    fn a_sentence_names_the_protection_and_who_asks_for_it() {
        assert_eq!([Standard, Seamless].map(|p| p.to_string()), ["standard", "seamless"]);
        let by = [ProtectionSetBy::Object, ProtectionSetBy::Namespace, ProtectionSetBy::Chart];
        assert_eq!(
            by.map(ProtectionSetBy::describe),
            ["its annotation", "the annotation of its namespace", "the chart's value protection"]
        );
    }

    #[test]
    fn only_what_is_known_to_be_seamless_is() {
        for (object, namespace, is_seamless) in [
            (Some(Seamless), NamespaceDefault::NotKnown, true),
            (Some(Standard), NamespaceDefault::Asks(Seamless), false),
            (None, NamespaceDefault::Asks(Seamless), true),
            (None, NamespaceDefault::NotKnown, false),
            (None, NamespaceDefault::Silent, false),
        ] {
            let sources = ProtectionSources { object, namespace, ..Default::default() };
            assert_eq!(sources.is_seamless(), is_seamless, "{sources:?}");
        }
    }
}
