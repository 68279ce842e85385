//! Listening on every address of both families.

use anyhow::Context;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::TcpListener;

/// Connections that are not accepted yet.
const BACKLOG: i32 = 1024;

/// Listens on an address. `0.0.0.0` and `[::]` both mean every address of IPv4 and of IPv6, as far as the
/// node has them: a kubelet, an API server or a Prometheus may connect by either.
pub(crate) async fn listen(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    let listener = match address.ip().is_unspecified() {
        true => everywhere(address.port(), both_families).await,
        false => TcpListener::bind(address).await,
    };
    listener.with_context(|| format!("cannot listen on {flag} {address}"))
}

async fn everywhere(
    port: u16,
    both: impl Fn(u16) -> io::Result<TcpListener>,
) -> io::Result<TcpListener> {
    match both(port) {
        Ok(listener) => Ok(listener),
        Err(error) => {
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
            tracing::info!(%error, port, "IPv6 is not available: listening on IPv4 alone");
            Ok(listener)
        }
    }
}

/// One socket of IPv6 that accepts IPv4 too, whatever the default of the node is.
fn both_families(port: u16) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_only_v6(false)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;
    use tokio::net::TcpStream;

    async fn reached(listener: &TcpListener, from: IpAddr) -> bool {
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect((from, port)).await.is_ok()
    }

    #[tokio::test]
    async fn every_address_is_that_of_both_families_where_the_node_has_both() {
        let has_ipv6 = std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
        for address in ["0.0.0.0:0", "[::]:0"] {
            let listener = listen(address.parse().unwrap(), "--addr").await.unwrap();
            assert!(reached(&listener, Ipv4Addr::LOCALHOST.into()).await, "{address}");
            assert_eq!(reached(&listener, Ipv6Addr::LOCALHOST.into()).await, has_ipv6, "{address}");
        }
    }

    #[tokio::test]
    async fn where_there_is_no_ipv6_ipv4_is_listened_on() {
        let none = |_| Err(io::Error::from(io::ErrorKind::Unsupported));
        let listener = everywhere(0, none).await.unwrap();
        assert!(listener.local_addr().unwrap().is_ipv4());
        assert!(reached(&listener, Ipv4Addr::LOCALHOST.into()).await);
    }

    #[tokio::test]
    async fn one_address_is_that_alone_and_a_port_that_is_taken_is_named() {
        let one = listen("127.0.0.1:0".parse().unwrap(), "--addr").await.unwrap();
        let taken = one.local_addr().unwrap();
        assert_eq!(taken.ip(), IpAddr::from(Ipv4Addr::LOCALHOST));
        let error = listen(taken, "--admin-addr").await.unwrap_err().to_string();
        assert_eq!(error, format!("cannot listen on --admin-addr {taken}"));
    }
}
