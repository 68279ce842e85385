//! A child process that cannot outlive this one.

use anyhow::Context;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

const SUPERVISOR: &str = include_str!("supervise.sh");

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit status as a shell has it: 128 and the signal's number when
    /// one ended the process. None when the supervisor died and nobody knows.
    pub status: Option<i32>,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "exit status {status}"),
            None => write!(f, "unknown exit status"),
        }
    }
}

/// What to start.
pub(crate) struct Launch {
    pub name: String,
    pub program: PathBuf,
    pub args: Vec<OsString>,
    /// The whole environment: nothing is inherited.
    pub env: Vec<(String, String)>,
}

/// A process that ends when this one does, however that happens: its parent is
/// a small shell script that kills it when the pipe from us closes.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: Pid,
    supervisor: u32,
    log: PathBuf,
    /// Closing this kills the process, unless "keep" was written to it first.
    lifeline: Mutex<Option<ChildStdin>>,
    exit: watch::Receiver<Option<Exit>>,
}

impl Process {
    /// Starts a process with its output appended to `log`. The supervisor
    /// keeps `hold` open for as long as the process runs.
    pub(crate) fn start(launch: Launch, log: PathBuf, hold: File) -> anyhow::Result<Self> {
        let Launch { name, program, args, env } = launch;
        let mut supervisor = Command::new("/bin/sh")
            .args(["-c", SUPERVISOR, &format!("supervisor-of-{name}")])
            .arg(&log)
            .arg(&program)
            .args(args)
            .env_clear()
            .envs(env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(hold)
            // A Ctrl-C in the terminal is for us; what we started ends by our ending.
            .process_group(0)
            .spawn()
            .context("cannot start /bin/sh")?;
        let lifeline = supervisor.stdin.take();
        let mut output = BufReader::new(supervisor.stdout.take().context("no pipe to read from")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let pid = line
            .strip_prefix("pid ")
            .and_then(|pid| pid.trim().parse().ok())
            .with_context(|| format!("the supervisor of {name} did not start it: {line:?}"))?;
        let (ended, exit) = watch::channel(None);
        let process = Self {
            name: name.clone(),
            pid: Pid::from_raw(pid),
            supervisor: supervisor.id(),
            log,
            lifeline: Mutex::new(lifeline),
            exit,
        };
        std::thread::Builder::new()
            .name(format!("wait-{name}"))
            .spawn(move || ended.send_replace(Some(await_exit(output, supervisor))))
            .context("cannot start a thread")?;
        Ok(process)
    }

    /// The name it was started under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process's own id, not its supervisor's.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    pub(crate) fn supervisor(&self) -> u32 {
        self.supervisor
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines of its output, for an error message.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Whether it has not ended yet.
    pub fn is_running(&self) -> bool {
        self.exit.borrow().is_none()
    }

    /// Asks it to end (SIGTERM) and waits, at most for `timeout`.
    pub async fn terminate(&self, timeout: Duration) -> anyhow::Result<Exit> {
        self.signal(Signal::SIGTERM)?;
        self.wait_exit(timeout).await
    }

    /// Ends it at once (SIGKILL). Returns without waiting.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGKILL)
    }

    /// Ends it at once, unless it is to outlive this process.
    pub(crate) fn kill_unless_kept(&self) {
        let kept = self.lifeline.lock().unwrap_or_else(PoisonError::into_inner).is_none();
        if !kept {
            let _ = self.kill();
        }
    }

    /// Stops it where it is (SIGSTOP), as if it hung.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets it go on after [`Self::pause`].
    pub fn resume(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Waits until it has ended, at most for `timeout`.
    pub async fn wait_exit(&self, timeout: Duration) -> anyhow::Result<Exit> {
        let mut exit = self.exit.clone();
        let ended = tokio::time::timeout(timeout, exit.wait_for(Option::is_some))
            .await
            .with_context(|| {
                let (name, pid) = (&self.name, self.pid);
                format!("{name} (pid {pid}) did not end within {timeout:?}")
            })?;
        Ok(ended.ok().and_then(|exit| *exit).unwrap_or(UNKNOWN))
    }

    /// Lets it outlive this process.
    pub(crate) fn keep(&self) -> anyhow::Result<()> {
        let mut lifeline = self.lifeline.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut pipe) = lifeline.take() {
            pipe.write_all(b"keep\n")
                .with_context(|| format!("{} has ended: it cannot be kept", self.name))?;
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        // Once it was reaped the id may be another's.
        if self.is_running() {
            signal::kill(self.pid, signal)
                .or_else(|error| match error {
                    nix::Error::ESRCH => Ok(()),
                    error => Err(error),
                })
                .with_context(|| format!("cannot send {signal} to {}", self.name))?;
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let lifeline = self.lifeline.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // None: it is kept.
        if lifeline.is_some() {
            drop(lifeline);
            let end = Instant::now() + Duration::from_secs(5);
            while self.is_running() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

const UNKNOWN: Exit = Exit { status: None };

fn await_exit(output: impl BufRead, mut supervisor: Child) -> Exit {
    let status = output
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("exit ")?.parse().ok());
    // Reaps it: without this a zombie would stay.
    let _ = supervisor.wait();
    Exit { status }
}
