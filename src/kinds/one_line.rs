//! Text that people have written, on one line, without anything that a terminal obeys.

use std::borrow::Cow;

/// The text on one line. A control character is shown as a space: it ends a line, or begins an escape sequence. A
/// character that is not seen is left out: it may turn the order of those that are seen around.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| is_break(c) || is_invisible(c)) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if is_break(c) { ' ' } else { c };
    Cow::Owned(text.chars().filter(|c| !is_invisible(*c)).map(shown).collect())
}

/// The text, or as much of its beginning as fits into so many bytes, and an ellipsis.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.len() > most {
        true => format!("{}…", &text[..text.floor_char_boundary(most)]),
        false => text.to_owned(),
    }
}

fn is_break(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Unicode's format characters, as far as text has them: of no width, or of a direction.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_line_or_begins_an_escape_sequence_is_a_space() {
        for (text, shown) in [
            ("a drain of node-3", "a drain of node-3"),
            ("Wartung für Köln, 東京 🚧", "Wartung für Köln, 東京 🚧"),
            ("a\u{1b}[2J\nb\r\tc", "a [2J b  c"),
            // The C1 form of the same, which terminals obey in UTF-8 too.
            ("a\u{9b}2Jb\u{7f}", "a 2Jb "),
            ("a\u{2028}b\u{2029}c", "a b c"),
        ] {
            assert_eq!(one_line(text), shown);
        }
    }

    #[test]
    fn what_turns_text_around_or_hides_in_it_is_left_out() {
        assert_eq!(one_line("by \u{202e}ecila\u{202c}"), "by ecila");
        assert_eq!(one_line("\u{feff}emoji\u{200b}-svc\u{2066}"), "emoji-svc");
    }
}
