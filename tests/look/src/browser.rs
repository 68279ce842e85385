//! Chromium, by its DevTools protocol.

use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A page takes a second; on a machine that does much else, a minute.
const PATIENCE: Duration = Duration::from_secs(300);

/// It takes commands on descriptor 3 and answers on 4: those are our pipes.
const LAUNCH: &str = r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#;

/// As root, without a network, and without anything that is kept.
const FLAGS: [&str; 10] = [
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// The browser, if this machine has one: `$CHROMIUM`, or one of its names on `PATH`.
pub fn chromium() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|program| program.is_file())
}

/// A running browser with one page. It ends with this.
#[derive(Debug)]
pub struct Browser {
    _child: Child,
    _profile: tempfile::TempDir,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    page: String,
    last: u64,
    /// What the page has reported since the last navigation.
    reported: Vec<Value>,
}

impl Browser {
    /// Starts it with a profile of its own.
    pub async fn start(program: &Path) -> anyhow::Result<Self> {
        let profile = tempfile::tempdir()?;
        let mut child = Command::new("/bin/sh")
            .args(["-c", LAUNCH])
            .arg(program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let commands = child.stdin.take().context("no pipe for commands")?;
        let answers = BufReader::new(child.stdout.take().context("no pipe for answers")?);
        let mut browser = Self {
            _child: child,
            _profile: profile,
            commands,
            answers,
            page: String::new(),
            last: 0,
            reported: Vec::new(),
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"})).await?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", attach).await?;
        browser.page = session["sessionId"].as_str().context("no session")?.to_owned();
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.call(domain, json!({})).await?;
        }
        Ok(browser)
    }

    /// Calls a method of the protocol, in the page once there is one.
    pub async fn call(&mut self, method: &str, params: Value) -> anyhow::Result<Value> {
        self.last += 1;
        let id = self.last;
        let mut command = json!({"id": id, "method": method, "params": params});
        if !self.page.is_empty() {
            command["sessionId"] = json!(self.page);
        }
        let mut bytes = serde_json::to_vec(&command)?;
        bytes.push(0);
        self.commands
            .write_all(&bytes)
            .await
            .with_context(|| format!("{method}: the browser is gone"))?;
        let answer = loop {
            let message = self.next().await.with_context(|| method.to_owned())?;
            if message["id"] == id {
                break message;
            }
        };
        if let Some(error) = answer.get("error") {
            bail!("{method}: {error}");
        }
        Ok(answer["result"].clone())
    }

    /// Opens an address and waits until it is loaded.
    pub async fn open(&mut self, url: &str) -> anyhow::Result<()> {
        self.reported.clear();
        self.call("Page.navigate", json!({"url": url})).await?;
        while !self.reported.iter().any(|event| event["method"] == "Page.loadEventFired") {
            self.next().await.with_context(|| format!("{url} is not loaded"))?;
        }
        Ok(())
    }

    /// The value of an expression in the page, awaited where it is a promise.
    pub async fn evaluate(&mut self, expression: &str) -> anyhow::Result<Value> {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", params).await?;
        if let Some(exception) = answer.get("exceptionDetails") {
            bail!("the page's script failed: {exception}");
        }
        Ok(answer["result"]["value"].clone())
    }

    /// Errors that the page has reported since it was opened: of scripts, of the console, of what could not be loaded.
    pub fn errors(&self) -> Vec<String> {
        let of = |event: &Value| match event["method"].as_str()? {
            "Runtime.exceptionThrown" => {
                Some(event["params"]["exceptionDetails"]["exception"]["description"].to_string())
            }
            "Runtime.consoleAPICalled" if event["params"]["type"] == "error" => {
                Some(event["params"]["args"].to_string())
            }
            "Log.entryAdded" if event["params"]["entry"]["level"] == "error" => {
                let entry = &event["params"]["entry"];
                Some(format!("{} {}", entry["text"], entry["url"]))
            }
            _ => None,
        };
        self.reported.iter().filter_map(of).collect()
    }

    async fn next(&mut self) -> anyhow::Result<Value> {
        let mut bytes = Vec::new();
        let read = self.answers.read_until(0, &mut bytes);
        tokio::time::timeout(PATIENCE, read).await.context("the browser does not answer")??;
        if bytes.pop() != Some(0) {
            bail!("the browser has ended");
        }
        let message: Value = serde_json::from_slice(&bytes)?;
        if message.get("method").is_some() {
            self.reported.push(message.clone());
        }
        Ok(message)
    }
}
