use super::*;
use crate::client::plain_client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// An API server without TLS, which answers its version.
async fn api_server() -> Uri {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let version = r#"{"major":"1","minor":"34","gitVersion":"v1.34.0","gitCommit":"","gitTreeState":"","buildDate":"","goVersion":"","compiler":"","platform":""}"#;
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{version}", version.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    format!("http://{address}").parse().unwrap()
}

/// A proxy that accepts one connection, reads its target, and forwards it to the API server. Returns its
/// address and the target.
async fn proxy<F>(to: &Uri, open: impl FnOnce(TcpStream) -> F + Send + 'static) -> (String, Target)
where
    F: Future<Output = (TcpStream, String)> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let to = to.authority().unwrap().to_string();
    let target = tokio::spawn(async move {
        let (mut stream, requested) = open(listener.accept().await.unwrap().0).await;
        tokio::spawn(async move {
            let mut upstream = TcpStream::connect(to).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut upstream).await;
        });
        requested
    });
    (address.to_string(), target)
}

type Target = tokio::task::JoinHandle<String>;

async fn connect_proxy(mut stream: TcpStream) -> (TcpStream, String) {
    let mut request = vec![];
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    (stream, String::from_utf8(request).unwrap())
}

async fn socks_proxy(mut stream: TcpStream) -> (TcpStream, String) {
    let mut hello = [0; 2];
    stream.read_exact(&mut hello).await.unwrap();
    stream.read_exact(&mut vec![0; hello[1].into()]).await.unwrap();
    stream.write_all(&[5, 0]).await.unwrap();
    let mut head = [0; 5];
    stream.read_exact(&mut head).await.unwrap();
    let mut name = vec![0; head[4].into()];
    stream.read_exact(&mut name).await.unwrap();
    let port = stream.read_u16().await.unwrap();
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
    (stream, format!("{}:{port}", String::from_utf8(name).unwrap()))
}

/// The version of an API server whose name only a proxy resolves.
async fn version_through(proxy: String) -> kube::Result<String> {
    let mut config = Config::new("http://api.west.invalid:6443".parse().unwrap());
    config.proxy_url = Some(proxy.parse().unwrap());
    let version = plain_client::connect(config).unwrap().apiserver_version().await?;
    Ok(version.git_version)
}

#[tokio::test]
async fn an_api_server_is_reached_through_a_tunnel_whose_proxy_resolves_its_name() {
    let server = api_server().await;
    let (address, target) = proxy(&server, connect_proxy).await;
    assert_eq!(
        version_through(format!("http://ana:p%40ss%3A@{address}")).await.unwrap(),
        "v1.34.0"
    );
    let request = target.await.unwrap();
    assert!(request.starts_with("CONNECT api.west.invalid:6443 HTTP/1.1\r\n"), "{request}");
    let login = BASE64_STANDARD.encode("ana:p@ss:");
    assert!(request.contains(&format!("roxy-Authorization: Basic {login}\r\n")), "{request}");
}

#[tokio::test]
async fn an_api_server_is_reached_through_a_socks_proxy_which_resolves_its_name() {
    for scheme in ["socks5", "socks5h"] {
        let server = api_server().await;
        let (address, target) = proxy(&server, socks_proxy).await;
        assert_eq!(version_through(format!("{scheme}://{address}")).await.unwrap(), "v1.34.0");
        assert_eq!(target.await.unwrap(), "api.west.invalid:6443");
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_is_an_error_and_is_not_bypassed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
    });
    let error = version_through(format!("http://{address}")).await.unwrap_err();
    assert!(format!("{error:?}").contains("ProxyAuthRequired"), "{error:?}");
}

#[test]
fn the_escapes_of_a_login_are_decoded() {
    for (url, expected) in [
        ("http://proxy:3128", None),
        ("http://ana@proxy", Some(("ana", ""))),
        ("http://ana:b:c@proxy", Some(("ana", "b:c"))),
        ("http://a%40b:%2F%zz%4@proxy", Some(("a@b", "/%zz%4"))),
    ] {
        let expected = expected.map(|(user, password): (&str, &str)| {
            (user.as_bytes().to_vec(), password.as_bytes().to_vec())
        });
        assert_eq!(login(&url.parse().unwrap()), expected, "{url}");
    }
    assert_eq!(decoded("%C3%A9%ff"), b"\xC3\xA9\xFF");
    assert_eq!(with_port(&"socks5://p".parse().unwrap(), 1080).unwrap().port_u16(), Some(1080));
    assert_eq!(with_port(&"socks5://p:9".parse().unwrap(), 1080).unwrap().port_u16(), Some(9));
}
