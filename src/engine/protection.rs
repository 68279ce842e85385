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
    pub namespace: Option<Protection>,
    /// What holds where neither says anything.
    pub chart: Protection,
    /// The object's annotation `warm-standby`, which wins over what a protection includes.
    pub warm_standby: Option<bool>,
    /// What holds without it, whatever the protection is.
    pub chart_warm_standby: bool,
}

impl ProtectionSources {
    /// The protection that holds.
    pub fn protection(&self) -> Protection {
        self.object.or(self.namespace).unwrap_or(self.chart)
    }

    /// Whether more is asked for than that weights move.
    pub fn is_seamless(&self) -> bool {
        self.protection() == Protection::Seamless
    }

    /// Who asks for it.
    pub(crate) fn set_by(&self) -> ProtectionSetBy {
        match (self.object, self.namespace) {
            (Some(_), _) => ProtectionSetBy::Object,
            (None, Some(_)) => ProtectionSetBy::Namespace,
            (None, None) => ProtectionSetBy::Chart,
        }
    }

    /// Whether ready fallbacks keep the smallest share.
    pub fn warm_standby(&self) -> bool {
        self.warm_standby.unwrap_or(self.chart_warm_standby || self.is_seamless())
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
        for (object, namespace, chart, expected, by) in [
            (None, None, Standard, Standard, ProtectionSetBy::Chart),
            (None, None, Seamless, Seamless, ProtectionSetBy::Chart),
            (None, Some(Seamless), Standard, Seamless, ProtectionSetBy::Namespace),
            (None, Some(Standard), Seamless, Standard, ProtectionSetBy::Namespace),
            (Some(Standard), Some(Seamless), Seamless, Standard, ProtectionSetBy::Object),
            (Some(Seamless), Some(Standard), Standard, Seamless, ProtectionSetBy::Object),
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
            assert_eq!(sources.warm_standby(), expected, "{sources:?}");
        }
    }
}
