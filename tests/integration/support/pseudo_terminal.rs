//! A pseudo-terminal, for a program that draws.

use anyhow::Result;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

/// Its side of the user, with all that has been written to it.
pub(crate) struct PseudoTerminal {
    user: OwnedFd,
    /// The side of the program.
    program: File,
    written: Arc<Mutex<Vec<u8>>>,
}

impl PseudoTerminal {
    pub(crate) fn open(columns: u16, lines: u16) -> Result<Self> {
        let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&user)?;
        unlockpt(&user)?;
        let name = ptsname(&user, vec![])?;
        let program = OpenOptions::new().read(true).write(true).open(name.to_str()?)?;
        let written = Arc::new(Mutex::new(vec![]));
        let (mut reader, read) = (File::from(user.try_clone()?), written.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                read.lock().unwrap_or_else(PoisonError::into_inner).extend(&buffer[..n]);
            }
        });
        let terminal = Self { user, program, written };
        terminal.resize(columns, lines)?;
        Ok(terminal)
    }

    /// What a program is started with as standard output.
    pub(crate) fn stdout(&self) -> Result<File> {
        Ok(self.program.try_clone()?)
    }

    /// Changes its size; who draws on it is told so by a signal.
    pub(crate) fn resize(&self, columns: u16, lines: u16) -> Result<()> {
        let size = Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        Ok(tcsetwinsize(&self.user, size)?)
    }

    /// All that has been written to it.
    pub(crate) fn text(&self) -> String {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&written).into_owned()
    }
}
