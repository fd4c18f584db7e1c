//! Where things lie on the web: the few parts of a URL that matter here.
//!
//! A [`Url`] never holds user or password, so it can be shown; the query, which may hold a signature, is not shown.

use std::fmt;
use std::fmt::Write as _;
use std::net::IpAddr;

use hyper::http::Uri;

use crate::RedirectRefused;

/// Whom to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    /// Whether the connection is encrypted.
    pub(crate) is_secure: bool,
    /// Name or address, in lower case; IPv6 without its brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// An http or https URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) origin: Origin,
    /// Starts with a slash.
    path: String,
    query: Option<String>,
}

/// Why a text is no URL for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UrlError {
    Unreadable,
    Scheme,
}

impl Origin {
    /// The host as it stands in a URL.
    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }

    /// Host and port, the latter only if it is not the usual one: what the Host header holds.
    pub(crate) fn authority(&self) -> String {
        let usual = if self.is_secure { 443 } else { 80 };
        if self.port == usual { self.bracketed() } else { self.host_and_port() }
    }

    /// Host and port, always: what a proxy is asked to connect to.
    pub(crate) fn host_and_port(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    /// Whether the host is, by its very name, this machine or something on its link.
    pub(crate) fn is_local(&self) -> bool {
        let name = self.host.trim_end_matches('.');
        match name.parse() {
            Ok(address) => is_local(address),
            Err(_) => name == "localhost" || name.ends_with(".localhost"),
        }
    }
}

/// Whether an address is of this machine or of its link: no place for a public server to send us to.
pub(crate) fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_unspecified() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local(),
    }
}

impl Url {
    /// Reads a URL; returns what stands before its `@` apart.
    pub(crate) fn parse(text: &str) -> Result<(Self, Option<String>), UrlError> {
        let uri: Uri = text.parse().map_err(|_| UrlError::Unreadable)?;
        let is_secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(UrlError::Scheme),
        };
        let authority = uri.authority().ok_or(UrlError::Unreadable)?;
        let user_info = authority.as_str().rsplit_once('@').map(|(user_info, _)| user_info.to_owned());
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if host.is_empty() {
            return Err(UrlError::Unreadable);
        }
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            // A colon without a port, or with one beyond 65535, does not mean the usual port.
            None if !authority.as_str().ends_with(authority.host()) => return Err(UrlError::Unreadable),
            None if is_secure => 443,
            None => 80,
        };
        let origin = Origin { is_secure, host, port };
        let path = without_dots(uri.path());
        Ok((Self { origin, path, query: uri.query().map(str::to_owned) }, user_info))
    }

    /// This URL as that of a directory.
    pub(crate) fn into_directory(mut self) -> Self {
        if !self.path.ends_with('/') {
            self.path.push('/');
        }
        self
    }

    /// The directory that this lies in, and the name of this within it.
    pub(crate) fn split(mut self) -> Option<(Self, String)> {
        let name_at = self.path.rfind('/')?.checked_add(1)?;
        let name = decode(&self.path.split_off(name_at))?;
        is_plain(&name).then_some((self, name))
    }

    /// The object `name`, a relative path, in this directory, with the directory's query if `inherit_query` says so.
    pub(crate) fn object(&self, name: &str, inherit_query: bool) -> Option<Self> {
        if !name.split('/').all(is_plain) {
            return None;
        }
        let mut path = self.path.clone();
        encode(name, &mut path);
        let query = if inherit_query { self.query.clone() } else { None };
        Some(Self { origin: self.origin.clone(), path, query })
    }

    /// Path and query: what a server is asked for.
    pub(crate) fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// All of it, with the query: what a proxy is asked for. Not to be shown.
    pub(crate) fn in_full(&self) -> String {
        format!("{}://{}{}", self.scheme(), self.origin.authority(), self.path_and_query())
    }

    fn scheme(&self) -> &'static str {
        if self.origin.is_secure { "https" } else { "http" }
    }

    /// Where `location`, from an answer to this URL, leads to.
    pub(crate) fn follow(&self, location: &str) -> Result<Self, RedirectRefused> {
        let base = format!("{}://{}", self.scheme(), self.origin.authority());
        let directory = self.path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let location = location.split('#').next().unwrap_or_default();
        let absolute = if location.is_empty() {
            return Err(RedirectRefused::Unreadable);
        } else if location.starts_with("//") {
            format!("{}:{location}", self.scheme())
        } else if location.starts_with('/') {
            format!("{base}{location}")
        } else if location.starts_with('?') {
            format!("{base}{}{location}", self.path)
        } else if let Some(scheme) = scheme_of(location) {
            if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
                return Err(RedirectRefused::Scheme);
            }
            location.to_owned()
        } else {
            format!("{base}{directory}/{location}")
        };
        // Credentials that an answer hands out are not used.
        let (next, _) = Self::parse(&absolute).map_err(|_| RedirectRefused::Unreadable)?;
        if self.origin.is_secure && !next.origin.is_secure {
            return Err(RedirectRefused::Downgrade);
        }
        Ok(next)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme(), self.origin.authority(), self.path)
    }
}

