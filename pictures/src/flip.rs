//! The picture of a flip, from a record.

use crate::canvas::{Canvas, INNER, MARGIN, Style, WIDTH};
use crate::palette::{Ink, Paper};
use crate::record::{About, Flip, Record, Stages};

/// A row: its label, and the track under it.
const LABEL: f64 = 17.0;
const TRACK: f64 = 22.0;
const ROW: f64 = LABEL + TRACK + 10.0;
const ROWS: f64 = 6.0;
const AXIS: f64 = 48.0;
/// From the top of one part to the top of the next.
const PART: f64 = 30.0 + ROWS * ROW + AXIS + 112.0;
const TOP: f64 = 109.0;

/// Draws it.
pub fn flip(record: &Record) -> String {
    let Record { about, loss, restored } = record;
    let height = TOP + 2.0 * PART + 4.0;
    let mut canvas =
        Canvas::new(height, "A failover and its return, over time", &description(record));
    canvas.text(MARGIN, 30.0, Style::HEADING, "A failover and its return, as recorded");
    let source = [
        format!("{} {} · Kubernetes {}", about.kind, about.name, about.kubernetes),
        format!("linkerd-failover {} ({} build) · {}", about.program, about.build, about.recorded),
        format!("{} CPUs for all, the API server and etcd too", about.cpus),
    ];
    canvas.lines(MARGIN, 52.0, Style::MUTED, &[&source[0], &source[1], &source[2]]);
    part(&mut canvas, TOP, about, loss, "The primary loses its only endpoint");
    part(&mut canvas, TOP + PART, about, restored, "The endpoint is back");
    canvas.finish()
}

fn description(record: &Record) -> String {
    let About { kind, name, primary, fallback, .. } = &record.about;
    let sentence = |flip: &Flip, what: &str| {
        format!(
            "{what}: ready endpoints of {primary} go from {} to {} at 0 ms. The controller has decided at {:.1} ms. \
             At {:.1} ms the API server has stored the new weights: {primary} {}, {fallback} {}.",
            flip.endpoints.before,
            flip.endpoints.after,
            flip.decided_ms(),
            flip.write.stored_ms,
            flip.write.after[0],
            flip.write.after[1],
        )
    };
    format!(
        "Two time lines in milliseconds for the {kind} {name}, from a run on a test cluster. {} {}",
        sentence(&record.loss, "Loss"),
        sentence(&record.restored, "Return")
    )
}

/// From time to place.
#[derive(Clone, Copy)]
struct Scale {
    from: f64,
    to: f64,
}

impl Scale {
    fn of(flip: &Flip) -> Self {
        let first = flip.read_ms().min(0.0);
        let span = flip.write.stored_ms - first;
        Self { from: first - span * 0.18, to: flip.write.stored_ms + span * 0.22 }
    }

    fn x(self, ms: f64) -> f64 {
        MARGIN + INNER * (ms - self.from) / (self.to - self.from)
    }

    /// One of the usual steps, so that there are from four to eight of them.
    fn step(self) -> f64 {
        let steps = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];
        let wide = (self.to - self.from) / 8.0;
        steps.into_iter().find(|step| *step >= wide).unwrap_or(200.0)
    }
}

fn part(canvas: &mut Canvas, top: f64, about: &About, flip: &Flip, heading: &str) {
    let scale = Scale::of(flip);
    let rows = top + 30.0;
    let bottom = rows + ROWS * ROW;
    canvas.line((MARGIN, top - 12.0), (WIDTH - MARGIN, top - 12.0), Ink::Muted, false);
    canvas.text(MARGIN, top + 12.0, Style::BOLD, heading);
    let row = |number: f64| rows + number * ROW;

    let mut lane = Lane { canvas, scale };
    let stored = flip.write.stored_ms;
    let endpoints = &flip.endpoints;
    lane.label(row(0.0), &about.primary, "ready endpoints");
    lane.switch(
        row(0.0),
        0.0,
        [endpoints.before, endpoints.after].map(u64::from),
        Paper::Primary,
        Ink::Primary,
    );
    lane.label(row(1.0), &about.fallback, "ready endpoints");
    lane.steady(row(1.0), flip.fallback_ready.into());
    let decided = format!("decides at {:.1} ms, sends the write", flip.decided_ms());
    lane.label(row(2.0), "controller", &decided);
    lane.controller(row(2.0), flip);
    let version =
        format!("stores it: version {} → {}", flip.write.version_before, flip.write.version_after);
    lane.label(row(3.0), "API server", &version);
    lane.store(row(3.0), flip);
    lane.label(row(4.0), &about.primary, "weight");
    lane.switch(
        row(4.0),
        stored,
        [flip.write.before[0], flip.write.after[0]],
        Paper::Primary,
        Ink::Primary,
    );
    lane.label(row(5.0), &about.fallback, "weight");
    lane.switch(
        row(5.0),
        stored,
        [flip.write.before[1], flip.write.after[1]],
        Paper::Fallback,
        Ink::Fallback,
    );

    let change = if endpoints.after == 0 { Ink::Loss } else { Ink::Primary };
    for (at, ink) in [(0.0, change), (stored, Ink::Health)] {
        for number in [0.0, 1.0, 2.0, 3.0, 4.0, 5.0] {
            // Not through the labels.
            let y = row(number) + LABEL;
            canvas.line((scale.x(at), y - 1.0), (scale.x(at), y + TRACK + 4.0), ink, true);
        }
    }
    axis(canvas, bottom, scale);
    facts(canvas, bottom + AXIS + 10.0, flip);
}

