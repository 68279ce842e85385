//! The failfast timeout of callers' proxies: how long a request that meets a backend without endpoints waits
//! before it is answered, or repeated elsewhere. Linkerd's values set it for all proxies of a cluster.

use crate::kinds::ObjectKey;
use crate::kinds::linkerd::duration;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::fmt;
use std::time::Duration;

/// The ConfigMap, in Linkerd's namespace, that has the values which Linkerd was installed with.
pub(crate) const CONFIG_MAP: &str = "linkerd-config";
/// Its key.
pub(crate) const VALUES: &str = "values";
/// Linkerd's Role that allows to read it.
pub(crate) const ROLE: &str = "ext-namespace-metadata-linkerd-config";

/// The proxies' environment variable for it.
pub(crate) const VARIABLE: &str = "LINKERD2_PROXY_OUTBOUND_HTTP_FAILFAST_TIMEOUT";
/// The value with which every request was answered within 0.4 s in measurements.
pub(crate) const ADVISED: &str = "200ms";
/// The proxies' own, without that variable.
pub(crate) const DEFAULT: Duration = Duration::from_secs(3);

/// What is known of the timeout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Failfast {
    /// Nothing has been answered yet.
    #[default]
    NotRead,
    Known(FailfastTimeout),
    NotKnown(NotKnown),
}

/// Why the timeout is not known, and the line that mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotKnown {
    /// As a part of a sentence.
    pub why: String,
    pub line: String,
}

impl Failfast {
    /// Linkerd's namespace has no such ConfigMap, or does not exist.
    pub(crate) fn without_config_map(namespace: &str) -> Self {
        Self::NotKnown(NotKnown {
            why: format!("there is no ConfigMap {CONFIG_MAP} in namespace {namespace}"),
            line: format!(
                "kubectl get configmaps -A --field-selector=metadata.name={CONFIG_MAP} finds Linkerd's namespace, which the chart's value linkerdNamespace names"
            ),
        })
    }

    /// This ServiceAccount may not read it.
    pub(crate) fn forbidden(namespace: &str, account: &ObjectKey) -> Self {
        let name = &account.name;
        Self::NotKnown(NotKnown {
            why: format!("{account} may not read ConfigMap {CONFIG_MAP} in namespace {namespace}"),
            line: format!(
                "kubectl create rolebinding {name}-linkerd-config -n {namespace} --role={ROLE} --serviceaccount={}:{name}",
                account.namespace
            ),
        })
    }

    fn unreadable(why: impl fmt::Display) -> Self {
        Self::NotKnown(NotKnown {
            why: format!("Linkerd's values in ConfigMap {CONFIG_MAP} cannot be read: {why}"),
            line: "linkerd check shows whether Linkerd can".into(),
        })
    }
}

/// The timeout, and where in Linkerd's values it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FailfastTimeout {
    pub timeout: Duration,
    /// None: it is the proxies' default.
    pub set_in: Option<EnvList>,
}

/// A list of environment variables in Linkerd's values. Of a variable that is in both, proxies take the
/// second list's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EnvList {
    Additional,
    Experimental,
}

impl fmt::Display for EnvList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proxy.{}", self.field())
    }
}

impl EnvList {
    fn field(self) -> &'static str {
        match self {
            Self::Additional => "additionalEnv",
            Self::Experimental => "experimentalEnv",
        }
    }
}

