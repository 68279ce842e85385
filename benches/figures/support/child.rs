//! This program once more, as another process.

use super::bench::PATIENCE;
use anyhow::{Context, Result};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};

/// Ends when it is dropped, and with this process however that ends.
pub(crate) struct Child {
    process: tokio::process::Child,
    output: BufReader<ChildStdout>,
    _lifeline: ChildStdin,
}

impl Child {
    pub(crate) fn start(arguments: &[&str], env: &[(&str, &str)]) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(arguments)
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = BufReader::new(process.stdout.take().context("no output")?);
        let lifeline = process.stdin.take().context("no input")?;
        Ok(Self { process, output, _lifeline: lifeline })
    }

    /// The next line that it prints.
    pub(crate) async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line);
        let read = tokio::time::timeout(PATIENCE, read);
        read.await.context("another process of the benchmark does not get ready")??;
        anyhow::ensure!(!line.is_empty(), "another process of the benchmark has ended");
        Ok(line)
    }

    pub(crate) fn pid(&self) -> Result<u32> {
        self.process.id().context("the process has ended")
    }

    /// An error if it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.process.try_wait()? {
            Some(status) => anyhow::bail!("another process of the benchmark has ended: {status}"),
            None => Ok(()),
        }
    }
}

/// In the other process: runs until its input ends, as it does with the process that has started it.
pub(crate) async fn run(work: impl Future<Output = Result<()>>) -> ! {
    let ended = async { tokio::io::stdin().read_u8().await };
    let outcome = tokio::select! {
        outcome = work => outcome,
        _ = ended => Ok(()),
    };
    if let Err(error) = &outcome {
        eprintln!("{error:#}");
    }
    // A return would wait for the thread that reads the input.
    std::process::exit(i32::from(outcome.is_err()))
}
