//! What the pictures are made of: panels, texts, lines and arrows, on a width that a phone can show.

use crate::palette::{Ink, Paper};
use svg::node::element::{Description, Element, Line, Path, Rectangle, Text, Title};
use svg::{Document, Node};

/// In units of text: at 360 px, of which a page leaves 320 for a picture, text of 13 is 10.4 px high.
pub(crate) const WIDTH: f64 = 400.0;
/// What is left at both sides.
pub(crate) const MARGIN: f64 = 14.0;
/// The width between the margins.
pub(crate) const INNER: f64 = WIDTH - 2.0 * MARGIN;
/// The height of all text but headings.
pub(crate) const SIZE: f64 = 13.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub ink: Ink,
    pub size: f64,
    pub bold: bool,
    /// A name as it stands in a cluster or in the source.
    pub code: bool,
    pub anchor: Anchor,
}

impl Style {
    pub(crate) const PLAIN: Self =
        Self { ink: Ink::Text, size: SIZE, bold: false, code: false, anchor: Anchor::Start };
    pub(crate) const MUTED: Self = Self { ink: Ink::Muted, ..Self::PLAIN };
    pub(crate) const BOLD: Self = Self { bold: true, ..Self::PLAIN };
    pub(crate) const HEADING: Self = Self { size: 16.0, ..Self::BOLD };
    pub(crate) const CODE: Self = Self { code: true, ..Self::PLAIN };

    pub(crate) fn ink(self, ink: Ink) -> Self {
        Self { ink, ..self }
    }

    pub(crate) fn middle(self) -> Self {
        Self { anchor: Anchor::Middle, ..self }
    }

    pub(crate) fn end(self) -> Self {
        Self { anchor: Anchor::End, ..self }
    }
}

/// A picture that is being drawn.
pub(crate) struct Canvas {
    document: Document,
}

impl Canvas {
    /// A panel of its own, so that it is legible in every theme.
    pub(crate) fn new(height: f64, title: &str, description: &str) -> Self {
        let mut document = Document::new()
            .set("viewBox", format!("0 0 {WIDTH} {height}"))
            // On a wide page a third larger; a page narrower than that makes it smaller.
            .set("width", px(WIDTH * 1.3))
            .set("height", px(height * 1.3))
            .set("role", "img")
            .set("aria-labelledby", "title desc")
            .set(
                "font-family",
                "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif",
            );
        document.append(Title::new(title).set("id", "title"));
        let mut desc = Description::new().set("id", "desc");
        desc.append(svg::node::Text::new(description));
        document.append(desc);
        let mut canvas = Self { document };
        canvas.block(0.5, 0.5, WIDTH - 1.0, height - 1.0, Paper::Panel, Ink::Muted);
        canvas
    }

    /// A filled rectangle without a line around it.
    pub(crate) fn fill(&mut self, x: f64, y: f64, width: f64, height: f64, paper: Paper) {
        let rectangle = rectangle(x, y, width, height).set("fill", paper.colour());
        self.document.append(rectangle.set("rx", 2));
    }

    /// A box with a line around it.
    pub(crate) fn block(
        &mut self,
        x: f64,
        y: f64,
        width: f64,
        height: f64,
        paper: Paper,
        ink: Ink,
    ) {
        let rectangle = rectangle(x, y, width, height)
            .set("fill", paper.colour())
            .set("stroke", ink.colour())
            .set("rx", 6);
        self.document.append(rectangle);
    }

    /// One line of text, `y` its base line.
    pub(crate) fn text(&mut self, x: f64, y: f64, style: Style, text: &str) {
        let anchor = match style.anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        // In code a name is wider: as high as the text around it, it would be too wide for its box.
        let size = if style.code { style.size - 0.5 } else { style.size };
        let mut element = Text::new(text)
            .set("x", px(x))
            .set("y", px(y))
            .set("font-size", px(size))
            .set("fill", style.ink.colour())
            .set("text-anchor", anchor);
        if style.bold {
            element = element.set("font-weight", 600);
        }
        if style.code {
            element = element
                .set("font-family", "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace");
        }
        self.document.append(element);
    }

    /// Lines of text, one under the other; gives the base line after the last.
    pub(crate) fn lines(&mut self, x: f64, y: f64, style: Style, lines: &[&str]) -> f64 {
        let mut y = y;
        for line in lines {
            self.text(x, y, style, line);
            y += style.size + 4.0;
        }
        y
    }

    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), ink: Ink, dashed: bool) {
        let mut line = Line::new()
            .set("x1", px(from.0))
            .set("y1", px(from.1))
            .set("x2", px(to.0))
            .set("y2", px(to.1))
            .set("stroke", ink.colour())
            .set("stroke-width", "1.5");
        if dashed {
            line = line.set("stroke-dasharray", "4 3");
        }
        self.document.append(line);
    }

    /// A line through points, with a head at its end.
    pub(crate) fn arrow(&mut self, points: &[(f64, f64)], ink: Ink, dashed: bool) {
        let [.., before, end] = points else { return };
        let (dx, dy) = (end.0 - before.0, end.1 - before.1);
        let length = dx.hypot(dy).max(0.1);
        let (ux, uy) = (dx / length, dy / length);
        let neck = (end.0 - 8.0 * ux, end.1 - 8.0 * uy);
        let mut stops: Vec<(f64, f64)> = points.to_vec();
        if let Some(last) = stops.last_mut() {
            *last = neck;
        }
        for pair in stops.windows(2) {
            self.line(pair[0], pair[1], ink, dashed);
        }
        let head = format!(
            "M{} {}L{} {}L{} {}Z",
            px(end.0),
            px(end.1),
            px(neck.0 - 4.5 * uy),
            px(neck.1 + 4.5 * ux),
            px(neck.0 + 4.5 * uy),
            px(neck.1 - 4.5 * ux)
        );
        self.document.append(Path::new().set("d", head).set("fill", ink.colour()));
    }

    pub(crate) fn finish(self) -> String {
        format!("{}\n", Element::from(self.document))
    }
}

fn rectangle(x: f64, y: f64, width: f64, height: f64) -> Rectangle {
    Rectangle::new()
        .set("x", px(x))
        .set("y", px(y))
        .set("width", px(width))
        .set("height", px(height))
}

/// To a tenth: what is finer is not seen, and differs from machine to machine.
pub(crate) fn px(value: f64) -> String {
    let tenths = (value * 10.0).round() / 10.0;
    // No negative zero.
    (tenths + 0.0).to_string()
}
