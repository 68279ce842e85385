//! A terminal that is drawn on in place: what to write to it, from one frame to the next.

use super::frame::Size;
use std::fmt::Write;

/// The screen beside the one with the shell's lines, without a cursor.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
/// The shell's lines are there again as they were.
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";
const TO_THE_END_OF_THE_LINE: &str = "\u{1b}[K";

/// What the terminal shows.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    /// None before the first frame, and after the last.
    size: Option<Size>,
    lines: Vec<String>,
}

impl Screen {
    /// The bytes that make the terminal show a frame: the lines that differ. All of them at first, and where the
    /// size has changed, since terminals then move what they show.
    pub(crate) fn draw(&mut self, frame: Vec<String>, size: Size) -> String {
        let mut bytes = String::new();
        if self.size.is_none() {
            bytes.push_str(ENTER);
        }
        if self.size != Some(size) {
            bytes.push_str(CLEAR);
            self.lines.clear();
        }
        let most = frame.len().max(self.lines.len());
        let empty = String::new();
        for i in 0..most {
            let line = frame.get(i).unwrap_or(&empty);
            if self.lines.get(i).unwrap_or(&empty) != line {
                // Writing to a String does not fail. Cleared first: behind a line that fills the width the cursor
                // stays on its last character.
                let _ = write!(bytes, "\u{1b}[{};1H{TO_THE_END_OF_THE_LINE}{line}", i + 1);
            }
        }
        self.size = Some(size);
        self.lines = frame;
        bytes
    }

    /// The bytes that give the terminal back; none where nothing was drawn.
    pub(crate) fn leave(&mut self) -> &'static str {
        self.lines.clear();
        self.size.take().map_or("", |_| LEAVE)
    }
}
