//! The platforms that a release has executables for.

use std::fmt;

/// An operating system and an architecture, by the names that images and `uname` users know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Platform {
    /// `linux` or `darwin`.
    pub os: &'static str,
    /// `amd64` or `arm64`.
    pub arch: &'static str,
}

/// All of them. Images are for those of Linux.
pub const ALL: [Platform; 4] = [
    Platform { os: "linux", arch: "amd64" },
    Platform { os: "linux", arch: "arm64" },
    Platform { os: "darwin", arch: "amd64" },
    Platform { os: "darwin", arch: "arm64" },
];

impl Platform {
    /// That of this machine, if a release has it.
    pub fn here() -> Option<Self> {
        let os = if cfg!(target_os = "macos") { "darwin" } else { std::env::consts::OS };
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        ALL.into_iter().find(|platform| platform.os == os && platform.arch == arch)
    }

    /// Whether an image is made for it.
    pub fn has_image(self) -> bool {
        self.os == "linux"
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.os, self.arch)
    }
}
