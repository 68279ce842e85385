//! Text for a terminal: colours and widths.

use unicode_width::UnicodeWidthChar;

/// How a cell looks where colour is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Style {
    #[default]
    Plain,
    Good,
    Attention,
    Bad,
    ByPerson,
}

impl Style {
    /// The text in this style.
    pub(super) fn paint(self, text: &str) -> String {
        let code = match self {
            Self::Plain => return text.to_owned(),
            Self::Good => 32,
            Self::Attention => 33,
            Self::Bad => 31,
            Self::ByPerson => 36,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// With a capital letter first, and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(rest).chain(['.']).collect()
}

/// How many columns of a terminal a text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or_default()).sum()
}

/// The text in at most so many columns; where it is cut off it ends with `…`.
pub(super) fn truncated(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let fits = |c: &char| {
        let next = left.checked_sub(c.width().unwrap_or_default());
        left = next.unwrap_or_default();
        next.is_some()
    };
    let mut short: String = text.chars().take_while(fits).collect();
    if columns > 0 {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_off_by_the_columns_that_it_takes() {
        for (columns, text) in [(0, ""), (1, "…"), (5, "emoj…"), (9, "emoji-svc")] {
            assert_eq!(truncated("emoji-svc", columns), text);
        }
        assert_eq!(truncated("東京東京", 5), "東京…");
        assert_eq!(width("東京"), 4);
    }
}
