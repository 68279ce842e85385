//! What the operator sets of notifications.

use crate::notifications::signature::SigningKey;
use crate::telemetry::NotificationType;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;
use std::fmt;
use std::str::FromStr;

/// How notifications are sent.
#[derive(Clone, Debug)]
pub(crate) struct NotificationSettings {
    pub url: ReceiverUrl,
    pub key: SigningKey,
    /// Which are sent.
    pub types: Vec<NotificationType>,
    /// The `source` of every CloudEvent.
    pub source: String,
    /// CAs in PEM by which the receiver is trusted; none: those of the system.
    pub ca: Option<String>,
}

/// Where notifications are sent. Its path, its query and its login may be secret, and are never shown.
#[derive(Clone, PartialEq)]
pub(crate) struct ReceiverUrl {
    /// Without a login.
    pub(super) uri: Uri,
    pub(super) authorization: Option<HeaderValue>,
}

/// Why a text is no such URL; never the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {0}, expected https://HOST/PATH, or http://HOST/PATH within the cluster")]
pub(crate) struct BadUrl(&'static str);

impl FromStr for ReceiverUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let uri: Uri = text.parse().map_err(|_| BadUrl("no URL"))?;
        let mut parts = uri.into_parts();
        match &parts.scheme {
            Some(scheme) if *scheme == Scheme::HTTPS || *scheme == Scheme::HTTP => {}
            Some(_) => return Err(BadUrl("another scheme")),
            None => return Err(BadUrl("no scheme")),
        }
        let authority = parts.authority.take().ok_or(BadUrl("no host"))?;
        let (login, host) = match authority.as_str().rsplit_once('@') {
            Some((login, host)) => (Some(login), host),
            None => (None, authority.as_str()),
        };
        let host: Authority = host.parse().map_err(|_| BadUrl("no host"))?;
        if host.host().is_empty() {
            return Err(BadUrl("no host"));
        }
        let authorization = login.map(basic).transpose()?;
        parts.authority = Some(host);
        let uri = Uri::from_parts(parts).map_err(|_| BadUrl("no URL"))?;
        Ok(Self { uri, authorization })
    }
}

fn basic(login: &str) -> Result<HeaderValue, BadUrl> {
    // What a URL cannot hold, such as an @ in a password, is percent-encoded there.
    let login = percent_decode_str(login).decode_utf8().map_err(|_| BadUrl("no login"))?;
    let login = if login.contains(':') { login } else { format!("{login}:").into() };
    let value = format!("Basic {}", BASE64_STANDARD.encode(login.as_bytes()));
    let mut value = HeaderValue::try_from(value).map_err(|_| BadUrl("no login"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The scheme, the host and the port.
impl fmt::Display for ReceiverUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.uri.scheme_str().unwrap_or_default();
        let authority = self.uri.authority().map_or("", Authority::as_str);
        write!(f, "{scheme}://{authority}")
    }
}

impl fmt::Debug for ReceiverUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_and_shown_without_what_may_be_secret() {
        for (text, shown, authorization) in [
            ("https://a.example/hooks/secret?token=secret", "https://a.example", None),
            ("http://receiver.ns:8080", "http://receiver.ns:8080", None),
            ("https://ana:secret@a.example:8443/x", "https://a.example:8443", Some("ana:secret")),
            ("https://secret@a.example/x", "https://a.example", Some("secret:")),
            ("https://ana:p%40ss%3aw@a.example/x", "https://a.example", Some("ana:p@ss:w")),
            ("http://[::1]:80/", "http://[::1]:80", None),
        ] {
            let url: ReceiverUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
            let expected =
                authorization.map(|login| format!("Basic {}", BASE64_STANDARD.encode(login)));
            assert_eq!(url.authorization.map(|v| v.to_str().unwrap().to_owned()), expected);
        }
    }

    #[test]
    fn what_is_no_url_is_refused_and_not_repeated() {
        for (text, found) in [
            ("secret", "found no scheme"),
            ("", "found no URL"),
            ("/secret", "found no scheme"),
            ("ftp://secret/", "found another scheme"),
            ("file:///secret", "found no URL"),
            ("https://secret:secret@/", "found no"),
            ("https://secret:%ff@a.example/", "found no login"),
        ] {
            let error = text.parse::<ReceiverUrl>().unwrap_err().to_string();
            assert!(error.starts_with(found) && !error.contains("secret"), "{text}: {error}");
            assert!(error.contains("expected https://HOST/PATH"), "{error}");
        }
    }
}
