//! How a metric is declared: its name, its help, its type and its field in one place.

use prometheus_client::metrics::family::Family;

/// The prefix of all metrics but those of the process.
pub(super) const PREFIX: &str = "linkerd_failover";

/// Declares a struct of metrics and registers every one of them.
///
/// `field: Type = "name", "help";` is a metric, `= "name" in Seconds, "help"` one with a unit, and
/// `with EXPRESSION` how it is made where that is not its default. Groups of metrics, structs that
/// this macro declared, follow after `groups`.
macro_rules! metrics {
    ($(#[doc = $of_all:literal])+ $vis:vis struct $metrics:ident {
        $($(#[doc = $doc:literal])* $field_vis:vis $field:ident: $type:ty =
            $name:literal $(in $unit:ident)?, $help:literal $(with $new:expr)?;)+
    }
    $(groups { $($group:ident: $group_type:ty,)+ })?) => {
        $(#[doc = $of_all])+
        #[derive(Debug)]
        $vis struct $metrics {
            $(#[doc = $help] $(#[doc = $doc])* $field_vis $field: $type,)+
            $($(pub(crate) $group: $group_type,)+)?
        }

        impl Default for $metrics {
            fn default() -> Self {
                Self {
                    $($field: metrics!(@new $($new)?),)+
                    $($($group: Default::default(),)+)?
                }
            }
        }

        impl $metrics {
            /// Puts every metric into a registry.
            pub(crate) fn register(&self, registry: &mut prometheus_client::registry::Registry) {
                $(metrics!(@register registry, self.$field.clone(), $name, $help $(, $unit)?);)+
                $($(self.$group.register(registry);)+)?
            }

            /// What is declared of each metric, in the order of the declarations.
            #[cfg(test)]
            pub(crate) fn declared() -> Vec<$crate::telemetry::macros::DeclaredMetric> {
                let own = vec![$($crate::telemetry::macros::DeclaredMetric {
                    name: $name,
                    rust_type: stringify!($type),
                    has_unit: !<[&str]>::is_empty(&[$(stringify!($unit))?]),
                    help: $help,
                },)+];
                let groups = vec![own, $($(<$group_type>::declared(),)+)?];
                groups.into_iter().flatten().collect()
            }
        }
    };
    (@new) => { Default::default() };
    (@new $new:expr) => { $new };
    (@register $registry:ident, $metric:expr, $name:literal, $help:literal) => {
        $registry.register($name, $help, $metric)
    };
    (@register $registry:ident, $metric:expr, $name:literal, $help:literal, $unit:ident) => {
        let unit = prometheus_client::registry::Unit::$unit;
        $registry.register_with_unit($name, $help, unit, $metric)
    };
}

/// Declares metrics whose values are looked up at each scrape.
///
/// `Variant: Type = "name", "help";` is a metric, `= "name" in Seconds, "help"` one with a unit.
macro_rules! sampled_metrics {
    ($(#[doc = $of_all:literal])+ $vis:vis enum $metrics:ident {
        $($metric:ident: $type:ident = $name:literal $(in $unit:ident)?, $help:literal;)+
    }) => {
        $(#[doc = $of_all])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $metrics { $(#[doc = $help] $metric,)+ }

        impl $metrics {
            /// Begins the metric: its samples follow.
            fn begin<'e>(
                self,
                encoder: &'e mut prometheus_client::encoding::DescriptorEncoder<'_>,
            ) -> Result<prometheus_client::encoding::MetricEncoder<'e>, std::fmt::Error> {
                let (name, help, unit, kind) = match self {
                    $(Self::$metric => (
                        $name,
                        concat!($help, "."),
                        sampled_metrics!(@unit $($unit)?),
                        prometheus_client::metrics::MetricType::$type,
                    ),)+
                };
                encoder.encode_descriptor(name, help, unit, kind)
            }

            /// What is declared of each metric, in the order of the declarations.
            #[cfg(test)]
            pub(crate) fn declared() -> Vec<$crate::telemetry::macros::DeclaredMetric> {
                vec![$($crate::telemetry::macros::DeclaredMetric {
                    name: $name,
                    rust_type: stringify!($type),
                    has_unit: !<[&str]>::is_empty(&[$(stringify!($unit))?]),
                    help: $help,
                },)+]
            }
        }
    };
    (@unit) => { None };
    (@unit $unit:ident) => { Some(&prometheus_client::registry::Unit::$unit) };
}

/// Declares the values of a label. The strings are a contract: dashboards and alerts select by them.
macro_rules! label_values {
    ($(#[$of_all:meta])+ $vis:vis enum $label:ident {
        $($(#[$of_value:meta])* $value:ident = $text:literal,)+
    }) => {
        $(#[$of_all])+
        #[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
        $vis enum $label { $($(#[$of_value])* $value,)+ }

        impl $label {
            /// Every value.
            #[allow(dead_code, reason = "most labels are only counted")]
            pub(crate) const ALL: &[Self] = &[$(Self::$value,)+];

            /// As it stands in a series.
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$value => $text,)+ }
            }
        }

        impl prometheus_client::encoding::EncodeLabelValue for $label {
            fn encode(
                &self,
                encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>,
            ) -> Result<(), std::fmt::Error> {
                prometheus_client::encoding::EncodeLabelValue::encode(&self.as_str(), encoder)
            }
        }
    };
}

/// The series of a family from the start: that a counter has begun shows only where it was 0 before.
pub(super) fn from_zero<L, C>(labels: impl IntoIterator<Item = L>) -> Family<L, C>
where
    L: Clone + std::hash::Hash + Eq,
    C: Default,
{
    let family = Family::default();
    for label in labels {
        drop(family.get_or_create(&label));
    }
    family
}

/// A metric as its struct declares it.
#[cfg(test)]
pub(crate) struct DeclaredMetric {
    pub name: &'static str,
    pub rust_type: &'static str,
    pub has_unit: bool,
    pub help: &'static str,
}

#[cfg(test)]
impl DeclaredMetric {
    /// As Prometheus has it.
    pub(crate) fn kind(&self) -> &'static str {
        let kinds = [("Counter", "counter"), ("Gauge", "gauge"), ("Histogram", "histogram")];
        let of_type = kinds.iter().find(|(name, _)| self.rust_type.contains(name));
        of_type.map(|(_, kind)| *kind).expect("a known type of metric")
    }

    /// The name with which it is scraped.
    pub(crate) fn scraped_name(&self) -> String {
        let unit = if self.has_unit { "_seconds" } else { "" };
        let total = if self.kind() == "counter" { "_total" } else { "" };
        let name = format!("{}{unit}{total}", self.name);
        match self.name.starts_with("process_") {
            true => name,
            false => format!("{PREFIX}_{name}"),
        }
    }
}

pub(super) use {label_values, metrics, sampled_metrics};
