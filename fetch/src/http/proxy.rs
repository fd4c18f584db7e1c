//! Which proxy, if any, stands between us and a host.

use std::env;

use super::config::ConfigError;
use super::credentials::Credentials;
use super::url::{Origin, Url};

/// The proxies to use, by what is asked for.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    /// Hosts that are asked without a proxy.
    direct: Vec<String>,
}

/// A proxy and what it wants to know about us.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) origin: Origin,
    pub(crate) credentials: Option<Credentials>,
}

impl Proxies {
    /// The proxies that `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` name.
    ///
    /// In capitals too, but for `HTTP_PROXY`: a web server sets it, for its children, to what a client says.
    pub fn from_environment() -> Result<Self, ConfigError> {
        let read = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let either = |name: &str| read(name).or_else(|| read(&name.to_ascii_uppercase()));
        let all = either("all_proxy");
        let http = read("http_proxy").or_else(|| all.clone());
        let https = either("https_proxy").or(all);
        Self::new(http.as_deref(), https.as_deref(), &either("no_proxy").unwrap_or_default())
    }

    /// Proxies for http and for https, and the hosts (separated by commas) that are asked without one: names with
    /// all below them, addresses, `*` for all; each may have a port.
    pub fn new(http: Option<&str>, https: Option<&str>, direct: &str) -> Result<Self, ConfigError> {
        let direct = direct.split(',').map(|host| host.trim().to_ascii_lowercase());
        Ok(Self {
            http: http.map(parse).transpose()?,
            https: https.map(parse).transpose()?,
            direct: direct.filter(|host| !host.is_empty()).collect(),
        })
    }

    /// The proxy for `origin`.
    pub(crate) fn find(&self, origin: &Origin) -> Option<&Proxy> {
        let proxy = if origin.is_secure { &self.https } else { &self.http };
        proxy.as_ref().filter(|_| !self.direct.iter().any(|rule| covers(rule, origin)))
    }
}

fn parse(text: &str) -> Result<Proxy, ConfigError> {
    // Others take a mere host for a proxy, too.
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let (url, user_info) = Url::parse(&text).map_err(|_| ConfigError::Proxy)?;
    if url.origin.is_secure {
        return Err(ConfigError::Proxy);
    }
    let credentials = match user_info {
        Some(user_info) => Some(Credentials::from_user_info(&user_info).ok_or(ConfigError::Proxy)?),
        None => None,
    };
    Ok(Proxy { origin: url.origin, credentials })
}

fn covers(rule: &str, origin: &Origin) -> bool {
    if rule == "*" {
        return true;
    }
    let (rule, port) = match rule.rsplit_once(':') {
        // More colons are those of an address without brackets.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()),
        _ => (rule, None),
    };
    if port.is_some_and(|port: u16| port != origin.port) {
        return false;
    }
    let rule = rule.trim_start_matches("*.").trim_start_matches(['.', '[']).trim_end_matches(']');
    let host = origin.host.trim_end_matches('.');
    host.strip_suffix(rule).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Origin {
        Url::parse(url).expect(url).0.origin
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let proxies =
            Proxies::new(Some("http://u:p@proxy.example:3128"), Some("other"), "").expect("proxies");
        let http = proxies.find(&origin("http://host/")).expect("a proxy");
        assert_eq!(http.origin.host_and_port(), "proxy.example:3128");
        assert!(http.credentials.is_some());
        let https = proxies.find(&origin("https://host/")).expect("a proxy");
        assert_eq!(https.origin.host_and_port(), "other:80");
        assert!(Proxies::default().find(&origin("http://host/")).is_none());
    }

    #[test]
    fn hosts_that_need_none_get_none() {
        let rules = " .lan, example.com,10.0.0.1,::1,[fe80::1]:81, other.example:8080 ,*.cdn.example";
        let proxies = Proxies::new(Some("proxy"), None, rules).expect("proxies");
        for direct in [
            "http://nas.lan/",
            "http://lan/",
            "http://example.com/",
            "http://a.b.Example.COM/",
            "http://10.0.0.1:99/",
            "http://[::1]/",
            "http://[fe80::1]:81/",
            "http://other.example:8080/",
            "http://x.cdn.example/",
        ] {
            assert!(proxies.find(&origin(direct)).is_none(), "{direct}");
        }
        for proxied in [
            "http://notexample.com/",
            "http://example.com.evil/",
            "http://10.0.0.11/",
            "http://[fe80::1]/",
            "http://other.example/",
        ] {
            assert!(proxies.find(&origin(proxied)).is_some(), "{proxied}");
        }
        let proxies = Proxies::new(Some("proxy"), None, "*").expect("proxies");
        assert!(proxies.find(&origin("http://anything/")).is_none());
    }

    #[test]
    fn what_is_no_http_proxy_is_refused() {
        for text in ["socks5://proxy", "https://proxy", "http://", "pro xy"] {
            assert!(Proxies::new(Some(text), None, "").is_err(), "{text}");
        }
    }
}
