//! Tables as kubectl has them: upper-case headings, three spaces between columns.

use crate::checks::report::Colour;
use crate::kinds::one_line::one_line;
use crate::printers::style::{Style, truncated, width};

const GAP: usize = 3;

/// A text in a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A text, or kubectl's word for none.
    pub(super) fn new(text: impl AsRef<str>) -> Self {
        let text = one_line(text.as_ref());
        let text = if text.is_empty() { "<none>".to_owned() } else { text.into_owned() };
        Self { text, style: Style::Plain }
    }

    pub(super) fn styled(self, style: Style) -> Self {
        Self { style, ..self }
    }
}

/// A heading for each column, and lines with a cell for each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(super) headings: Vec<&'static str>,
    pub(super) lines: Vec<Vec<Cell>>,
}

impl Table {
    /// The lines of text, the headings first; each in at most so many columns of a terminal.
    pub(super) fn to_lines(&self, colour: Colour, columns: Option<usize>) -> Vec<String> {
        let headings: Vec<Cell> = self.headings.iter().map(Cell::new).collect();
        let widths = self.widths();
        let all = [&headings].into_iter().chain(&self.lines);
        all.map(|line| to_line(line, &widths, colour, columns)).collect()
    }

    fn widths(&self) -> Vec<usize> {
        let column = |(i, heading): (usize, &&str)| {
            let cells = self.lines.iter().filter_map(|line| line.get(i));
            cells.map(|cell| width(&cell.text)).chain([width(heading)]).max().unwrap_or_default()
        };
        self.headings.iter().enumerate().map(column).collect()
    }
}

fn to_line(cells: &[Cell], widths: &[usize], colour: Colour, columns: Option<usize>) -> String {
    let mut line = String::new();
    let mut left = columns.unwrap_or(usize::MAX);
    for (i, (cell, wide)) in cells.iter().zip(widths).enumerate() {
        let text = truncated(&cell.text, left);
        left = left.saturating_sub(width(&text));
        // Nothing follows the last cell.
        let gap = (wide + GAP).saturating_sub(width(&text)).min(left);
        let gap = if i + 1 < cells.len() { gap } else { 0 };
        left -= gap;
        match colour {
            Colour::Terminal => line.push_str(&cell.style.paint(&text)),
            Colour::None => line.push_str(&text),
        }
        line.extend(std::iter::repeat_n(' ', gap));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let good = Cell::new("primary").styled(Style::Good);
        Table {
            headings: vec!["NAME", "ON"],
            lines: vec![vec![Cell::new("emoji"), good.clone()], vec![Cell::new(""), good]],
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let lines = table().to_lines(Colour::None, None);
        assert_eq!(lines, ["NAME     ON", "emoji    primary", "<none>   primary"]);
    }

    #[test]
    fn colour_takes_no_room_and_a_line_is_cut_off_at_the_width() {
        let lines = table().to_lines(Colour::Terminal, Some(12));
        assert_eq!(
            lines,
            ["NAME     ON", "emoji    \u{1b}[32mpr…\u{1b}[0m", "<none>   \u{1b}[32mpr…\u{1b}[0m"]
        );
        assert_eq!(table().to_lines(Colour::None, Some(7))[1], "emoji  ");
    }
}
