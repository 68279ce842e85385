//! Which proxy is used for an API server, by the rules of kubectl: the `proxy-url` of a kubeconfig, else
//! that of the environment, read as Go reads it.

use anyhow::{Context, bail, ensure};
use http::Uri;
use std::net::IpAddr;

const SCHEMES: [&str; 4] = ["http", "https", "socks5", "socks5h"];

/// The proxy for a server, if there is any. `proxy_url` is the kubeconfig's, to which no exception applies.
pub(crate) fn proxy_for(
    server: &Uri,
    proxy_url: Option<&str>,
    env: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<Option<Uri>> {
    if let Some(url) = proxy_url.filter(|url| !url.is_empty()) {
        return parse(url).context("the kubeconfig's proxy-url").map(Some);
    }
    let any = |names: [&'static str; 2]| {
        let mut set = names.into_iter().filter_map(|name| Some((name, env(name)?)));
        set.find(|(_, value)| !value.is_empty())
    };
    let is_plain = server.scheme_str() == Some("http");
    let names =
        if is_plain { ["HTTP_PROXY", "http_proxy"] } else { ["HTTPS_PROXY", "https_proxy"] };
    let Some((name, proxy)) = any(names) else { return Ok(None) };
    let no_proxy = any(["NO_PROXY", "no_proxy"]).map(|(_, value)| value).unwrap_or_default();
    let host = server.host().unwrap_or_default();
    let port = server.port_u16().unwrap_or(if is_plain { 80 } else { 443 });
    if is_local(host) || is_excepted(&no_proxy, host, port) {
        return Ok(None);
    }
    // The environment may omit the scheme.
    let url = if proxy.contains("://") { proxy } else { format!("http://{proxy}") };
    parse(&url).context(name).map(Some)
}

/// Its errors do not quote the URL, which may have a password.
fn parse(url: &str) -> anyhow::Result<Uri> {
    let expected = "expected http://host:port, https://, or socks5://";
    let Ok(uri) = url.parse::<Uri>() else { bail!("found no URL, {expected}") };
    match uri.scheme_str() {
        Some(scheme) if SCHEMES.contains(&scheme) => {}
        Some(scheme) => bail!("found the scheme {scheme:?}, {expected}"),
        None => bail!("found no scheme, {expected}"),
    }
    ensure!(uri.host().is_some_and(|host| !host.is_empty()), "found no host, {expected}");
    Ok(uri)
}

/// Whether a host is the machine itself, for which the environment's proxies are not used.
fn is_local(host: &str) -> bool {
    host == "localhost" || address(host).is_some_and(|ip| ip.to_canonical().is_loopback())
}

fn address(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// Whether a list as in NO_PROXY has a server: `*`, addresses, CIDRs, and domains with their subdomains;
/// `.domain` and `*.domain` are the subdomains only. A port may follow.
fn is_excepted(no_proxy: &str, host: &str, port: u16) -> bool {
    let host = host.to_ascii_lowercase();
    let ip = address(&host).map(|ip| ip.to_canonical());
    let entries = no_proxy.split(',').map(|entry| entry.trim().to_ascii_lowercase());
    entries.filter(|entry| !entry.is_empty()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let Some((net, bits)) = network(&entry) {
            return ip.is_some_and(|ip| is_within(ip, net, bits));
        }
        let (name, of_port) = split_port(&entry);
        let is_port = of_port.is_empty() || of_port == port.to_string();
        is_port
            && match (address(name), ip) {
                (Some(named), ip) => ip == Some(named.to_canonical()),
                (None, Some(_)) => false,
                (None, None) => is_of_domain(&host, name),
            }
    })
}

fn is_of_domain(host: &str, name: &str) -> bool {
    let below = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
    match below.strip_prefix('.') {
        Some(_) => host.ends_with(below),
        None => !name.is_empty() && host.strip_suffix(name).is_some_and(is_label_boundary),
    }
}

fn is_label_boundary(before: &str) -> bool {
    before.is_empty() || before.ends_with('.')
}

/// `host:port`; an IPv6 address without brackets has no port.
fn split_port(entry: &str) -> (&str, &str) {
    match entry.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port),
        _ => (entry, ""),
    }
}

fn network(entry: &str) -> Option<(IpAddr, u32)> {
    let (net, bits) = entry.split_once('/')?;
    let (net, bits): (IpAddr, u32) = (net.parse().ok()?, bits.parse().ok()?);
    (bits <= if net.is_ipv4() { 32 } else { 128 }).then_some((net, bits))
}

