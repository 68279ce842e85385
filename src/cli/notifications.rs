//! Flags of notifications.

use crate::cli::values::Expected;
use crate::notifications::{NotificationSettings, ReceiverUrl, SigningKey};
use crate::telemetry::NotificationType;
use anyhow::{Context, ensure};
use std::fmt;

/// The URL may hold a token, and the key is one: they are not shown, nor where they come from the environment.
#[derive(Clone, clap::Args)]
pub(super) struct NotificationArgs {
    /// Send notifications to this URL, as CloudEvents. Absent: none are sent
    #[arg(long, env = "LINKERD_FAILOVER_NOTIFICATIONS_URL", hide_env_values = true)]
    notifications_url: Option<String>,
    /// Key that signs notifications, 16 bytes at least, or whsec_ and its base64; better in the
    /// environment, where other users do not see it
    #[arg(long, env = "LINKERD_FAILOVER_NOTIFICATIONS_KEY", hide_env_values = true)]
    notifications_key: Option<String>,
    /// Which notifications are sent, with commas between: failover, return, held, no-fallback,
    /// other-writer, cluster-down. Absent: all
    #[arg(long, env = "LINKERD_FAILOVER_NOTIFICATIONS_TYPES", value_delimiter = ',', value_parser = parse_type)]
    notifications_types: Vec<NotificationType>,
    /// The source of the CloudEvents, a URI reference that tells this cluster from others. Absent:
    /// /namespaces/NAMESPACE/deployments/NAME
    #[arg(long, env = "LINKERD_FAILOVER_NOTIFICATIONS_SOURCE")]
    notifications_source: Option<String>,
    /// CAs by which the receiver is trusted, in PEM. Absent: those of the system
    #[arg(long, env = "LINKERD_FAILOVER_NOTIFICATIONS_CA", hide_env_values = true)]
    notifications_ca: Option<String>,
}

fn parse_type(text: &str) -> Result<NotificationType, Expected> {
    let known = NotificationType::ALL.iter().find(|known| known.as_str() == text.trim());
    let names: Vec<_> = NotificationType::ALL.iter().map(|known| known.as_str()).collect();
    known.copied().ok_or_else(|| Expected(format!("one of {}", names.join(", "))))
}

/// An empty variable sets nothing.
fn set(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.trim().is_empty())
}

impl NotificationArgs {
    /// None: no notification is sent.
    pub(super) fn settings(
        self,
        namespace: &str,
        name: &str,
    ) -> anyhow::Result<Option<NotificationSettings>> {
        let Some(url) = set(self.notifications_url) else { return Ok(None) };
        let url: ReceiverUrl = url.trim().parse().context("--notifications-url")?;
        let key = set(self.notifications_key).context(
            "--notifications-key: found none beside --notifications-url, expected a key: openssl rand -base64 32",
        )?;
        let key = SigningKey::parse(&key).context("--notifications-key")?;
        let source = set(self.notifications_source)
            .unwrap_or_else(|| format!("/namespaces/{namespace}/deployments/{name}"));
        ensure!(
            source.parse::<http::Uri>().is_ok(),
            "--notifications-source: found {source:?}, expected a URI such as /clusters/east"
        );
        let mut types = self.notifications_types;
        types.sort_unstable();
        types.dedup();
        if types.is_empty() {
            types = NotificationType::ALL.to_vec();
        }
        Ok(Some(NotificationSettings { url, key, types, source, ca: set(self.notifications_ca) }))
    }
}

impl fmt::Debug for NotificationArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotificationArgs")
            .field("types", &self.notifications_types)
            .field("source", &self.notifications_source)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        notifications: NotificationArgs,
    }

    const URL: &str = "--notifications-url=https://a.example/secret";
    const KEY: &str = "--notifications-key=a secret of some bytes";

    fn settings(args: &[&str]) -> Result<Option<NotificationSettings>, String> {
        let line = ["x"].iter().chain(args);
        let line = Line::try_parse_from(line).map_err(|error| error.to_string())?;
        assert!(!format!("{line:?}").contains("secret"));
        line.notifications.settings("ns", "name").map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn nothing_is_sent_unless_a_url_is_set_and_then_everything() {
        assert!(settings(&[]).unwrap().is_none());
        assert!(settings(&["--notifications-url=", KEY]).unwrap().is_none());
        let usual = settings(&[URL, KEY]).unwrap().unwrap();
        assert_eq!(usual.types, NotificationType::ALL);
        assert_eq!(usual.source, "/namespaces/ns/deployments/name");
        assert!(!format!("{usual:?}").contains("secret"));
        let some =
            settings(&[URL, KEY, "--notifications-types=held,failover,held"]).unwrap().unwrap();
        assert_eq!(some.types, [NotificationType::Failover, NotificationType::Held]);
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_the_flag_and_without_the_secret() {
        for (args, expected) in [
            (vec![URL], "--notifications-key: found none beside --notifications-url"),
            (vec![URL, "--notifications-key=secret"], "--notifications-key: found 6 bytes"),
            (vec!["--notifications-url=secret", KEY], "--notifications-url: found no scheme"),
            (vec![URL, KEY, "--notifications-types=failure"], "expected one of failover, return"),
            (vec![URL, KEY, "--notifications-source=a b"], "--notifications-source: found \"a b\""),
        ] {
            let error = settings(&args).unwrap_err();
            assert!(error.contains(expected) && !error.contains("secret"), "{error}");
        }
    }
}
