//! Whether what came is what the page shows.
//!
//! The page's text becomes one regular expression. The crates for snapshots know `[..]` and `...` too, but
//! end each at the first place that fits, and so refuse `[..]o` for `foo`.

use regex::Regex;
use similar::TextDiff;

/// Any text within a line.
const ANY_TEXT: &str = "[..]";
/// Any lines.
const ANY_LINES: &str = "...";

/// Compares. A fault is their difference, line by line.
pub fn compare(shown: &str, came: &str) -> Result<(), String> {
    let (shown, came) = (normalized(shown), normalized(came));
    if text_pattern(&shown).is_match(&came) {
        return Ok(());
    }
    // What is as shown is no difference.
    let as_shown = updated(&shown, &came);
    let diff = TextDiff::from_lines(&shown, &as_shown);
    Err(diff.unified_diff().context_radius(100).header("as shown", "as it came").to_string())
}

/// What the page is to show instead. Lines that it shows rightly stay, with their `[..]`.
pub fn updated(shown: &str, came: &str) -> String {
    let patterns: Vec<(Regex, &str)> = shown
        .lines()
        .filter(|line| line.trim() != ANY_LINES)
        .map(|line| (compiled(&line_pattern(&normalized_line(line))), line))
        .collect();
    let line = |came: &str| {
        let plain = normalized_line(came);
        let shown = patterns.iter().find(|(pattern, _)| pattern.is_match(&plain));
        shown.map_or(came, |(_, line)| line).trim_end().to_owned() + "\n"
    };
    came.trim_end().lines().map(line).collect()
}

fn normalized(text: &str) -> String {
    text.trim_end().lines().map(|line| normalized_line(line) + "\n").collect()
}

/// With one blank for each run of them.
fn normalized_line(line: &str) -> String {
    let text = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let indented = line.starts_with(char::is_whitespace) && !text.is_empty();
    if indented { format!(" {text}") } else { text }
}

fn text_pattern(shown: &str) -> Regex {
    let line = |line: &str| match line.trim() {
        ANY_LINES => "(?:[^\n]*\n)*".to_owned(),
        _ => line_pattern(line) + "\n",
    };
    compiled(&shown.lines().map(line).collect::<String>())
}

fn line_pattern(line: &str) -> String {
    line.split(ANY_TEXT).map(regex::escape).collect::<Vec<_>>().join("[^\n]*")
}

fn compiled(pattern: &str) -> Regex {
    Regex::new(&format!("^{pattern}$")).expect("a pattern of escaped parts")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_blanks_and_places_for_any_text_are_compared() {
        for (shown, came, same) in [
            ("a\nb\n", "a\nb", true),
            ("a\n", "b\n", false),
            ("a\n", "a\nb\n", false),
            ("", "\n\n", true),
            ("NAME   AGE\nx  1s\n", "NAME AGE\nx      1s\n", true),
            ("  a: b", "    a:   b  ", true),
            ("a: b", "  a: b", false),
            ("x [..]s", "x 12s", true),
            ("x [..]s", "x 12m", false),
            ("[..]o end", "foo end", true),
            ("a [..] b [..] b", "a 1 b b 2 b", true),
            ("a[..]b", "a\nb", false),
            ("(a.b*)", "(a.b*)", true),
            ("(a.b*)", "(aXb*)", false),
            ("a\n...\nz", "a\nb\nc\nz", true),
            ("a\n...\nz", "a\nz", true),
            ("...\nA\nB", "A\nX\nA\nB", true),
            ("a\n...", "a\nb", true),
            ("a\n...", "b\na", false),
            ("Ünïcode →[..]", "Ünïcode → ✓", true),
        ] {
            assert_eq!(compare(shown, came).is_ok(), same, "{shown:?} {came:?}");
        }
    }

    #[test]
    fn a_difference_shows_what_differs_and_nothing_else() {
        let diff = compare("NAME  AGE\nx  [..]s\ny  1\n", "NAME AGE\nx 3s\ny 2\n").unwrap_err();
        let expected =
            "--- as shown\n+++ as it came\n@@ -1,3 +1,3 @@\n NAME AGE\n x [..]s\n-y 1\n+y 2\n";
        assert_eq!(diff, expected);
    }

    #[test]
    fn an_update_keeps_what_is_shown_rightly() {
        let updated =
            updated("NAME   AGE\nx  [..]s\ny  1\n", "NAME      AGE\nx         3s\ny         2\n\n");
        assert_eq!(updated, "NAME   AGE\nx  [..]s\ny         2\n");
    }
}
