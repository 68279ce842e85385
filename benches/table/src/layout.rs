//! Cells as text, in columns.

/// Lines of cells, each column as wide as its widest cell; the first is aligned to the left, the others
/// to the right, but the last, which is not filled up.
pub(crate) fn columns(lines: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let print = |line: &Vec<String>| {
        let last = line.len().saturating_sub(1);
        let cells = line.iter().enumerate().map(|(column, cell)| match column {
            0 => format!("{cell:<width$}", width = width(0)),
            _ if column == last => cell.clone(),
            _ => format!("{cell:>width$}", width = width(column)),
        });
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    lines.iter().map(print).collect()
}

/// The same cells as a table of Markdown; the first line is its head.
pub(crate) fn markdown(lines: &[Vec<String>]) -> String {
    let print = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let Some((head, body)) = lines.split_first() else { return String::new() };
    let align = |column| if column == 0 || column + 1 == head.len() { "---" } else { "---:" };
    let rule: Vec<String> = (0..head.len()).map(|column| align(column).to_owned()).collect();
    let body = body.iter().map(|line| print(line));
    [print(head), print(&rule)].into_iter().chain(body).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<Vec<String>> {
        let line = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        vec![line(["what", "ratio", "note"]), line(["one flip", "1.04", ""])]
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        assert_eq!(columns(&lines()), "what      ratio  note\none flip   1.04\n");
    }

    #[test]
    fn the_same_is_a_table_of_markdown() {
        let expected = "| what | ratio | note |\n| --- | ---: | --- |\n| one flip | 1.04 |  |\n";
        assert_eq!(markdown(&lines()), expected);
    }
}
