//! What people see of a write: warnings and denials as kubectl has them, and one line for what was written.

use crate::cli::failure::Failure;
use crate::cli::output::{print_line, report_line};
use crate::interventions::write::{WriteError, Written};
use crate::kinds::ObjectRef;

/// The values of `--dry-run`, as kubectl has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum DryRun {
    /// Write
    #[default]
    None,
    /// Show what would be written
    Client,
    /// Let the API server, and its webhooks, look at it, and store nothing
    Server,
}

impl DryRun {
    /// What stands behind the line of what was written.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Client => " (dry run)",
            Self::Server => " (server dry run)",
        }
    }
}

/// What is written to, for people.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// As kubectl shows it.
    pub shown: String,
    /// The arguments of the `kubectl get` that shows it.
    pub get: String,
}

impl Target {
    /// Of a failover object.
    pub(super) fn of(object: &ObjectRef) -> Self {
        let (kind, name) = (object.kind, object.name());
        Self {
            shown: format!("{}.{}/{name}", kind.as_str().to_ascii_lowercase(), kind.group()),
            get: format!("{} -n {} {name}", kind.resource(), object.namespace()),
        }
    }

    /// Of a namespace.
    pub(super) fn namespace(name: &str) -> Self {
        Self { shown: format!("namespace/{name}"), get: format!("namespace {name}") }
    }
}

/// Prints how a write ended, and returns whether it is as it should be.
pub(super) fn report<K>(
    target: &Target,
    done: &str,
    dry_run: DryRun,
    result: Result<Written<K>, WriteError>,
) -> bool {
    match result {
        Ok(Written { object, warnings }) => {
            warn(&warnings);
            let done = if object.is_some() { done } else { "unchanged" };
            print_line(&format!("{} {done}{}", target.shown, dry_run.suffix()));
            true
        }
        Err(error) => {
            fail(target, error);
            false
        }
    }
}

/// Prints a denial as kubectl does; anything else is a failure of one line.
pub(super) fn fail(target: &Target, error: WriteError) {
    if let WriteError::Failed(_, warnings) = &error {
        warn(warnings);
    }
    match error.denial() {
        Some(denial) => {
            report_line(&format!("Error from server ({}): {}", denial.reason, denial.message));
        }
        None => report_failure(&failure(target, error)),
    }
}

/// One of several failures of a command, as the only one is printed.
pub(super) fn report_failure(failure: &Failure) {
    report_line(&format!("linkerd-failover: {failure}"));
}

pub(super) fn warn(warnings: &[String]) {
    for warning in warnings {
        report_line(&format!("Warning: {warning}"));
    }
}

fn failure(Target { shown, get }: &Target, error: WriteError) -> Failure {
    match error {
        WriteError::Failed(error, _) => Failure::of_request(shown, &error),
        WriteError::Gone => Failure::of(shown, "no such object any more").expected("one"),
        WriteError::Changed(what) => {
            Failure::of(shown, format!("{what}, set by somebody else meanwhile"))
                .expected("it as it was when this command looked at it")
                .next(format!(
                    "look at it, and run this again if it is still right: kubectl get {get} -o yaml"
                ))
        }
        WriteError::Conflicts => Failure::of(shown, "a newer version each time")
            .expected("one that nobody else writes meanwhile")
            .next(format!(
                "see who does, then try again: kubectl get {get} -o yaml --show-managed-fields"
            )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Kind, ObjectKey};

    #[test]
    fn a_write_that_somebody_else_came_before_is_one_line_with_the_next_step() {
        let object = ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("emojivoto", "emoji"));
        let text = |error| failure(&Target::of(&object), error).to_string();
        insta::assert_snapshot!(text(WriteError::Changed("pin=\"north\" (pinned to north by bob)".into())), @r#"trafficsplit.split.smi-spec.io/emoji: found pin="north" (pinned to north by bob), set by somebody else meanwhile, expected it as it was when this command looked at it; look at it, and run this again if it is still right: kubectl get trafficsplits.split.smi-spec.io -n emojivoto emoji -o yaml"#);
        insta::assert_snapshot!(text(WriteError::Conflicts), @"trafficsplit.split.smi-spec.io/emoji: found a newer version each time, expected one that nobody else writes meanwhile; see who does, then try again: kubectl get trafficsplits.split.smi-spec.io -n emojivoto emoji -o yaml --show-managed-fields");
    }
}
