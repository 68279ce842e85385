//! What a kubelet makes of a container: its arguments and environment.

use crate::volumes::Mounts;
use anyhow::Context;
use k8s_openapi::api::core::v1::{Container, EnvVar, Volume};
use std::net::{Ipv4Addr, SocketAddr};

/// Every address: what a container listens on within its network namespace.
const EVERY_ADDRESS: &str = "0.0.0.0";

/// The pod that a replica stands for.
pub(crate) struct Pod {
    pub namespace: String,
    pub name: String,
    pub service_account: String,
    /// Stands in for the pod's network namespace.
    pub address: Ipv4Addr,
    pub volumes: Vec<Volume>,
}

/// A container's command line and environment, with everything filled in.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
}

impl Pod {
    /// Fills in what a kubelet does. In addition, "every address" becomes the
    /// pod's own: local processes share one network namespace.
    pub(crate) fn command(&self, container: &Container) -> anyhow::Result<Command> {
        anyhow::ensure!(
            container.env_from.iter().flatten().next().is_none(),
            "the stand-in for a kubelet does not know envFrom"
        );
        let mut env: Vec<(String, String)> = Vec::new();
        for variable in container.env.iter().flatten() {
            let value = self.value(variable, &env)?;
            env.push((variable.name.clone(), value));
        }
        let args = container.args.iter().flatten();
        let args = args.map(|arg| self.own_address(&expand(arg, &env))).collect();
        for (_, value) in &mut env {
            *value = self.own_address(value);
        }
        Ok(Command { args, env })
    }

    fn value(&self, variable: &EnvVar, known: &[(String, String)]) -> anyhow::Result<String> {
        let Some(source) = &variable.value_from else {
            return Ok(expand(variable.value.as_deref().unwrap_or_default(), known));
        };
        let field = source.field_ref.as_ref().with_context(|| {
            let name = &variable.name;
            format!("the stand-in for a kubelet knows Secrets and fieldRef only; {name} has another source")
        })?;
        let value = match field.field_path.as_str() {
            "metadata.namespace" => self.namespace.clone(),
            "metadata.name" => self.name.clone(),
            "spec.serviceAccountName" => self.service_account.clone(),
            "spec.nodeName" => crate::node::NODE.to_string(),
            "status.podIP" | "status.podIPs" | "status.hostIP" => self.address.to_string(),
            path => anyhow::bail!("the stand-in for a kubelet does not know fieldRef {path}"),
        };
        Ok(value)
    }

    fn own_address(&self, text: &str) -> String {
        text.replace(EVERY_ADDRESS, &self.address.to_string())
    }
}

impl Command {
    /// The address that the program listens on for `purpose`, such as `admin`.
    /// Where nothing is set, the program's default is passed, for the pod.
    pub(crate) fn listener(
        &mut self,
        purpose: &str,
        default_port: u16,
        pod: &Pod,
    ) -> anyhow::Result<SocketAddr> {
        let option = format!("{purpose}-addr");
        let default = SocketAddr::from((pod.address, default_port)).to_string();
        let value = self.option(&option, &default);
        value.parse().with_context(|| format!("--{option} is {value:?}, not an address and a port"))
    }

    /// Writes down the program's default for a path, so that it can be led elsewhere.
    pub(crate) fn path(&mut self, option: &str, default: &str) {
        self.option(option, default);
    }

    /// Leads every path into a volume to where that is on this machine.
    pub(crate) fn relocate(&mut self, mounts: &Mounts) {
        let values = self.env.iter_mut().map(|(_, value)| value);
        for text in self.args.iter_mut().chain(values) {
            *text = mounts.localize(text);
        }
    }

    /// The value of an option, by its flag or its variable; where none is set, `default`, which is
    /// then written down.
    fn option(&mut self, option: &str, default: &str) -> String {
        let variable = format!("LINKERD_FAILOVER_{}", option.replace('-', "_").to_uppercase());
        let known = self.flag(option).or_else(|| {
            let (_, value) = self.env.iter().rev().find(|(name, _)| *name == variable)?;
            Some(value.clone())
        });
        known.unwrap_or_else(|| {
            self.env.push((variable, default.to_string()));
            default.to_string()
        })
    }

    fn flag(&self, option: &str) -> Option<String> {
        let mut args = self.args.iter();
        args.find_map(|arg| {
            let rest = arg.strip_prefix("--")?.strip_prefix(option)?;
            rest.strip_prefix('=')
                .map(|value| Some(value.to_string()))
                .or_else(|| rest.is_empty().then_some(None))
        })?
        .or_else(|| args.next().cloned())
    }
}

/// `$(NAME)` becomes the variable's value; unknown names stay; `$$` is a `$`.
fn expand(text: &str, env: &[(String, String)]) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded += &rest[..at];
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("$$") {
            expanded.push('$');
            rest = after;
            continue;
        }
        let reference = rest.strip_prefix("$(").and_then(|name| name.split_once(')'));
        if let Some((name, after)) = reference {
            match env.iter().rev().find(|(known, _)| known == name) {
                Some((_, value)) => expanded += value,
                None => expanded += &rest[..rest.len() - after.len()],
            }
            rest = after;
        } else {
            expanded.push('$');
            rest = &rest[1..];
        }
    }
    expanded + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> Pod {
        Pod {
            namespace: "ns".into(),
            name: "pod-0".into(),
            service_account: "account".into(),
            address: Ipv4Addr::new(127, 32, 0, 10),
            volumes: vec![],
        }
    }

    fn container(value: serde_json::Value) -> Container {
        serde_json::from_value(value).expect("container")
    }

    #[test]
    fn fills_in_as_a_kubelet_does() {
        let container = container(json!({
            "name": "main",
            "args": ["--namespace=$(NS)", "$$(NS)", "$(NONE)", "a$", "--admin-addr", "0.0.0.0:1"],
            "env": [
                {"name": "NS", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
                {"name": "TWICE", "value": "$(NS)-$(NS)"},
            ],
        }));
        let mut command = pod().command(&container).expect("command");
        assert_eq!(
            command.args,
            ["--namespace=ns", "$(NS)", "$(NONE)", "a$", "--admin-addr", "127.32.0.10:1"]
        );
        assert_eq!(command.env[1].1, "ns-ns");
        let admin = command.listener("admin", 8080, &pod()).expect("admin");
        assert_eq!(admin.to_string(), "127.32.0.10:1");
        let webhook = command.listener("webhook", 8443, &pod()).expect("webhook");
        assert_eq!(webhook.to_string(), "127.32.0.10:8443");
    }

    #[test]
    fn says_what_it_does_not_know() {
        let container = container(json!({
            "name": "main",
            "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        }));
        let error = pod().command(&container).expect_err("unknown").to_string();
        assert!(error.contains("A has another source"), "{error}");
    }
}