fn scheme_of(location: &str) -> Option<&str> {
    let (scheme, _) = location.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some(scheme)
}

/// Whether a segment of a path names something below its directory.
fn is_plain(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..")
}

/// RFC 3986, 5.2.4: what `.` and `..` in a path amount to.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

/// Appends `name` with all bytes encoded that could mean something else than themselves in a path.
fn encode(name: &str, path: &mut String) {
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~+".contains(&byte) {
            path.push(char::from(byte));
        } else {
            write!(path, "%{byte:02X}").expect("writing to a string does not fail");
        }
    }
}

/// The text that `encoded` stands for; none if it is no UTF-8 text.
pub(crate) fn decode(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first == b'%' {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = rest.get(2..)?;
        } else {
            bytes.push(first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect(text).0
    }

    #[test]
    fn a_url_is_shown_without_user_and_query() {
        let (parsed, user) = Url::parse("https://me:secret@Host.example:8443/a/b?sig=secret").expect("a URL");
        assert_eq!(user.as_deref(), Some("me:secret"));
        assert_eq!(parsed.to_string(), "https://host.example:8443/a/b");
        assert_eq!(parsed.path_and_query(), "/a/b?sig=secret");
        assert_eq!(url("http://[::1]:80/x").to_string(), "http://[::1]/x");
        assert_eq!(url("http://host").to_string(), "http://host/");
    }

    #[test]
    fn what_is_no_http_url_is_refused() {
        for text in [
            "ftp://host/",
            "file:///etc/passwd",
            "host/path",
            "/path",
            "http://",
            "http://host:99999/",
            "http://host:/",
            "http://ho st/",
            "http://host/a\r\nb",
            "",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_object_lies_below_its_directory_and_nowhere_else() {
        let directory = url("https://host/a%20b?sig=1").into_directory();
        let object = directory.object("packs/a+b c?.pack", false).expect("plain");
        assert_eq!(object.path_and_query(), "/a%20b/packs/a+b%20c%3F.pack");
        let object = directory.object("image.cidx", true).expect("plain");
        assert_eq!(object.path_and_query(), "/a%20b/image.cidx?sig=1");
        for name in ["", "/x", "../x", "packs/../../x", "packs//x", "."] {
            assert!(directory.object(name, false).is_none(), "{name}");
        }
    }

    #[test]
    fn an_index_is_split_from_its_directory() {
        let (directory, name) = url("https://host/os/my%20image.cidx?sig=1").split().expect("a name");
        assert_eq!((directory.to_string().as_str(), name.as_str()), ("https://host/os/", "my image.cidx"));
        assert!(url("https://host/os/").split().is_none());
    }

    #[test]
    fn a_location_is_read_from_where_it_was_given() {
        let from = url("https://host/a/b?q=1");
        for (location, to) in [
            ("https://other/x?sig=2", "https://other/x?sig=2"),
            ("//other/x", "https://other/x"),
            ("/x/../y", "https://host/y"),
            ("c", "https://host/a/c"),
            ("../../../c/.", "https://host/c/"),
            ("?r=2#there", "https://host/a/b?r=2"),
            ("https://u:p@other/", "https://other/"),
        ] {
            assert_eq!(from.follow(location).expect(location).in_full(), to, "{location}");
        }
        for (location, refused) in [
            ("http://host/", RedirectRefused::Downgrade),
            ("file:/etc/passwd", RedirectRefused::Scheme),
            ("ftp://host/", RedirectRefused::Scheme),
            ("https://ho st/", RedirectRefused::Unreadable),
            ("", RedirectRefused::Unreadable),
        ] {
            assert_eq!(from.follow(location).expect_err(location), refused, "{location}");
        }
    }

    #[test]
    fn this_machine_and_its_link_are_told_from_the_rest() {
        let is_local = |host: &str| Origin { is_secure: false, host: host.to_owned(), port: 80 }.is_local();
        for host in [
            "localhost",
            "a.localhost",
            "127.9.9.9",
            "::1",
            "0.0.0.0",
            "169.254.169.254",
            "fe80::1",
            "::ffff:127.0.0.1",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in ["example.com", "10.0.0.1", "8.8.8.8", "2001:db8::1", "localhost.example.com"] {
            assert!(!is_local(host), "{host}");
        }
    }
}
