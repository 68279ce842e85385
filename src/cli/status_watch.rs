//! `status -w`: looks again and again, and draws or prints what has changed.
//!
//! By polling, and not by the controller's informers: every look decides from a whole LIST as a new leader would,
//! an API server that restarts is one failed look, and nothing has to be kept in step. A look follows the last by
//! two seconds, or by ten times what that took, whichever is more: a tenth of the time at most is spent in LISTs.

use crate::cli::looker::{AGAIN, Look, Looker};
use crate::cli::output::{colour, is_drawn_on, report_line};
use crate::engine::Now;
use crate::printers::status::change::changes;
use crate::printers::status::frame::{Shown, Size, Stale, frame};
use crate::printers::status::screen::Screen;
use crate::snapshot::Snapshot;
use crate::snapshot::row::ObjectRow;
use jiff::{SignedDuration, Timestamp};
use rustix::process::{getpid, kill_process};
use std::io::{ErrorKind, Write, stdout};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};

const EVERY: Duration = Duration::from_secs(2);
/// Of the time, at most one part in so many is spent in LISTs.
const SHARE: u32 = 10;
/// A look that takes longer has failed.
const LONGEST: Duration = Duration::from_secs(60);

/// Watches until it is interrupted, or nobody reads any more.
pub(super) async fn watch(looker: &Looker) -> anyhow::Result<ExitCode> {
    let mut ends = Ends::new()?;
    match is_drawn_on() && looker.draws() {
        true => on_terminal(looker, &mut ends).await,
        false => in_pipe(looker, &mut ends).await,
    }
}

/// The signals that end it.
struct Ends {
    interrupt: Signal,
    quit: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Ends {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.quit.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// The signals after which the terminal is drawn again.
struct Redraws {
    resized: Signal,
    suspended: Signal,
}

impl Redraws {
    fn new() -> std::io::Result<Self> {
        let suspended = SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw());
        Ok(Self { resized: signal(SignalKind::window_change())?, suspended: signal(suspended)? })
    }

    /// Whether the program is to be suspended.
    async fn wait(&mut self) -> bool {
        tokio::select! {
            _ = self.resized.recv() => false,
            _ = self.suspended.recv() => true,
        }
    }
}

/// The wait before the next look.
fn pause(took: Duration) -> Duration {
    EVERY.max(took.saturating_mul(SHARE - 1))
}

/// A look that fails, or that takes too long, leaves the last one as it is.
async fn look(looker: &Looker, before: &[ObjectRow]) -> Result<Look, String> {
    match tokio::time::timeout(LONGEST, looker.look_again(before)).await {
        Ok(looked) => looked.map_err(|failure| failure.to_string()),
        Err(_) => Err(format!("no answer within {} s", LONGEST.as_secs())),
    }
}

async fn in_pipe(looker: &Looker, ends: &mut Ends) -> anyhow::Result<ExitCode> {
    let (snapshot, mut rows) = looker.look(&[]).await?;
    looker.report(&snapshot);
    if !emit(&changes(&[], &rows, looker.change_format(), snapshot.now.wall)?)? {
        return Ok(ExitCode::SUCCESS);
    }
    let (mut took, mut is_failing) = (Duration::ZERO, false);
    loop {
        tokio::select! {
            () = ends.wait() => return Ok(ExitCode::SUCCESS),
            () = tokio::time::sleep(pause(took)) => {}
        }
        let began = Instant::now();
        let looked = tokio::select! {
            () = ends.wait() => return Ok(ExitCode::SUCCESS),
            looked = look(looker, &rows) => looked,
        };
        took = began.elapsed();
        match looked {
            Ok((snapshot, next)) => {
                is_failing = false;
                let text = changes(&rows, &next, looker.change_format(), snapshot.now.wall)?;
                if !emit(&text)? {
                    return Ok(ExitCode::SUCCESS);
                }
                rows = next;
            }
            // Once, not at every look.
            Err(why) if !is_failing => {
                is_failing = true;
                report_line(&format!("linkerd-failover: {why}; looking again"));
            }
            Err(_) => {}
        }
    }
}

/// Writes at once; false where nobody reads any more.
fn emit(text: &str) -> anyhow::Result<bool> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => Ok(written.map(|()| true)?),
    }
}

