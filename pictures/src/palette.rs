//! Colours. Pictures are embedded by `<img>`, where a style sheet of the page does not reach them and
//! `prefers-color-scheme` follows the system and not the book's theme: so each has a light panel of its own.

/// What text and lines are drawn with. Each is legible on each [`Paper`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    Text,
    Muted,
    /// The primary, and what belongs to it.
    Primary,
    /// The fallback.
    Fallback,
    /// Health, and where it is read.
    Health,
    /// A loss.
    Loss,
}

/// What is drawn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paper {
    Panel,
    Soft,
    Empty,
    Primary,
    Fallback,
    Health,
}

impl Ink {
    pub(crate) fn colour(self) -> &'static str {
        match self {
            Self::Text => "#1b2430",
            Self::Muted => "#465063",
            Self::Primary => "#0b4a8f",
            Self::Fallback => "#7a3b00",
            Self::Health => "#0f5a2c",
            Self::Loss => "#9b1c1c",
        }
    }
}

impl Paper {
    pub(crate) fn colour(self) -> &'static str {
        match self {
            Self::Panel => "#ffffff",
            Self::Soft => "#f3f5f8",
            Self::Empty => "#e6e9ee",
            Self::Primary => "#d6e6fb",
            Self::Fallback => "#fbe3c8",
            Self::Health => "#daf1e0",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG's relative luminance.
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    #[test]
    fn every_ink_is_legible_on_every_paper() {
        let inks = [Ink::Text, Ink::Muted, Ink::Primary, Ink::Fallback, Ink::Health, Ink::Loss];
        let papers = [
            Paper::Panel,
            Paper::Soft,
            Paper::Empty,
            Paper::Primary,
            Paper::Fallback,
            Paper::Health,
        ];
        for ink in inks {
            for paper in papers {
                let (dark, light) = (luminance(ink.colour()), luminance(paper.colour()));
                let contrast = (light + 0.05) / (dark + 0.05);
                assert!(contrast >= 4.5, "{ink:?} on {paper:?}: {contrast:.2}");
            }
        }
    }
}
