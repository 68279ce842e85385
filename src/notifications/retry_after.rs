//! When a receiver wants the next attempt.

use http::HeaderMap;
use http::header::RETRY_AFTER;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use std::time::Duration;

/// A receiver that asks for more is asked again after this.
const LONGEST: Duration = Duration::from_secs(600);

/// What `Retry-After` asks for, in seconds or as a time; none where it cannot be read, or the time is past.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    static DATES: DateTimeParser = DateTimeParser::new();
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = DATES.parse_timestamp(text).ok()?;
            now.duration_until(at).try_into().ok()?
        }
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_times_are_read_and_bounded() {
        let now: Timestamp = "2026-11-26T03:00:00Z".parse().unwrap();
        let wait = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, now).map(|wait| wait.as_secs())
        };
        assert_eq!(wait("7"), Some(7));
        assert_eq!(wait(" 0 "), Some(0));
        assert_eq!(wait("Thu, 26 Nov 2026 03:00:30 GMT"), Some(30));
        assert_eq!(wait("Thu, 26 Nov 2026 02:00:00 GMT"), None, "it is past");
        assert_eq!(wait("999999999"), Some(600));
        assert_eq!(wait("Fri, 26 Nov 2027 03:00:00 GMT"), Some(600));
        for unreadable in ["", "soon", "-1", "1.5"] {
            assert_eq!(wait(unreadable), None, "{unreadable}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