/// Gives the terminal back whatever happens.
#[derive(Default)]
struct Terminal(Screen);

impl Drop for Terminal {
    fn drop(&mut self) {
        // Nobody can be told.
        let _ = emit(self.0.leave());
    }
}

impl Terminal {
    /// Gives the terminal back until the person brings the program to the foreground again.
    fn suspend(&mut self) -> anyhow::Result<()> {
        emit(self.0.leave())?;
        Ok(kill_process(getpid(), rustix::process::Signal::STOP)?)
    }
}

/// The last look, and why there is no newer one.
struct Seen {
    snapshot: Snapshot,
    taken: Timestamp,
    at: Instant,
    stale: Option<Stale>,
}

impl Seen {
    fn new(snapshot: Snapshot) -> Self {
        let taken = snapshot.now.wall;
        Self { snapshot, taken, at: Instant::now(), stale: None }
    }

    /// Brings the time of the snapshot up to date: what runs goes on between two looks.
    fn advance(&mut self) {
        let now = self.snapshot.now;
        let by = SignedDuration::try_from(self.at.elapsed()).unwrap_or_default();
        self.at = Instant::now();
        self.snapshot.now = Now {
            wall: now.wall.saturating_add(by).unwrap_or(now.wall),
            steady: now.steady.saturating_add(by),
        };
    }

    fn failed(&mut self, why: String) {
        self.stale = Some(Stale { since: self.taken, why });
    }
}

async fn on_terminal(looker: &Looker, ends: &mut Ends) -> anyhow::Result<ExitCode> {
    let mut redraws = Redraws::new()?;
    // Before anything is drawn: what is wrong with the arguments is one line.
    let (snapshot, mut rows) = looker.look(&[]).await?;
    let mut seen = Seen::new(snapshot);
    let mut terminal = Terminal::default();
    let mut pause_left = EVERY;
    loop {
        seen.advance();
        terminal.draw(looker, &seen)?;
        let again = tokio::time::sleep(AGAIN.min(pause_left));
        let slept = Instant::now();
        tokio::select! {
            () = ends.wait() => return Ok(ExitCode::SUCCESS),
            suspends = redraws.wait() => if suspends { terminal.suspend()? },
            () = again => {}
        }
        pause_left = pause_left.saturating_sub(slept.elapsed());
        if !pause_left.is_zero() {
            continue;
        }
        let began = Instant::now();
        let looked = {
            let looking = look(looker, &rows);
            tokio::pin!(looking);
            // What is shown goes on while it is looked.
            loop {
                tokio::select! {
                    () = ends.wait() => return Ok(ExitCode::SUCCESS),
                    looked = &mut looking => break looked,
                    suspends = redraws.wait() => if suspends { terminal.suspend()? },
                    () = tokio::time::sleep(AGAIN) => {}
                }
                seen.advance();
                terminal.draw(looker, &seen)?;
            }
        };
        pause_left = pause(began.elapsed());
        match looked {
            Ok((snapshot, next)) => (seen, rows) = (Seen::new(snapshot), next),
            Err(why) => seen.failed(why),
        }
    }
}

impl Terminal {
    fn draw(&mut self, looker: &Looker, seen: &Seen) -> anyhow::Result<()> {
        let Seen { snapshot, stale, taken, .. } = seen;
        let rows = looker.rows(snapshot);
        let gaps = snapshot.gaps.iter().map(ToString::to_string);
        let notices: Vec<String> = looker.cluster_holds(snapshot).into_iter().chain(gaps).collect();
        let shown = Shown {
            rows: &rows,
            notices: &notices,
            stale: stale.as_ref(),
            taken: *taken,
            columns: looker.columns(),
            now: snapshot.now.wall,
        };
        let size = size();
        emit(&self.0.draw(frame(&shown, size, colour()), size))?;
        Ok(())
    }
}

/// The size of the terminal; where it has none, that of the oldest.
fn size() -> Size {
    let found = rustix::termios::tcgetwinsize(stdout()).ok();
    let found = found.filter(|size| size.ws_col > 0 && size.ws_row > 0);
    found.map_or(Size { columns: 80, lines: 24 }, |size| Size {
        columns: size.ws_col.into(),
        lines: size.ws_row.into(),
    })
}
