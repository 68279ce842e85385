//! Durations as Linkerd's policy controller and proxies write them.

use std::time::Duration;

/// Reads `200ms`, `3s`, `1m`, `1h` or `1d`; a bare number only where it is 0, and no fraction.
pub(crate) fn read(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" if number == 0 => 0,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

/// The same for Linkerd to read, and for people.
pub(crate) fn write(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    match milliseconds % 1_000 {
        0 => format!("{}s", milliseconds / 1_000),
        _ => format!("{milliseconds}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_with_a_unit() {
        for (text, milliseconds) in [
            ("200ms", 200),
            (" 3s ", 3_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("0", 0),
        ] {
            assert_eq!(read(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        let unreadable = ["", "s", "5", "1.5s", "-1s", "1 s", "10sec", "99999999999999999999d"];
        for text in unreadable.into_iter().chain(["18446744073709551615d", "３s", "1s1s"]) {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for (milliseconds, text) in [(200, "200ms"), (3_000, "3s"), (0, "0s"), (61_001, "61001ms")]
        {
            let duration = Duration::from_millis(milliseconds);
            assert_eq!(write(duration), text);
            assert_eq!(read(text), Some(duration));
        }
    }
}
