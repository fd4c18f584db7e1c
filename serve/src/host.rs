//! Whether a request is meant for this server.
//!
//! A page in a browser may ask any host that its own name leads to, so whoever holds that name can let it lead here
//! and read what we answer. What such a page asks for carries the name; nobody can do the same with an address.

use std::net::IpAddr;

use hyper::header::HOST;
use hyper::{HeaderMap, Uri};

/// The hosts that a server at one address goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hosts {
    listening: IpAddr,
}

impl Hosts {
    /// Those of a server that listens at `listening`.
    pub(crate) fn of(listening: IpAddr) -> Self {
        Self { listening }
    }

    /// Whether a request with this target and these headers is for one of them. One that names no host is: browsers
    /// name it always.
    pub(crate) fn accept(self, target: &Uri, headers: &HeaderMap) -> bool {
        let named = headers.get_all(HOST).iter().map(|host| host.to_str().unwrap_or_default());
        target
            .authority()
            .map(hyper::http::uri::Authority::as_str)
            .into_iter()
            .chain(named)
            .all(|host| self.is_one(host))
    }

    fn is_one(self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
            _ => host,
        };
        let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        match address.parse::<IpAddr>() {
            Ok(address) => {
                address.is_loopback() || address == self.listening || self.listening.is_unspecified()
            }
            Err(_) => name.eq_ignore_ascii_case("localhost"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(listening: &str, target: &str, host: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(HOST, host.parse().expect("a value"));
        }
        let listening = listening.parse().expect("an address");
        Hosts::of(listening).accept(&target.parse().expect("a target"), &headers)
    }

    #[test]
    fn names_that_others_can_let_lead_here_are_refused() {
        for host in
            ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example:80", ""]
        {
            assert!(!accepts("127.0.0.1", "/image", Some(host)), "{host}");
            assert!(!accepts("0.0.0.0", "/image", Some(host)), "{host}");
        }
        assert!(!accepts("127.0.0.1", "http://evil.example/image", Some("127.0.0.1")));
    }

    #[test]
    fn this_machine_and_the_address_that_is_listened_at_are_accepted() {
        for host in ["127.0.0.1:8080", "127.0.0.2", "localhost", "LOCALHOST:1", "[::1]:8080"] {
            assert!(accepts("127.0.0.1", "/image", Some(host)), "{host}");
        }
        assert!(accepts("127.0.0.1", "/image", None));
        assert!(accepts("192.0.2.7", "/image", Some("192.0.2.7:8080")));
        assert!(!accepts("192.0.2.7", "/image", Some("192.0.2.8:8080")));
        // An address leads nowhere else.
        assert!(accepts("0.0.0.0", "/image", Some("192.0.2.8:8080")));
    }
}
