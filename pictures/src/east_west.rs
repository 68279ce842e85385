//! The picture of east and west: three kinds of Services of other clusters, and where their health is read.

use crate::canvas::{Canvas, INNER, MARGIN, Style, WIDTH};
use crate::palette::{Ink, Paper};

const TOP: f64 = 112.0;
const PART: f64 = 254.0;
const HEIGHT: f64 = 184.0;
const GAP: f64 = 22.0;
const CLUSTER: f64 = (INNER - GAP) / 2.0;
const BOX: f64 = CLUSTER - 20.0;

/// A way in which a Service of west can be reached from east.
struct Way {
    heading: &'static str,
    /// The Service in east that the route names.
    service: &'static str,
    /// Under it.
    note: &'static str,
    /// What traffic meets first in west: the gateway, or nothing.
    gateway: bool,
    /// Whether it has pods in east as well.
    local: bool,
    health: &'static str,
    /// Whether that is in west.
    remote: bool,
}

const WAYS: [Way; 3] = [
    Way {
        heading: "1. A mirror through a gateway",
        service: "emoji-svc-west",
        note: "endpoint: gateway",
        gateway: true,
        local: false,
        health: "its own EndpointSlices, in east",
        remote: false,
    },
    Way {
        heading: "2. A pod-to-pod mirror",
        service: "emoji-svc-west",
        note: "no endpoints in east",
        gateway: false,
        local: false,
        health: "emoji-svc’s EndpointSlices, in west",
        remote: true,
    },
    Way {
        heading: "3. A federated Service",
        service: "emoji-svc-federated",
        note: "no own endpoints",
        gateway: false,
        local: true,
        health: "all members’ EndpointSlices, together",
        remote: true,
    },
];

/// Draws it.
pub fn east_west() -> String {
    let height = TOP + PART * WAYS.len() as f64 + 62.0;
    let mut canvas = Canvas::new(
        height,
        "Services of other clusters, and where their health is read",
        &description(),
    );
    canvas.text(MARGIN, 30.0, Style::HEADING, "Where health is read");
    canvas.text(MARGIN, 52.0, Style::MUTED, "linkerd-failover runs in east; west is linked to it.");
    canvas.arrow(&[(MARGIN, 72.0), (MARGIN + 34.0, 72.0)], Ink::Primary, false);
    canvas.text(MARGIN + 42.0, 76.5, Style::PLAIN, "traffic");
    canvas.arrow(&[(MARGIN + 122.0, 72.0), (MARGIN + 156.0, 72.0)], Ink::Health, true);
    canvas.text(MARGIN + 164.0, 76.5, Style::PLAIN, "health, as it is watched");
    for (number, way) in WAYS.iter().enumerate() {
        part(&mut canvas, TOP + PART * number as f64, way);
    }
    let y = TOP + PART * WAYS.len() as f64;
    canvas.line((MARGIN, y - 8.0), (WIDTH - MARGIN, y - 8.0), Ink::Muted, false);
    let needs = [
        "2 and 3 need the credentials of the link, in",
        "a Secret that linkerd-failover may read.",
        "Without them health in west is unknown.",
    ];
    canvas.lines(MARGIN, y + 12.0, Style::PLAIN, &needs);
    canvas.finish()
}

fn description() -> String {
    let mut text = "Two clusters, east and west. linkerd-failover runs in east.".to_owned();
    for Way { heading, service, note, gateway, local, health, .. } in &WAYS {
        let through = match (gateway, local) {
            (true, _) => "Traffic goes through the gateway of west to the pods there",
            (false, false) => "Traffic goes straight to the pods in west",
            (false, true) => "Traffic goes to the pods of its members, in east and in west",
        };
        text +=
            &format!(" {heading}, {service} ({note}). {through}. Health is read from {health}.");
    }
    text + " The second and the third need the credentials of the link; without them health in west is unknown."
}

