//! The settings of an installation, from the arguments and the environment of its Deployment.
//!
//! They are read by the parser that the controller itself has, so that no command assumes others.

use crate::cli::controller;
use crate::snapshot::Settings;
use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Args, Command, FromArgMatches};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Container;

/// What clap takes for false in an environment variable of a flag.
const FALSE: [&str; 7] = ["", "n", "no", "f", "false", "off", "0"];

/// The settings of a Deployment of this program, and the arguments that this version does not know; none where
/// it runs something else.
pub(super) fn settings_of(deployment: &Deployment) -> Option<Result<ReadSettings, clap::Error>> {
    let container = controller_of(deployment)?;
    let (arguments, environment) = invocation(container);
    Some(read(arguments, &environment))
}

/// The settings, and what could not be read of them.
#[derive(Clone, Debug)]
pub(super) struct ReadSettings {
    pub settings: Settings,
    pub unknown: Vec<String>,
}

fn controller_of(deployment: &Deployment) -> Option<&Container> {
    let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
    let runs_it = |container: &&Container| {
        let arguments = container.args.iter().flatten();
        arguments.take(1).any(|first| first == "controller")
    };
    pod.containers.iter().find(runs_it)
}

/// The settings of a controller without arguments.
pub(super) fn defaults() -> Result<Settings, clap::Error> {
    read(vec![], &vec![]).map(|read| read.settings)
}

type Environment = Vec<(String, String)>;

/// The arguments after `controller`, and the variables with a value of their own.
fn invocation(container: &Container) -> (Vec<String>, Environment) {
    let arguments = container.args.iter().flatten().skip(1).cloned().collect();
    let variables = container.env.iter().flatten();
    let values = variables.filter_map(|variable| {
        let value = variable.value_from.is_none().then(|| variable.value.clone());
        Some((variable.name.clone(), value?.unwrap_or_default()))
    });
    (arguments, values.collect())
}

/// Reads them; an argument of a newer version is left out.
fn read(
    mut arguments: Vec<String>,
    environment: &Environment,
) -> Result<ReadSettings, clap::Error> {
    arguments.extend(of_environment(&arguments, environment));
    let mut unknown = vec![];
    loop {
        let matches = command().try_get_matches_from(&arguments);
        let error = match matches.and_then(|matches| controller::Args::from_arg_matches(&matches)) {
            Ok(args) => return Ok(ReadSettings { settings: args.settings(), unknown }),
            Err(error) => error,
        };
        match position_of_unknown(&error, &arguments) {
            Some(position) => unknown.push(arguments.remove(position)),
            None => return Err(error),
        }
    }
}

/// The flags of the controller, whatever the environment of whoever runs this.
fn command() -> Command {
    let command = controller::Args::augment_args(Command::new("controller"));
    command.no_binary_name(true).mut_args(|arg| arg.env(Resettable::Reset))
}

/// The variables as arguments, but for those that are given as arguments too, which win.
fn of_environment(arguments: &[String], environment: &Environment) -> Vec<String> {
    let command = controller::Args::augment_args(Command::new("controller"));
    let of_arg = |arg: &clap::Arg| {
        let (long, name) = (format!("--{}", arg.get_long()?), arg.get_env()?.to_str()?);
        let short = arg.get_short().map(|short| format!("-{short}"));
        let is_given = arguments.iter().any(|given| {
            let given = given.split_once('=').map_or(given.as_str(), |(flag, _)| flag);
            given == long || Some(given) == short.as_deref()
        });
        let (_, value) = environment.iter().rfind(|(variable, _)| variable == name)?;
        let is_flag = matches!(arg.get_action(), ArgAction::SetTrue);
        let is_set = !is_flag || !FALSE.contains(&value.to_ascii_lowercase().as_str());
        let argument = || if is_flag { long.clone() } else { format!("{long}={value}") };
        (is_set && !is_given).then(argument)
    };
    command.get_arguments().filter_map(of_arg).collect()
}

fn position_of_unknown(error: &clap::Error, arguments: &[String]) -> Option<usize> {
    let found = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(found)) if error.kind() == ErrorKind::UnknownArgument => found,
        _ => return None,
    };
    let flag = |argument: &String| {
        argument.split_once('=').map_or(argument.clone(), |(flag, _)| flag.to_owned())
    };
    arguments.iter().position(|argument| argument == found || flag(argument) == *found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn deployment(args: &[&str], env: Value) -> Deployment {
        serde_json::from_value(json!({"spec": {"selector": {}, "template": {"spec": {
            "containers": [{"name": "linkerd-failover", "args": args, "env": env}],
        }}}}))
        .unwrap()
    }

    fn settings(args: &[&str], env: Value) -> ReadSettings {
        settings_of(&deployment(args, env)).unwrap().unwrap()
    }

    #[test]
    fn arguments_and_variables_are_read_as_the_controller_reads_them() {
        let read = settings(
            &[
                "controller",
                "--selector=team=a",
                "--namespace=here",
                "--name=mine",
                "--failover-delay=5s",
                "--warm-standby",
            ],
            json!([
                {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "LINKERD_FAILOVER_NAMESPACES", "value": "b,a"},
                {"name": "LINKERD_FAILOVER_SELECTOR", "value": "team=b"},
                {"name": "LINKERD_FAILOVER_IPV6", "value": "true"},
                {"name": "LINKERD_FAILOVER_NO_LEASE", "value": "false"},
                {"name": "LINKERD_FAILOVER_CREDENTIALS_NAMESPACES", "value": "linkerd-multicluster"},
            ]),
        );
        let Settings { installation, watch, links, uses_lease, .. } = read.settings;
        assert_eq!((installation.namespace.as_str(), installation.name.as_str()), ("here", "mine"));
        assert_eq!(watch.selector.as_str(), "team=a", "an argument wins over its variable");
        assert_eq!(watch.namespaces, ["a", "b"]);
        assert!(watch.families.ipv6 && watch.defaults.warm_standby && uses_lease);
        assert_eq!(watch.defaults.failover_delay.as_secs(), 5);
        assert_eq!(links.unwrap().namespaces, ["linkerd-multicluster"]);
        assert!(read.unknown.is_empty());
    }

    #[test]
    fn flags_of_a_newer_version_are_named_and_the_others_are_read() {
        let args = ["controller", "--new=1", "--failover-delay=5s", "--newer"];
        let read = settings(&args, json!([]));
        assert_eq!(read.unknown, ["--new=1", "--newer"]);
        assert_eq!(read.settings.watch.defaults.failover_delay.as_secs(), 5);
    }

    #[test]
    fn a_deployment_of_something_else_is_none_of_ours() {
        assert!(settings_of(&deployment(&["--admin-addr=0.0.0.0:8080"], json!([]))).is_none());
        let wrong = settings_of(&deployment(&["controller", "--failover-delay=soon"], json!([])));
        assert!(wrong.unwrap().is_err());
    }
}
