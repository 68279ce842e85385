//! A page, read into the steps that its reader does.

use crate::commands;
use crate::fault::Fault;
use crate::marks::{self, Mark};
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use std::ops::Range;

/// What the page's cluster holds before its first step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scene {
    /// The chart with two replicas, and emojivoto here and, as `emoji-svc-west`, there.
    #[default]
    Emojivoto,
    /// The chart with two replicas.
    Installed,
    /// The definitions of custom resources.
    Empty,
    /// The clusters east and west, of which east has the chart.
    Linked,
}

impl Scene {
    pub(crate) const ALL: [Self; 4] = [Self::Emojivoto, Self::Installed, Self::Empty, Self::Linked];

    /// As the mark has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Emojivoto => "emojivoto",
            Self::Installed => "installed",
            Self::Empty => "empty",
            Self::Linked => "linked",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scene| scene.name() == name)
    }
}

/// A page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// From the repository's root.
    pub path: String,
    /// Its cluster.
    pub scene: Scene,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// Blocks that are not run.
    pub left_out: Vec<LeftOut>,
}

impl Page {
    /// Whether anything of it needs a cluster.
    pub fn is_run(&self) -> bool {
        self.steps.iter().any(|step| !matches!(step.action, Action::Save { .. }))
    }
}

/// What is done at one place of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The line of the fence, or of the mark.
    pub line: usize,
    /// What is done.
    pub action: Action,
}

/// What a block asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Commands.
    Run(Commands),
    /// A file, for the steps after it.
    Save {
        /// Its name.
        name: String,
        /// What is in it.
        text: String,
    },
    /// Objects that the API server has to take.
    DryRun(String),
}

/// A block of commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// The commands.
    pub script: String,
    /// Whether the reader does not see them.
    pub hidden: bool,
    /// How they end.
    pub exit_status: i32,
    /// What they print, where the page shows it.
    pub output: Option<Shown>,
    /// Whether they may be repeated, because they only read.
    pub only_read: bool,
}

/// The output that a page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The line of its fence.
    pub line: usize,
    /// What is shown.
    pub text: String,
}

/// A block that is not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The line of its fence.
    pub line: usize,
    /// Its language.
    pub language: String,
    /// Why.
    pub reason: String,
}

/// Reads a page. What breaks a rule is a fault, and no step.
pub fn read(path: &str, text: &str) -> (Page, Vec<Fault>) {
    let mut reader = Reader {
        path,
        page: Page { path: path.into(), ..Page::default() },
        faults: vec![],
        pending: Pending::default(),
        before: Before::Other,
        scene: None,
    };
    for (at, piece) in pieces(text) {
        reader.piece(line_of(text, at), piece);
    }
    reader.forget_pending();
    reader.faults.sort();
    (reader.page, reader.faults)
}

pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The extensions that GitHub and mdBook both read.
pub(crate) fn markdown() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_GFM
}

/// What a page consists of, for its runner.
enum Piece {
    Fence { language: String, text: String },
    Indented,
    Comment(String),
    Other,
}

fn pieces(text: &str) -> Vec<(usize, Piece)> {
    let mut pieces = vec![];
    let mut events = Parser::new_ext(text, markdown()).into_offset_iter();
    while let Some((event, range)) = events.next() {
        let piece = match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                let text = text_until_end(&mut events);
                match kind {
                    CodeBlockKind::Fenced(language) => {
                        Piece::Fence { language: language.trim().into(), text }
                    }
                    CodeBlockKind::Indented => Piece::Indented,
                }
            }
            Event::Start(Tag::HtmlBlock) => Piece::Comment(text_until_end(&mut events)),
            // Of containers only what is in them is between blocks.
            Event::Start(Tag::Paragraph | Tag::Heading { .. } | Tag::Table(_))
            | Event::Rule
            | Event::Text(_) => Piece::Other,
            _ => continue,
        };
        pieces.push((range.start, piece));
    }
    pieces
}

fn text_until_end<'a>(events: &mut impl Iterator<Item = (Event<'a>, Range<usize>)>) -> String {
    let mut text = String::new();
    for (event, _) in events {
        match event {
            Event::Text(part) | Event::Html(part) => text.push_str(&part),
            Event::End(TagEnd::CodeBlock | TagEnd::HtmlBlock) => break,
            _ => {}
        }
    }
    text
}

/// Marks that wait for their block.
#[derive(Default)]
struct Pending {
    not_run: Option<(usize, String)>,
    exit_status: Option<(usize, i32)>,
}

/// What stood before a block.
enum Before {
    Run,
    LeftOut,
    Other,
}

struct Reader<'a> {
    path: &'a str,
    page: Page,
    faults: Vec<Fault>,
    pending: Pending,
    before: Before,
    scene: Option<usize>,
}

