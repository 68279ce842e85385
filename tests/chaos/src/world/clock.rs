//! The wall clock of a replica, which a fault can move. Its monotonic clock is nobody's to move.

use anyhow::Context;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The library that is preloaded, where there is one: `clock/clock.c`.
pub(crate) const LIBRARY: Option<&str> = option_env!("CHAOS_CLOCK");

/// One replica's.
pub(crate) struct WallClock {
    path: PathBuf,
    file: File,
}

impl WallClock {
    /// One that is right, with its offset in a file.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("{}", path.display()))?;
        let clock = Self { path: path.to_owned(), file };
        clock.set_offset(0)?;
        Ok(clock)
    }

    /// What a process has to be started with for this to be its clock.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        LIBRARY
            .map(|library| {
                let offset = self.path.display().to_string();
                vec![
                    ("LD_PRELOAD".to_owned(), library.to_owned()),
                    ("CHAOS_CLOCK_OFFSET".to_owned(), offset),
                ]
            })
            .unwrap_or_default()
    }

    /// From now on it is so many seconds ahead of the machine's.
    pub(crate) fn set_offset(&self, seconds: i64) -> anyhow::Result<()> {
        // In place: the file is mapped, and never truncated.
        let written = self.file.write_all_at(&seconds.to_ne_bytes(), 0);
        written.with_context(|| format!("{}", self.path.display()))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::process::Command;
    use std::time::{SystemTime, UNIX_EPOCH};

    #[test]
    fn a_process_sees_the_offset_that_its_clock_has() -> anyhow::Result<()> {
        let folder = std::env::temp_dir().join(format!("chaos-clock-{}", std::process::id()));
        let clock = WallClock::create(&folder)?;
        for offset in [0, 86_400, -86_400] {
            clock.set_offset(offset)?;
            let output = Command::new("date").arg("+%s").envs(clock.environment()).output()?;
            let seen: i64 = String::from_utf8(output.stdout)?.trim().parse()?;
            let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
            assert!(
                (now - 3_600..=now + 1).contains(&(seen - offset)),
                "{seen} at {now}, {offset}"
            );
        }
        std::fs::remove_file(folder)?;
        Ok(())
    }
}
