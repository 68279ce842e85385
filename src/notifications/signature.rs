//! The signature of a notification, as Standard Webhooks has it: HMAC-SHA256 over the id, the time of the
//! attempt and the body, so that a receiver can tell a replay.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use std::fmt;

/// The shortest key: half of what HMAC-SHA256 can use.
const SHORTEST: usize = 16;
/// What a key in base64 begins with.
const ENCODED: &str = "whsec_";

/// A key that signs notifications.
#[derive(Clone)]
pub(crate) struct SigningKey(hmac::Key);

/// Why a text is no key; never the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadKey {
    #[error("found {0} bytes, expected at least {SHORTEST}: openssl rand -base64 32")]
    TooShort(usize),
    #[error("found no base64 after {ENCODED}, expected the base64 of at least {SHORTEST} bytes")]
    NotBase64,
}

impl SigningKey {
    /// Reads a key as a Secret has it: its bytes, or `whsec_` and their base64. A line break at the end is
    /// none of them.
    pub(crate) fn parse(text: &str) -> Result<Self, BadKey> {
        let text = text.trim_end_matches(['\r', '\n']);
        let key = match text.strip_prefix(ENCODED) {
            Some(encoded) => BASE64_STANDARD.decode(encoded).map_err(|_| BadKey::NotBase64)?,
            None => text.as_bytes().to_vec(),
        };
        if key.len() < SHORTEST {
            return Err(BadKey::TooShort(key.len()));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// The signature of an attempt at this time.
    pub(super) fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let mut signed = hmac::Context::with_key(&self.0);
        signed.update(format!("{id}.{}.", at.as_second()).as_bytes());
        signed.update(body);
        format!("v1,{}", BASE64_STANDARD.encode(signed.sign()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::process::Command;

    fn sign(key: &str, id: &str, second: i64, body: &str) -> String {
        let at = Timestamp::from_second(second).unwrap();
        SigningKey::parse(key).unwrap().sign(id, at, body.as_bytes())
    }

    /// The example of the specification of Standard Webhooks.
    #[test]
    fn it_is_what_libraries_for_standard_webhooks_verify() {
        let signature = sign(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn the_id_the_time_and_every_byte_of_the_body_are_signed() {
        const KEY: &str = "sixteen bytes or more";
        let signature = sign(KEY, "id", 100, "body");
        assert_eq!(signature, sign("sixteen bytes or more\n", "id", 100, "body"));
        for other in [
            sign(KEY, "id2", 100, "body"),
            sign(KEY, "id", 101, "body"),
            sign(KEY, "id", 100, "bodz"),
            sign("sixteen bytes or less", "id", 100, "body"),
        ] {
            assert_ne!(signature, other);
        }
    }

    /// What the page has for receivers in Python.
    fn documented() -> &'static str {
        let page = include_str!("../../docs/notifications.md");
        let (_, rest) = page.split_once("```python\n").unwrap();
        rest.split_once("```").unwrap().0
    }

    /// What `is_genuine` of the page says of these, in Python; none where there is no Python.
    fn is_genuine(key: &str, requests: &[(&str, i64, &str, &str)]) -> Option<Vec<bool>> {
        let request = |(id, sent, signature, body): &(&str, i64, &str, &str)| {
            serde_json::json!({"body": body, "headers": {"webhook-id": id,
                "webhook-timestamp": sent.to_string(), "webhook-signature": signature}})
        };
        let requests: Vec<_> = requests.iter().map(request).collect();
        let given = serde_json::json!({"key": key, "requests": requests}).to_string();
        let ask = "import json, sys\n\
            given = json.loads(sys.argv[1])\n\
            key = given['key'].encode()\n\
            verify = lambda r: is_genuine(key, r['headers'], r['body'].encode())\n\
            print(json.dumps([verify(r) for r in given['requests']]))\n";
        let script = format!("{}\n{ask}", documented());
        let ran = match Command::new("python3").args(["-c", &script, &given]).output() {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            ran => ran.unwrap(),
        };
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        Some(serde_json::from_slice(&ran.stdout).unwrap())
    }

    #[test]
    fn what_is_signed_is_genuine_by_the_snippet_on_the_page_and_nothing_else_is() {
        const KEY: &str = "sixteen bytes or more";
        let (now, body) = (Timestamp::now().as_second(), r#"{"specversion":"1.0","ü":1}"#);
        let signature = sign(KEY, "id", now, body);
        let old = sign(KEY, "id", now - 600, body);
        let other = sign("sixteen bytes or less", "id", now, body);
        let Some(found) = is_genuine(
            KEY,
            &[
                ("id", now, &signature, body),
                ("id2", now, &signature, body),
                ("id", now - 1, &signature, body),
                ("id", now, &signature, "{}"),
                ("id", now, &other, body),
                ("id", now - 600, &old, body),
            ],
        ) else {
            println!("python3 is not there: the snippet of docs/notifications.md was not run");
            return;
        };
        assert_eq!(found, [true, false, false, false, false, false]);
    }

    #[test]
    fn a_key_that_can_be_guessed_is_refused_and_not_repeated() {
        for (text, expected) in [
            ("", BadKey::TooShort(0)),
            ("\n", BadKey::TooShort(0)),
            ("hunter2", BadKey::TooShort(7)),
            ("whsec_aHVudGVyMg==", BadKey::TooShort(7)),
            ("whsec_hunter 2 hunter 2", BadKey::NotBase64),
        ] {
            let error = SigningKey::parse(text).unwrap_err();
            assert_eq!(error, expected);
            assert!(!error.to_string().contains("hunter"), "{error}");
        }
        let key = SigningKey::parse("correct horse battery").unwrap();
        assert!(!format!("{key:?}").contains("horse"));
    }
}