impl Reader<'_> {
    fn fault(&mut self, line: usize, what: impl Into<String>) {
        self.faults.push(Fault::new(self.path, line, what));
    }

    fn piece(&mut self, line: usize, piece: Piece) {
        match piece {
            Piece::Comment(text) => match marks::read(&text) {
                None => {}
                Some(Ok(mark)) => self.mark(line, mark),
                Some(Err(what)) => self.fault(line, what),
            },
            Piece::Fence { language, text } => self.fence(line, &language, text),
            Piece::Indented => {
                self.forget_pending();
                self.fault(line, "a code block by indentation: use a fence, with its language");
                self.before = Before::Other;
            }
            Piece::Other => {
                self.forget_pending();
                self.before = Before::Other;
            }
        }
    }

    fn mark(&mut self, line: usize, mark: Mark) {
        match mark {
            Mark::NotRun(reason) => self.pending.not_run = Some((line, reason)),
            Mark::ExitStatus(status) => self.pending.exit_status = Some((line, status)),
            Mark::Run(script) => {
                self.forget_pending();
                let commands = Commands { script, hidden: true, ..Commands::default() };
                self.page.steps.push(Step { line, action: Action::Run(commands) });
                self.before = Before::Other;
            }
            Mark::Cluster(scene) => {
                if let Some(first) = self.scene.replace(line) {
                    self.fault(
                        line,
                        format!(
                            "`cluster:` stands in line {first} already: a page has one cluster"
                        ),
                    );
                } else if !self.page.steps.is_empty() {
                    self.fault(
                        line,
                        "`cluster:` comes after a block: put it near the top of the page",
                    );
                }
                self.page.scene = scene;
            }
        }
    }

    /// A mark that no block follows is forgotten, and said.
    fn forget_pending(&mut self) {
        let Pending { not_run, exit_status } = std::mem::take(&mut self.pending);
        for line in
            not_run.map(|(line, _)| line).into_iter().chain(exit_status.map(|(line, _)| line))
        {
            self.fault(line, "no block follows this mark: put it on the line before its fence");
        }
    }

    fn fence(&mut self, line: usize, language: &str, text: String) {
        let Pending { not_run, exit_status } = std::mem::take(&mut self.pending);
        let before = std::mem::replace(&mut self.before, Before::Other);
        if let Some((line, _)) =
            exit_status.as_ref().filter(|_| language != "sh" || not_run.is_some())
        {
            self.fault(*line, "`exit status` is a mark of a ```sh block that is run");
        }
        match language {
            "sh" | "yaml" if not_run.is_some() => {
                let (_, reason) = not_run.unwrap_or_default();
                self.page.left_out.push(LeftOut { line, language: language.into(), reason });
                if language == "sh" {
                    self.before = Before::LeftOut;
                }
                return;
            }
            "sh" => {
                self.commands(line, text, exit_status.map_or(0, |(_, status)| status));
                self.before = Before::Run;
            }
            "output" => self.output(line, text, before),
            "yaml" => self.yaml(line, text),
            "console" | "bash" | "shell" | "zsh" => self.fault(
                line,
                format!("a ```{language} block: write ```sh, the commands without a prompt, and what they print as ```output after it"),
            ),
            "" => self.fault(line, "a block without a language: sh, output, yaml, json, text, …"),
            _ => {}
        }
        if let Some((line, _)) = not_run {
            self.fault(line, format!("`not run` is a mark of ```sh and ```yaml blocks; a ```{language} block is not run anyway"));
        }
    }

    fn commands(&mut self, line: usize, script: String, exit_status: i32) {
        if let Some(at) = script.lines().position(|line| line.starts_with("$ ")) {
            self.fault(line + 1 + at, "a prompt: write the command alone, to be pasted");
        }
        if script.trim().is_empty() {
            self.fault(line, "a block without commands");
        }
        let only_read = commands::only_read(&script);
        let commands = Commands { script, exit_status, only_read, ..Commands::default() };
        self.page.steps.push(Step { line, action: Action::Run(commands) });
    }

    fn output(&mut self, line: usize, text: String, before: Before) {
        match before {
            Before::LeftOut => {}
            Before::Other => {
                self.fault(line, "an ```output block that follows no ```sh block: put it directly after its commands");
            }
            Before::Run => {
                if let Some(Step { action: Action::Run(commands), .. }) = self.page.steps.last_mut()
                {
                    commands.output = Some(Shown { line, text });
                }
            }
        }
    }

    fn yaml(&mut self, line: usize, text: String) {
        let action = match file_name(&text) {
            Some(name) => Action::Save { name: name.into(), text },
            None if is_object(&text) => Action::DryRun(text),
            None => return,
        };
        self.page.steps.push(Step { line, action });
    }
}

/// The name that the first line gives: `# emoji.yaml`.
fn file_name(text: &str) -> Option<&str> {
    let name = text.lines().next()?.strip_prefix("# ")?.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_file = name.ends_with(".yaml") || name.ends_with(".yml");
    (is_file && name.chars().all(plain)).then_some(name)
}

/// Whether every document is an object, and no fragment of one.
fn is_object(text: &str) -> bool {
    text.split("\n---\n").all(|document| {
        ["apiVersion:", "kind:"]
            .iter()
            .all(|field| document.lines().any(|line| line.starts_with(field)))
    })
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