/// Draws in the tracks of rows.
struct Lane<'a> {
    canvas: &'a mut Canvas,
    scale: Scale,
}

impl Lane<'_> {
    fn label(&mut self, y: f64, name: &str, what: &str) {
        // A name in code is 7.6 wide a letter.
        let width = 7.6 * name.chars().count() as f64 + 8.0;
        self.canvas.text(MARGIN, y + 11.0, Style::CODE, name);
        self.canvas.text(MARGIN + width, y + 11.0, Style::MUTED, what);
    }

    fn bar(&mut self, y: f64, from: f64, to: f64, paper: Paper) {
        let (from, to) = (self.scale.x(from), self.scale.x(to));
        self.canvas.fill(from, y + LABEL, (to - from).max(1.5), TRACK, paper);
    }

    /// A number that changes at a time.
    fn switch(&mut self, y: f64, at: f64, values: [u64; 2], paper: Paper, ink: Ink) {
        let Scale { from, to } = self.scale;
        for ((from, to), value) in [(from, at), (at, to)].into_iter().zip(values) {
            let (paper, ink) = if value == 0 { (Paper::Empty, Ink::Muted) } else { (paper, ink) };
            self.bar(y, from, to, paper);
            self.value(y, from, value, ink);
        }
    }

    fn steady(&mut self, y: f64, value: u64) {
        let Scale { from, to } = self.scale;
        self.bar(y, from, to, Paper::Fallback);
        self.value(y, from, value, Ink::Fallback);
    }

    /// Where it begins to hold.
    fn value(&mut self, y: f64, from: f64, value: u64, ink: Ink) {
        let x = self.scale.x(from) + 12.0;
        self.canvas.text(x, y + LABEL + 15.5, Style::BOLD.ink(ink).middle(), &value.to_string());
    }

    fn work(&mut self, y: f64, from: f64, to: f64) {
        let Scale { from: begin, to: end } = self.scale;
        self.bar(y, begin, end, Paper::Soft);
        let (from, to) = (self.scale.x(from), self.scale.x(to));
        self.canvas.block(from, y + LABEL, (to - from).max(1.5), TRACK, Paper::Health, Ink::Health);
    }

    fn controller(&mut self, y: f64, flip: &Flip) {
        self.work(y, flip.read_ms(), flip.write.received_ms);
        let x = self.scale.x(flip.decided_ms());
        self.canvas.line((x, y + LABEL - 3.0), (x, y + LABEL + TRACK + 3.0), Ink::Health, false);
    }

    fn store(&mut self, y: f64, flip: &Flip) {
        self.work(y, flip.write.received_ms, flip.write.stored_ms);
    }
}

fn axis(canvas: &mut Canvas, y: f64, scale: Scale) {
    canvas.line((MARGIN, y), (WIDTH - MARGIN, y), Ink::Muted, false);
    let step = scale.step();
    let mut tick = (scale.from / step).ceil() * step;
    while tick <= scale.to {
        let x = scale.x(tick);
        canvas.line((x, y), (x, y + 5.0), Ink::Muted, false);
        let place = x.clamp(MARGIN + 6.0, WIDTH - MARGIN - 6.0);
        // No negative zero.
        canvas.text(
            place,
            y + 19.0,
            Style::MUTED.middle(),
            &(tick + 0.0).to_string().replace('-', "−"),
        );
        tick += step;
    }
    canvas.text(WIDTH - MARGIN, y + 35.0, Style::MUTED.end(), "milliseconds");
    canvas.text(MARGIN, y + 35.0, Style::MUTED, "0: the EndpointSlice is written");
}

fn facts(canvas: &mut Canvas, y: f64, flip: &Flip) {
    let Stages { indexed, dequeued, decided, .. } = flip.stages_ms;
    let mut facts = vec![
        format!("Weights stored {:.1} ms after the endpoints.", flip.write.stored_ms),
        format!("From the event to the decision: {:.2} ms.", indexed + dequeued + decided),
        recorded(flip),
    ];
    facts.extend(wrapped(&format!("Why: {}", flip.why)));
    let facts: Vec<&str> = facts.iter().map(String::as_str).collect();
    canvas.lines(MARGIN, y, Style::PLAIN, &facts);
}

/// When it was recorded: in the write of the weights, or in one of its own after it.
fn recorded(flip: &Flip) -> String {
    match flip.state_ms > flip.write.stored_ms {
        true => format!(
            "Annotation state at {:.0} ms, Event at {:.0} ms.",
            flip.state_ms, flip.event_ms
        ),
        false => format!("Annotation state: the same write. Event at {:.0} ms.", flip.event_ms),
    }
}

/// In lines that fit: letters are 7.4 wide, and the widest font makes more of them.
fn wrapped(text: &str) -> Vec<String> {
    let most = (INNER / 8.0) as usize;
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
