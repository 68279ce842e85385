//! How the book of the documentation looks in headless Chromium.
//!
//! - [`Browser`] is Chromium, spoken to over its DevTools protocol: `--remote-debugging-pipe`, JSON on two pipes. That
//!   is a hundred lines here. A crate for that protocol has all of it as types, which take longer to
//!   compile than all else of this crate together; `--dump-dom` has no phone's width and no console.
//! - [`serve`] serves a folder on loopback, as the site would.
//! - [`View`] and [`Seen`]: a page at a width in a theme, and what a script in it has found.
//! - [`Report`]: what is wrong on all pages, and how much was looked at.

mod browser;
mod report;
mod server;
mod view;

pub use browser::{Browser, chromium};
pub use report::Report;
pub use server::{pages, serve};
pub use view::{Drawn, Seen, Theme, VIEWS, View};
