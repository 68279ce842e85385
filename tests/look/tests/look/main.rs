//! The book in headless Chromium, where there is one.

mod book;
mod chromium;
mod faults;
