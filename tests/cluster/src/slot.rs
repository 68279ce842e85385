//! Loopback addresses of a cluster's own.

use anyhow::Context;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};

/// How many /20 networks there are from 127.96.0.0 to 127.255.255.255.
const SLOTS: u16 = (256 - 96) * 16;
const FIRST_POD: u8 = 10;
/// Ports below those that Linux gives to outgoing connections: a connection to an address of
/// loopback begins at that very address, so that an ephemeral port can be taken at any moment.
const PORTS: std::ops::Range<u16> = 10_000..32_768;

/// A claim, machine-wide, on a /20 of loopback for Services and a /24 of
/// loopback for processes. It lasts until the last copy of its lock is closed;
/// supervised processes hold one each, so addresses are free again only when
/// their users are gone.
#[derive(Debug)]
pub struct Slot {
    index: u16,
    lock: File,
    next_port: AtomicU16,
}

impl Slot {
    fn new(index: u16, lock: File) -> Self {
        Self { index, lock, next_port: AtomicU16::new(PORTS.start) }
    }

    /// Claims the first slot that nobody has.
    pub fn claim() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir();
        for index in 0..SLOTS {
            let path = folder.join(format!("linkerd-failover-test-slot-{index}.lock"));
            let lock = match open(&path) {
                Ok(lock) => lock,
                // Another user's, who keeps it unreadable: theirs.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => continue,
                Err(error) => {
                    return Err(error).with_context(|| {
                        format!(
                            "cannot open {}; is the folder for temporary files writable?",
                            path.display()
                        )
                    });
                }
            };
            match lock.try_lock() {
                Ok(()) => return Ok(Self::new(index, lock)),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", path.display()));
                }
            }
        }
        anyhow::bail!("all {SLOTS} slots for test clusters are taken; stop some clusters")
    }

    /// The range ClusterIPs are given from: loopback, so they can be listened on.
    pub fn service_range(&self) -> String {
        format!("{}/20", self.service_address(0))
    }

    /// The ClusterIP of the Service `kubernetes`: the first of the range.
    pub fn kubernetes_service(&self) -> Ipv4Addr {
        self.service_address(1)
    }

    /// Where this cluster's own processes listen.
    pub fn address(&self) -> Ipv4Addr {
        self.own_address(1)
    }

    /// What stands in for the pod address of the `n`th local replica.
    pub fn pod_address(&self, n: usize) -> anyhow::Result<Ipv4Addr> {
        let last = u8::try_from(n)
            .ok()
            .and_then(|n| n.checked_add(FIRST_POD))
            .context("a slot has addresses for 245 replicas at most")?;
        Ok(self.own_address(last))
    }

    /// A port of [`Self::address`] that nobody listens on; each is given once.
    pub fn free_port(&self) -> anyhow::Result<u16> {
        loop {
            let port = self.next_port.fetch_add(1, Ordering::Relaxed);
            anyhow::ensure!(
                PORTS.contains(&port),
                "no port of {} is free below {}",
                self.address(),
                PORTS.end
            );
            let address = SocketAddr::from((self.address(), port));
            match TcpListener::bind(address) {
                Ok(_) => return Ok(port),
                // Somebody listens on it at every address.
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => {
                    return Err(error).with_context(|| {
                        format!("cannot listen on {address}: is this Linux, with loopback up?")
                    });
                }
            }
        }
    }

    /// Another hold on the claim, for a process that uses its addresses.
    pub(crate) fn hold(&self) -> anyhow::Result<File> {
        self.lock.try_clone().context("cannot copy the slot's lock: too many open files?")
    }

    fn service_address(&self, last: u8) -> Ipv4Addr {
        let [second, third] = ((96 << 8) + (self.index << 4)).to_be_bytes();
        Ipv4Addr::new(127, second, third, last)
    }

    fn own_address(&self, last: u8) -> Ipv4Addr {
        let [high, low] = self.index.to_be_bytes();
        Ipv4Addr::new(127, 32 + high, low, last)
    }
}

/// Opens for reading only: that is enough for a lock, and lets several users
/// share the files. They are never removed: removing a lock file that another
/// process has just opened would let two hold the same slot.
fn open(path: &Path) -> std::io::Result<File> {
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        other => return other,
    }
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(index: u16) -> Slot {
        Slot::new(index, File::open("/dev/null").expect("open"))
    }

    #[test]
    fn slots_do_not_overlap() {
        assert_eq!(slot(0).service_range(), "127.96.0.0/20");
        assert_eq!(slot(17).service_range(), "127.97.16.0/20");
        assert_eq!(slot(SLOTS - 1).service_range(), "127.255.240.0/20");
        assert_eq!(slot(0).address(), Ipv4Addr::new(127, 32, 0, 1));
        assert_eq!(slot(SLOTS - 1).address(), Ipv4Addr::new(127, 41, 255, 1));
    }

    #[test]
    fn a_port_is_given_once_and_is_none_that_an_outgoing_connection_could_take() {
        let slot = Slot::claim().expect("claim");
        let (one, other) = (slot.free_port().expect("one"), slot.free_port().expect("other"));
        assert_ne!(one, other);
        assert!(PORTS.contains(&one) && PORTS.contains(&other));
    }

    #[test]
    fn two_claims_differ() {
        let (one, other) = (Slot::claim().expect("one"), Slot::claim().expect("other"));
        assert_ne!(one.index, other.index);
    }
}
