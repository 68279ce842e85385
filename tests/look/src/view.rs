//! A page at a width in a theme, and what is seen of it.

use crate::browser::Browser;
use anyhow::{Context, ensure};
use base64::Engine;
use serde::Deserialize;
use serde_json::json;
use std::path::Path;

/// Finds what is wrong, in the page.
const SCRIPT: &str = include_str!("look.js");

/// Pages are long; what is below is looked at by the script all the same.
const HIGHEST: f64 = 6_000.0;

/// A theme of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// mdBook's `light`.
    Light,
    /// mdBook's `navy`, for those who prefer dark.
    Dark,
}

impl Theme {
    fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "navy",
        }
    }

    fn preferred(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// Of the window, in pixels of the style sheet.
    pub width: u32,
    /// Likewise.
    pub height: u32,
    /// The theme.
    pub theme: Theme,
}

/// A desktop and a phone, light and dark.
pub const VIEWS: [View; 4] = [
    View { width: 1280, height: 900, theme: Theme::Light },
    View { width: 1280, height: 900, theme: Theme::Dark },
    View { width: 360, height: 780, theme: Theme::Light },
    View { width: 360, height: 780, theme: Theme::Dark },
];

/// What the script has found.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Seen {
    /// The theme that the page has.
    pub theme: String,
    /// What reaches beyond the window and cannot be scrolled to.
    pub overflow: Vec<String>,
    /// Texts whose contrast was computed.
    pub texts: usize,
    /// Different pairs of a colour and what is behind it.
    pub pairs: Vec<String>,
    /// Texts with too little contrast.
    pub faint: Vec<String>,
    /// Images without an alternative, or that were not loaded.
    pub images: Vec<String>,
    /// How many pictures there are.
    pub pictures: usize,
    /// Every address that it refers to.
    pub links: Vec<String>,
    /// Every anchor that it has.
    pub anchors: Vec<String>,
}

/// What is found of a picture that is drawn as wide as a phone shows it.
#[derive(Clone, Debug, Deserialize)]
pub struct Drawn {
    /// The height of its smallest text.
    pub smallest: f64,
    /// Texts that reach out of the picture, or into one another.
    pub faults: Vec<String>,
}

impl View {
    /// The name of its screenshots: `1280-light`.
    pub fn name(self) -> String {
        format!("{}-{}", self.width, self.theme.name())
    }

    /// Prepares the browser for it; for all pages that are opened afterwards.
    pub async fn prepare(self, browser: &mut Browser) -> anyhow::Result<()> {
        let Self { width, height, theme } = self;
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        browser.call("Emulation.setDeviceMetricsOverride", metrics).await?;
        let feature = json!([{"name": "prefers-color-scheme", "value": theme.preferred()}]);
        browser.call("Emulation.setEmulatedMedia", json!({"features": feature})).await?;
        Ok(())
    }

    /// Opens a page and looks at it.
    pub async fn look(self, browser: &mut Browser, url: &str) -> anyhow::Result<Seen> {
        browser.open(url).await?;
        let seen = browser.evaluate(&format!("{SCRIPT}; look()")).await?;
        let seen: Seen = serde_json::from_value(seen).with_context(|| url.to_owned())?;
        ensure!(
            seen.theme == self.theme.name(),
            "{url} has the theme {}, not {}",
            seen.theme,
            self.theme.name()
        );
        Ok(seen)
    }

    /// Takes a picture of the page that is open.
    pub async fn screenshot(self, browser: &mut Browser, file: &Path) -> anyhow::Result<()> {
        let metrics = browser.call("Page.getLayoutMetrics", json!({})).await?;
        let height =
            metrics["cssContentSize"]["height"].as_f64().unwrap_or_default().clamp(1.0, HIGHEST);
        let clip = json!({"x": 0, "y": 0, "width": self.width, "height": height, "scale": 1});
        let params = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let shot = browser.call("Page.captureScreenshot", params).await?;
        let data = shot["data"].as_str().context("no picture")?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(data)?;
        std::fs::write(file, bytes).with_context(|| file.display().to_string())
    }
}

impl Drawn {
    /// Draws an SVG that the open page's server has, so many pixels wide.
    pub async fn at(browser: &mut Browser, url: &str, width: u32) -> anyhow::Result<Self> {
        let drawn = browser.evaluate(&format!("{SCRIPT}; draw({url:?}, {width})")).await?;
        serde_json::from_value(drawn).with_context(|| url.to_owned())
    }
}
