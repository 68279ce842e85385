//! Readers of annotations written a second time, by what the documentation says and with as little thought as
//! possible.

use crate::engine::Threshold;

const SECOND: u128 = 1_000_000_000;
const LONGEST_DELAY: u128 = 168 * 3600 * SECOND;
/// From the largest to the smallest.
const UNITS: [(&str, u128); 6] = [
    ("h", 3600 * SECOND),
    ("m", 60 * SECOND),
    ("s", SECOND),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Which of the two a text is.
pub(super) fn one_of(text: &str, [no, yes]: [&str; 2]) -> Option<bool> {
    if text == yes {
        Some(true)
    } else if text == no {
        Some(false)
    } else {
        None
    }
}

/// The places of the named backends, in the order of the text; each once.
pub(super) fn backends(text: &str, names: &[&str]) -> Option<Vec<usize>> {
    let mut places = vec![];
    for name in text.split(',') {
        let place = names.iter().position(|known| *known == name.trim())?;
        if places.contains(&place) {
            return None;
        }
        places.push(place);
    }
    Some(places)
}

/// What each of these needs, of which the first is the primary.
pub(super) fn thresholds(text: &str, names: &[&str]) -> Option<Vec<Threshold>> {
    let mut needed = vec![Threshold::Count(1); names.len()];
    if !text.contains('=') {
        needed[0] = threshold(text.trim())?;
        return Some(needed);
    }
    let mut seen = vec![];
    for entry in text.split(',') {
        let (name, needs) = entry.split_once('=')?;
        let place = names.iter().position(|known| *known == name.trim())?;
        if seen.contains(&place) {
            return None;
        }
        seen.push(place);
        needed[place] = threshold(needs.trim())?;
    }
    Some(needed)
}

fn threshold(text: &str) -> Option<Threshold> {
    let is_number = |digits: &str| !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
    let number = |digits: &str| {
        let mut number = 0_u128;
        for digit in digits.chars() {
            number = (number * 10 + u128::from(digit.to_digit(10)?)).min(u128::from(u64::MAX));
        }
        u32::try_from(number).ok()
    };
    match text.strip_suffix('%') {
        Some(digits) if is_number(digits) => {
            number(digits).filter(|n| (1..=100).contains(n)).map(Threshold::Percent)
        }
        None if is_number(text) => number(text).filter(|n| *n >= 1).map(Threshold::Count),
        _ => None,
    }
}

/// `1h30m`: numbers with units, the larger first, in nanoseconds. Only the last may have a fraction.
pub(super) fn delay(text: &str) -> Option<i128> {
    let (mut rest, mut sum, mut smallest, mut ended) = (text, 0_u128, 0, false);
    if text.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        if ended {
            return None;
        }
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let place = UNITS.iter().position(|(name, _)| *name == unit)?;
        if place < smallest {
            return None;
        }
        smallest = place + 1;
        let nanos = UNITS[place].1;
        let (whole, fraction) = match number.split_once('.') {
            None => (number, ""),
            Some((whole, fraction)) => {
                ended = true;
                // A nanosecond has no fraction.
                if fraction.is_empty() || fraction.len() > 9 || nanos == 1 {
                    return None;
                }
                (whole, fraction)
            }
        };
        if whole.is_empty() {
            return None;
        }
        let mut value = 0_u128;
        for digit in whole.chars() {
            value = (value * 10 + u128::from(digit.to_digit(10)?)).min(1 << 64);
        }
        let mut of = nanos;
        let mut parts = 0;
        for digit in fraction.chars() {
            parts = parts * 10 + u128::from(digit.to_digit(10)?);
            of *= 10;
        }
        // `of / nanos` is the power of ten that the fraction is of.
        sum += value * nanos + parts * nanos / (of / nanos);
        rest = after;
    }
    i128::try_from(sum).ok().filter(|_| sum <= LONGEST_DELAY)
}

/// A time of RFC 3339, in nanoseconds since the epoch.
pub(super) fn time(text: &str) -> Option<i128> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i128> {
        let digits = bytes.get(from..to)?;
        digits.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i128::from(b - b'0')))
    };
    let is = |at: usize, c: &[u8]| bytes.get(at).is_some_and(|b| c.contains(b));
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (mut at, mut nanos) = (19, 0);
    if is(at, b".") {
        let digits = bytes[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 || digits > 9 {
            return None;
        }
        nanos = number(at + 1, at + 1 + digits)? * 10_i128.pow(9 - u32::try_from(digits).ok()?);
        at += 1 + digits;
    }
    let offset = if is(at, b"Zz") {
        at += 1;
        0
    } else if is(at, b"+-") && is(at + 3, b":") {
        let (hours, minutes) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
        if hours > 23 || minutes > 59 {
            return None;
        }
        let offset = hours * 3600 + minutes * 60;
        let offset = if is(at, b"-") { -offset } else { offset };
        at += 6;
        offset
    } else {
        return None;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if leap { 29 } else { 28 };
    let days_of = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month_days = *days_of.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
    // A leap second counts as the one before it.
    if at != bytes.len()
        || !(1..=month_days).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let before: i128 = days_of.iter().take(usize::try_from(month - 1).ok()?).sum();
    let y = year - 1;
    let days =
        year * 365 + if year > 0 { y / 4 - y / 100 + y / 400 + 1 } else { 0 } + before + day - 1;
    // Day 0 is the first of January of the year 0; the epoch is that of 1970.
    let days = days - 719_528;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second.min(59) - offset;
    let nanos = seconds * 1_000_000_000 + nanos;
    // What the program can tell.
    (-377_705_023_201_000_000_000..=253_402_207_200_999_999_999).contains(&nanos).then_some(nanos)
}

/// Whether a text is `2026-01-31T14:30:00.5+01:00`, whatever the numbers are.
pub(super) fn has_form_of_rfc_3339(text: &str) -> bool {
    let is = |text: &str, form: &str| {
        text.len() == form.len()
            && text.bytes().zip(form.bytes()).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                b'T' => b"Tt ".contains(&byte),
                form => byte == form,
            })
    };
    let Some((start, rest)) = text.split_at_checked(19) else { return false };
    let fraction =
        rest.strip_prefix('.').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    let offset = fraction.unwrap_or(rest);
    let ends = ["+00:00", "-00:00", "Z", "z"];
    is(start, "0000-00-00T00:00:00") && ends.iter().any(|end| is(offset, end))
}
