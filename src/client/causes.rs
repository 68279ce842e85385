//! An error with its causes, for a person.

use std::error::Error;

/// The error and its causes in one line. Errors of kube have the text of their cause in their own, and so do some
/// of its dependencies: none stands there twice.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_cause_stands_there_once() {
        let cause = anyhow::anyhow!("no such file");
        let error = cause.context("x: no such file").context("--kubeconfig x");
        assert_eq!(with_causes(error.as_ref()), "--kubeconfig x: x: no such file");
        let plain: anyhow::Result<()> = Err(anyhow::anyhow!("b")).context("a");
        assert_eq!(with_causes(plain.unwrap_err().as_ref()), "a: b");
    }
}