fn is_within(ip: IpAddr, net: IpAddr, bits: u32) -> bool {
    let (ip, net, width) = match (ip, net) {
        (IpAddr::V4(ip), IpAddr::V4(net)) => (ip.to_bits().into(), net.to_bits().into(), 32),
        (IpAddr::V6(ip), IpAddr::V6(net)) => (ip.to_bits(), net.to_bits(), 128),
        _ => return false,
    };
    let rest: u32 = width - bits;
    u128::checked_shr(ip ^ net, rest).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(server: &str, proxy_url: Option<&str>, env: &[(&str, &str)]) -> anyhow::Result<String> {
        let env = |name: &str| {
            let found = env.iter().find(|(there, _)| *there == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let proxy = proxy_for(&server.parse()?, proxy_url, env)?;
        Ok(proxy.map(|proxy| proxy.to_string()).unwrap_or_default())
    }

    #[test]
    fn the_kubeconfigs_proxy_has_precedence_and_no_exceptions() {
        let env = [("HTTPS_PROXY", "http://env:1"), ("NO_PROXY", "*")];
        let own = of("https://api.example:6443", Some("socks5://own:2"), &env).unwrap();
        assert_eq!(own, "socks5://own:2/");
        let local = of("https://127.0.0.1:6443", Some("http://own:2"), &[]).unwrap();
        assert_eq!(local, "http://own:2/");
        assert_eq!(of("https://api.example:6443", Some(""), &env).unwrap(), "");
    }

    #[test]
    fn the_environments_proxy_is_by_the_servers_scheme_and_never_for_the_machine_itself() {
        let https = [
            ("HTTPS_PROXY", ""),
            ("https_proxy", "http://low:1"),
            ("HTTP_PROXY", "http://plain:1"),
        ];
        for (server, env, expected) in [
            ("https://api.example", &https[..], "http://low:1/"),
            ("https://192.0.2.1:6443", &https, "http://low:1/"),
            ("http://api.example", &https, "http://plain:1/"),
            ("http://api.example", &https[..2], ""),
            ("https://api.example", &[], ""),
            ("https://localhost:6443", &https, ""),
            ("https://127.0.53.1:6443", &https, ""),
            ("https://[::1]:6443", &https, ""),
            (
                "https://api.example",
                &[("HTTPS_PROXY", "proxy.corp:3128")],
                "http://proxy.corp:3128/",
            ),
            ("https://api.example", &[("HTTPS_PROXY", "socks5h://p:1080")], "socks5h://p:1080/"),
            (
                "https://api.example",
                &[("HTTPS_PROXY", "https://ana:p%40ss@p")],
                "https://ana:p%40ss@p/",
            ),
            ("https://api.example", &[("ALL_PROXY", "http://all:1")], ""),
        ] {
            assert_eq!(of(server, None, env).unwrap(), expected, "{server} {env:?}");
        }
    }

    #[test]
    fn no_proxy_is_read_as_go_reads_it() {
        for (no_proxy, server, excepted) in [
            ("*", "api.example", true),
            ("a,*,b", "api.example", true),
            ("api.example", "api.example", true),
            ("API.Example", "api.EXAMPLE", true),
            ("example", "api.example", true),
            ("example", "apiexample", false),
            ("xample", "api.example", false),
            (".example", "api.example", true),
            (".api.example", "api.example", false),
            ("*.example", "api.example", true),
            ("*.example", "example", false),
            ("*example", "api.example", false),
            ("api.*", "api.example", false),
            (" other , api.example ,", "api.example", true),
            (",", "api.example", false),
            ("", "api.example", false),
            ("api.example:6443", "api.example", true),
            ("api.example:443", "api.example", false),
            ("api.example:", "api.example", true),
            (":6443", "api.example", false),
            (".example:6443", "api.example", true),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1:6443", "192.0.2.1", true),
            ("192.0.2.1:443", "192.0.2.1", false),
            ("192.0.2.0/24", "192.0.2.1", true),
            ("192.0.2.0/32", "192.0.2.1", false),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("192.0.2.0/33", "192.0.2.1", false),
            ("192.0.2", "192.0.2.1", false),
            (".1", "192.0.2.1", false),
            ("10.0.0.0/8", "api.example", false),
            ("10.0.0.0/8", "[2001:db8::1]", false),
            ("2001:db8::/32", "[2001:db8::1]", true),
            ("::/0", "[2001:db8::1]", true),
            ("2001:db8::1", "[2001:db8::1]", true),
            ("[2001:db8::1]:6443", "[2001:db8::1]", true),
            ("[2001:db8::1]:1", "[2001:db8::1]", false),
            ("192.0.2.0/24", "[::ffff:192.0.2.1]", true),
            ("/", "api.example", false),
            ("ä, \u{0}, [, ]:, 1/2/3", "api.example", false),
        ] {
            let env = [("HTTPS_PROXY", "http://p:1"), ("no_proxy", no_proxy)];
            let proxy = of(&format!("https://{server}:6443"), None, &env).unwrap();
            assert_eq!(proxy.is_empty(), excepted, "{no_proxy:?} {server}");
        }
    }

    #[test]
    fn an_invalid_proxy_is_refused_by_the_name_of_its_source_and_not_quoted() {
        for (proxy_url, env, place, found) in [
            (Some("proxy.corp:3128"), "", "the kubeconfig's proxy-url", "found no scheme"),
            (Some("ftp://ana:secret@p"), "", "the kubeconfig's proxy-url", "the scheme \"ftp\""),
            (Some("http://"), "", "the kubeconfig's proxy-url", "found no URL"),
            (None, "ftp://ana:secret@p", "HTTPS_PROXY", "the scheme \"ftp\""),
            (None, "http://ana:secret @p", "HTTPS_PROXY", "found no URL"),
        ] {
            let error = of("https://x", proxy_url, &[("HTTPS_PROXY", env)]).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains(place) && error.contains(found), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
