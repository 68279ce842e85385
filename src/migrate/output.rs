//! The output of the command: routes, messages, and whether it failed.

use crate::engine::Problem;
use crate::manifests::documents::NotAManifest;
use crate::migrate::route::Route;
use serde_json::Value;
use std::fmt::{self, Display};

/// What goes to standard output, what to standard error, and how the migration went.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub yaml: String,
    pub messages: Vec<String>,
    routes: usize,
    failed: usize,
}

impl Output {
    /// An error where something could not be migrated, or there was nothing to migrate.
    pub(crate) fn result(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.failed == 0, "{} could not be migrated, see above", self.failed);
        anyhow::ensure!(
            self.routes > 0,
            "no TrafficSplit in the input: nothing to migrate; \
             try `kubectl get trafficsplits.split.smi-spec.io -o yaml | linkerd-failover migrate -f -`"
        );
        Ok(())
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
        let problem = Problem::error("YAML").found(error.to_string()).expected("a manifest");
        self.messages.push(format!("{place}: {problem}"));
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
        self.messages.push(format!("{place}: {}: {what}", DisplayObject(object)));
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