fn part(canvas: &mut Canvas, top: f64, way: &Way) {
    canvas.text(MARGIN, top + 6.0, Style::BOLD, way.heading);
    let (east, west) = (MARGIN, MARGIN + CLUSTER + GAP);
    let top = top + 16.0;
    for (x, name) in [(east, "east"), (west, "west")] {
        canvas.block(x, top, CLUSTER, HEIGHT, Paper::Soft, Ink::Muted);
        canvas.text(x + CLUSTER - 8.0, top + 17.0, Style::MUTED.end(), name);
    }
    // Upper row: traffic.
    let (row, high) = (top + 26.0, 44.0);
    let inner = |x: f64| x + 10.0;
    service(canvas, inner(east), row, way);
    let middle = row + high / 2.0;
    let from = inner(east) + BOX;
    if way.gateway {
        canvas.block(inner(west), row, 66.0, high, Paper::Panel, Ink::Primary);
        canvas.text(inner(west) + 33.0, middle + 4.5, Style::PLAIN.middle(), "gateway");
        pods(canvas, inner(west) + 92.0, row, 63.0, high);
        canvas.arrow(&[(from, middle), (inner(west), middle)], Ink::Primary, false);
        canvas.arrow(
            &[(inner(west) + 66.0, middle), (inner(west) + 92.0, middle)],
            Ink::Primary,
            false,
        );
    } else {
        pods(canvas, inner(west), row, BOX, high);
        canvas.arrow(&[(from, middle), (inner(west), middle)], Ink::Primary, false);
    }
    // Lower row: where health is read.
    let row = row + high + 22.0;
    if way.local {
        pods(canvas, inner(east), row, 63.0, 36.0);
        canvas.arrow(
            &[(inner(east) + 31.0, top + 70.0), (inner(east) + 31.0, row)],
            Ink::Primary,
            false,
        );
        slices(canvas, inner(east) + 71.0, row, BOX - 71.0, "slices");
    } else if !way.remote {
        slices(canvas, inner(east), row, BOX, "EndpointSlices");
    }
    if way.remote {
        slices(canvas, inner(west), row, BOX, "EndpointSlices");
    }
    // Who reads.
    let reader = row + 58.0;
    canvas.block(inner(east), reader, BOX, 30.0, Paper::Panel, Ink::Health);
    canvas.text(inner(east) + BOX / 2.0, reader + 19.0, Style::CODE.middle(), "linkerd-failover");
    if way.local || !way.remote {
        let x = inner(east) + BOX - 44.0;
        canvas.arrow(&[(x, row + 36.0), (x, reader)], Ink::Health, true);
    }
    if way.remote {
        let (x, y) = (inner(west) + BOX / 2.0, reader + 15.0);
        canvas.arrow(&[(x, row + 36.0), (x, y), (inner(east) + BOX, y)], Ink::Health, true);
    }
    canvas.text(
        MARGIN,
        top + HEIGHT + 19.0,
        Style::PLAIN.ink(Ink::Health),
        &format!("Health: {}", way.health),
    );
}

fn service(canvas: &mut Canvas, x: f64, y: f64, way: &Way) {
    canvas.block(x, y, BOX, 44.0, Paper::Fallback, Ink::Fallback);
    canvas.text(x + BOX / 2.0, y + 18.0, Style::CODE.middle(), way.service);
    canvas.text(x + BOX / 2.0, y + 36.0, Style::MUTED.middle(), way.note);
}

fn pods(canvas: &mut Canvas, x: f64, y: f64, width: f64, height: f64) {
    canvas.block(x, y, width, height, Paper::Primary, Ink::Primary);
    canvas.text(x + width / 2.0, y + height / 2.0 + 4.5, Style::PLAIN.middle(), "pods");
}

fn slices(canvas: &mut Canvas, x: f64, y: f64, width: f64, text: &str) {
    canvas.block(x, y, width, 36.0, Paper::Health, Ink::Health);
    canvas.text(x + width / 2.0, y + 22.5, Style::PLAIN.middle(), text);
}