/// What Linkerd's values need for the timeout that is advised.
pub(crate) fn set_in(list: EnvList) -> String {
    format!(
        "proxy: {{{}: [{{name: {VARIABLE}, value: {ADVISED}}}]}} in Linkerd's values",
        list.field()
    )
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Values {
    proxy: Option<Proxy>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Proxy {
    additional_env: Option<Vec<EnvVar>>,
    experimental_env: Option<Vec<EnvVar>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct EnvVar {
    name: Option<String>,
    value: Option<Value>,
    value_from: Option<IgnoredAny>,
}

/// Reads the timeout from Linkerd's values, as the ConfigMap has them.
pub(crate) fn read(values: Option<&str>) -> Failfast {
    let Some(text) = values else {
        return Failfast::unreadable(format_args!("it has no key {VALUES:?}"));
    };
    match serde_saphyr::from_str_with_options::<Option<Values>>(text, options()) {
        Ok(values) => in_values(values.unwrap_or_default()),
        Err(error) => Failfast::unreadable(brief(&error)),
    }
}

fn options() -> serde_saphyr::Options {
    // A Service or a value called y is a string to Helm too.
    serde_saphyr::options! { with_snippet: false, strict_booleans: true }
}

fn brief(error: &serde_saphyr::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().chars().take(200).collect()
}

fn in_values(values: Values) -> Failfast {
    let proxy = values.proxy.unwrap_or_default();
    let lists = [
        (EnvList::Additional, proxy.additional_env),
        (EnvList::Experimental, proxy.experimental_env),
    ];
    let variables = lists.into_iter().flat_map(|(list, variables)| {
        variables.unwrap_or_default().into_iter().map(move |variable| (list, variable))
    });
    // Of two with one name a container gets the last.
    let mut ours = variables.filter(|(_, variable)| variable.name.as_deref() == Some(VARIABLE));
    match ours.next_back() {
        None => Failfast::Known(FailfastTimeout { timeout: DEFAULT, set_in: None }),
        Some((list, EnvVar { value_from: Some(_), .. })) => Failfast::NotKnown(NotKnown {
            why: format!("{list} has {VARIABLE} by valueFrom"),
            line: set_in(list),
        }),
        Some((list, variable)) => timeout(list, &variable.value.unwrap_or_default()),
    }
}

fn timeout(list: EnvList, value: &Value) -> Failfast {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    match duration::read(&text) {
        Some(timeout) => Failfast::Known(FailfastTimeout { timeout, set_in: Some(list) }),
        None => Failfast::NotKnown(NotKnown {
            why: format!("{list} has {VARIABLE} as {text:?}, which is no duration to a proxy"),
            line: set_in(list),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn known(milliseconds: u64, set_in: Option<EnvList>) -> Failfast {
        let timeout = Duration::from_millis(milliseconds);
        Failfast::Known(FailfastTimeout { timeout, set_in })
    }

    fn of_proxy(proxy: Value) -> Failfast {
        // JSON is YAML.
        read(Some(&json!({"clusterDomain": "cluster.local", "proxy": proxy}).to_string()))
    }

    fn variable(value: &str) -> Value {
        json!({"name": VARIABLE, "value": value})
    }

    #[test]
    fn it_is_read_where_linkerds_chart_writes_it_down() {
        let values = "\
clusterDomain: cluster.local
identity:
  issuer:
    tls:
      crtPEM: |
        -----BEGIN CERTIFICATE-----
proxy:
  await: true
  additionalEnv:
  - name: LINKERD2_PROXY_OUTBOUND_HTTP_FAILFAST_TIMEOUT
    value: 200ms
  - name: POD_IP
    valueFrom:
      fieldRef:
        fieldPath: status.podIP
  resources:
    cpu:
      limit: \"\"
  y: n
";
        assert_eq!(read(Some(values)), known(200, Some(EnvList::Additional)));
    }

    #[test]
    fn without_the_variable_it_is_the_proxies_default() {
        for proxy in [
            json!({}),
            json!(null),
            json!({"additionalEnv": null}),
            json!({"additionalEnv": []}),
            json!({"additionalEnv": [{"name": "X", "value": "200ms"}, {}, {"name": null}]}),
        ] {
            assert_eq!(of_proxy(proxy.clone()), known(3_000, None), "{proxy}");
        }
        assert_eq!(read(Some("")), known(3_000, None));
        assert_eq!(read(Some("clusterDomain: x\n")), known(3_000, None));
    }

    #[test]
    fn of_two_with_its_name_the_last_counts_and_the_experimental_ones_come_last() {
        let twice = json!({"additionalEnv": [variable("1s"), variable("200ms")]});
        assert_eq!(of_proxy(twice), known(200, Some(EnvList::Additional)));
        let both =
            json!({"experimentalEnv": [variable("5s")], "additionalEnv": [variable("200ms")]});
        assert_eq!(of_proxy(both), known(5_000, Some(EnvList::Experimental)));
    }

    fn not_known(failfast: Failfast) -> String {
        match failfast {
            Failfast::NotKnown(NotKnown { why, line }) => format!("{why}; {line}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_value_that_is_none_or_comes_from_elsewhere_is_not_known() {
        let elsewhere = json!({"name": VARIABLE, "valueFrom": {"secretKeyRef": {"name": "x"}}});
        insta::assert_snapshot!(not_known(of_proxy(json!({"additionalEnv": [elsewhere]}))), @"proxy.additionalEnv has LINKERD2_PROXY_OUTBOUND_HTTP_FAILFAST_TIMEOUT by valueFrom; proxy: {additionalEnv: [{name: LINKERD2_PROXY_OUTBOUND_HTTP_FAILFAST_TIMEOUT, value: 200ms}]} in Linkerd's values");
        insta::assert_snapshot!(not_known(of_proxy(json!({"experimentalEnv": [variable("0.2s")]}))), @r#"proxy.experimentalEnv has LINKERD2_PROXY_OUTBOUND_HTTP_FAILFAST_TIMEOUT as "0.2s", which is no duration to a proxy; proxy: {experimentalEnv: [{name: LINKERD2_PROXY_OUTBOUND_HTTP_FAILFAST_TIMEOUT, value: 200ms}]} in Linkerd's values"#);
        let number = json!({"name": VARIABLE, "value": 200});
        assert!(not_known(of_proxy(json!({"experimentalEnv": [number]}))).contains("as \"200\""));
        assert!(
            not_known(of_proxy(json!({"additionalEnv": [{"name": VARIABLE}]}))).contains("as \"\"")
        );
    }

    #[test]
    fn what_keeps_it_from_being_known_comes_with_the_line_that_mends_it() {
        insta::assert_snapshot!(not_known(Failfast::without_config_map("linkerd")), @"there is no ConfigMap linkerd-config in namespace linkerd; kubectl get configmaps -A --field-selector=metadata.name=linkerd-config finds Linkerd's namespace, which the chart's value linkerdNamespace names");
        let account = ObjectKey::new("linkerd-failover", "linkerd-failover");
        insta::assert_snapshot!(not_known(Failfast::forbidden("linkerd", &account)), @"linkerd-failover/linkerd-failover may not read ConfigMap linkerd-config in namespace linkerd; kubectl create rolebinding linkerd-failover-linkerd-config -n linkerd --role=ext-namespace-metadata-linkerd-config --serviceaccount=linkerd-failover:linkerd-failover");
        insta::assert_snapshot!(not_known(read(None)), @r#"Linkerd's values in ConfigMap linkerd-config cannot be read: it has no key "values"; linkerd check shows whether Linkerd can"#);
    }

    #[test]
    fn no_text_makes_it_panic_and_what_is_no_yaml_is_not_known() {
        for text in ["{", "proxy: [", "- a", "proxy: 1", "proxy:\n  additionalEnv: x", "a: *a"] {
            let why = not_known(read(Some(text)));
            assert!(why.contains("cannot be read"), "{text:?}: {why}");
        }
        let deep = format!("proxy: {}", "[".repeat(100_000));
        assert!(not_known(read(Some(&deep))).len() < 500);
    }
}
