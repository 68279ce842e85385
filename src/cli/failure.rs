//! Why a command that a person runs did not do what was asked: one line, and an exit code.

use crate::client::causes::with_causes;
use crate::kinds::one_line::one_line;
use kube::client::AuthError;
use kube::core::response::reason;
use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// What was found, what was expected, and the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// What it is about: a flag, a file, an object, the cluster.
    about: String,
    found: String,
    expected: String,
    next: Option<String>,
    is_unreadable: bool,
}

impl Failure {
    /// Of something, with what was found there.
    pub(super) fn of(about: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self {
            about: about.to_string(),
            found: found.to_string(),
            expected: String::new(),
            next: None,
            is_unreadable: false,
        }
    }

    /// With what is expected.
    pub(super) fn expected(self, expected: impl fmt::Display) -> Self {
        Self { expected: expected.to_string(), ..self }
    }

    /// With the next step.
    pub(super) fn next(self, next: impl fmt::Display) -> Self {
        Self { next: Some(next.to_string()), ..self }
    }

    /// Of something that cannot be read: the exit code is 2.
    pub(super) fn unreadable(self) -> Self {
        Self { is_unreadable: true, ..self }
    }

    /// Of a configuration by which no client can be made.
    pub(super) fn of_configuration(error: &anyhow::Error) -> Self {
        if let Some(failure) = Self::of_plugin(&**error) {
            return failure;
        }
        Self::of("the cluster", format!("no usable configuration ({})", with_causes(&**error)))
            .expected("a kubeconfig with a context that exists")
            .next("see `kubectl config get-contexts`; --kubeconfig and --context choose another")
    }

    /// Of a credential plugin, where that is the cause.
    fn of_plugin(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut causes = std::iter::successors(Some(error), |error: &&_| Error::source(*error));
        let failure = Self::of("the cluster", causes.find_map(plugin_fault)?)
            .expected("credentials")
            .next("see whether `kubectl version` gets them; --context chooses another user");
        Some(failure)
    }

    /// Of a request to the API server, for what it was made.
    pub(super) fn of_request(what: impl fmt::Display, error: &kube::Error) -> Self {
        if let Some(failure) = Self::of_plugin(error) {
            return failure;
        }
        match error {
            kube::Error::Api(status) if status.code == 401 => Self::of(what, "no valid credentials")
                .expected("a user that the API server knows")
                .next("log in again, or choose another --context"),
            kube::Error::Api(status) if status.code == 403 && status.reason == reason::FORBIDDEN => {
                Self::of(what, format!("no right to it ({})", status.message))
                    .expected("a Role or ClusterRole that allows it")
                    .next("ask whoever administers the cluster, or choose another user or --namespace")
            }
            kube::Error::Api(status) => {
                Self::of(what, format!("{} {}", status.code, status.message))
                    .expected("an answer of the API server without an error")
            }
            other => Self::of(what, format!("no answer ({})", with_causes(other)))
                .expected("an API server that answers")
                .next("see whether `kubectl version` gets one; --context and --kubeconfig choose another cluster"),
        }
    }
}

/// What a credential plugin did; never what it printed, which may be a secret.
fn plugin_fault(error: &(dyn Error + 'static)) -> Option<String> {
    match error.downcast_ref()? {
        AuthError::AuthExecStart(error) => {
            Some(format!("a credential plugin that does not start ({error})"))
        }
        AuthError::AuthExecRun { out, .. } => {
            Some(format!("a credential plugin that failed ({})", out.status))
        }
        AuthError::AuthExecParse(_) => {
            Some("a credential plugin that prints no ExecCredential".to_owned())
        }
        AuthError::ExecPluginFailed => Some("a credential plugin that prints no status".to_owned()),
        _ => None,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { about, found, expected, next, .. } = self;
        let mut text = format!("{about}: found {found}");
        if !expected.is_empty() {
            text.push_str(&format!(", expected {expected}"));
        }
        if let Some(next) = next {
            text.push_str(&format!("; {next}"));
        }
        // One line, whatever an error of others has in it.
        let text = one_line(&text);
        let parts: Vec<&str> = text.split_whitespace().collect();
        f.write_str(&parts.join(" "))
    }
}

impl Error for Failure {}

/// The exit code of a command that ended with this error: 2 for what cannot be read, else 1.
pub(super) fn exit_code(error: &anyhow::Error) -> ExitCode {
    match error.downcast_ref::<Failure>() {
        Some(Failure { is_unreadable: true, .. }) => ExitCode::from(2),
        _ => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_that_ends_with_the_next_step() {
        let failure = Failure::of("--kubeconfig x", "no such\n  file")
            .expected("a kubeconfig")
            .next("name one");
        assert_eq!(
            failure.to_string(),
            "--kubeconfig x: found no such file, expected a kubeconfig; name one"
        );
    }

    #[test]
    fn what_others_have_written_into_it_does_not_control_a_terminal() {
        let labels = "an object that is not managed (its labels: a=\u{1b}[2J\u{9b}31m\u{202e}b)";
        let failure = Failure::of("TrafficSplit a/b", labels);
        assert_eq!(
            failure.to_string(),
            "TrafficSplit a/b: found an object that is not managed (its labels: a= [2J 31mb)"
        );
    }

    #[test]
    fn what_a_credential_plugin_printed_is_never_shown() {
        let out = std::process::Output {
            status: std::process::ExitStatus::default(),
            stdout: b"a secret".to_vec(),
            stderr: b"a secret".to_vec(),
        };
        let cmd = "TOKEN=a_secret plugin".to_owned();
        for error in [
            AuthError::AuthExecRun { cmd, out: Box::new(out) },
            AuthError::ExecPluginFailed,
            AuthError::AuthExecStart(std::io::ErrorKind::NotFound.into()),
        ] {
            let error = anyhow::Error::from(kube::Error::Auth(error)).context("the client");
            let text = Failure::of_configuration(&error).to_string();
            assert!(text.starts_with("the cluster: found a credential plugin that "), "{text}");
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn a_cause_is_named_once() {
        let error = anyhow::anyhow!("no such file").context("cannot read x: no such file");
        let text = Failure::of_configuration(&error).to_string();
        assert_eq!(text.matches("no such file").count(), 1, "{text}");
    }

    #[test]
    fn only_what_cannot_be_read_exits_with_2() {
        let code = |failure: Failure| format!("{:?}", exit_code(&failure.into()));
        assert_eq!(code(Failure::of("x", "y")), format!("{:?}", ExitCode::from(1)));
        assert_eq!(code(Failure::of("x", "y").unreadable()), format!("{:?}", ExitCode::from(2)));
        let other = exit_code(&anyhow::anyhow!("other"));
        assert_eq!(format!("{other:?}"), format!("{:?}", ExitCode::from(1)));
    }
}
