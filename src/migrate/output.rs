//! The output of the command: routes, messages, and whether it failed.

use crate::engine::Problem;
use crate::manifests::not_a_manifest::NotAManifest;
use crate::migrate::route::Route;
use serde_json::Value;
use std::fmt::{self, Display};

/// What goes to standard output, what to standard error, and how the migration went.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub yaml: String,
    /// Each in one line.
    pub messages: Vec<String>,
    routes: usize,
    failed: usize,
    is_unreadable: bool,
}

/// How a migration went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Migrated,
    /// There was no split.
    Nothing,
    /// So many splits or documents are not among the routes.
    Failed {
        count: usize,
        is_unreadable: bool,
    },
}

impl Output {
    pub(crate) fn outcome(&self) -> Outcome {
        match (self.failed, self.routes) {
            (0, 0) => Outcome::Nothing,
            (0, _) => Outcome::Migrated,
            (count, _) => Outcome::Failed { count, is_unreadable: self.is_unreadable },
        }
    }

    pub(super) fn add(&mut self, routes: &[Route]) -> anyhow::Result<()> {
        for route in routes {
            self.yaml.push_str(&route.to_yaml()?);
        }
        self.routes += routes.len();
        Ok(())
    }

    pub(super) fn unreadable(&mut self, place: &str, error: &NotAManifest) {
        self.failed += 1;
        self.is_unreadable = true;
        let message = match error {
            NotAManifest::File(problem) => problem.message(),
            other => Problem::error("YAML")
                .found(other)
                .expected("a manifest in YAML or JSON")
                .next("mend it there: kubectl cannot read it either")
                .message(),
        };
        self.add_message(format!("{place}: {message}"));
    }

    pub(super) fn skip(&mut self, place: &str, object: &Value) {
        self.message(place, object, &"skipped, it is no TrafficSplit");
    }

    pub(super) fn warn(&mut self, place: &str, object: &Value, warning: &Problem) {
        self.message(place, object, warning);
    }

    pub(super) fn fail(&mut self, place: &str, object: &Value, problems: &[Problem]) {
        self.failed += 1;
        for problem in problems {
            self.message(place, object, problem);
        }
    }

    fn message(&mut self, place: &str, object: &Value, what: &dyn Display) {
        self.add_message(format!("{place}: {}: {what}", DisplayObject(object)));
    }

    /// Errors of a kubeconfig, say, have several lines.
    fn add_message(&mut self, message: String) {
        self.messages.push(message.split_whitespace().collect::<Vec<_>>().join(" "));
    }
}

/// `TrafficSplit emojivoto/emoji`: an object as it stands in the input.
struct DisplayObject<'a>(&'a Value);

impl Display for DisplayObject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |path| self.0.pointer(path).and_then(Value::as_str);
        let Some(kind) = text("/kind") else {
            return f.write_str("no object of Kubernetes");
        };
        write!(f, "{kind} ")?;
        if let Some(namespace) = text("/metadata/namespace") {
            write!(f, "{namespace}/")?;
        }
        let name = text("/metadata/name").or(text("/metadata/generateName"));
        f.write_str(name.unwrap_or("without a name"))
    }
}
