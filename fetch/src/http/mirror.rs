//! A directory on a web server that holds a store.

use std::fmt;

use hyper::http::{HeaderName, HeaderValue};

use super::config::ConfigError;
use super::credentials::Credentials;
use super::url::{Url, UrlError};

/// A directory on a web server that holds a store, and what that server needs to know about us.
#[derive(Clone)]
pub struct Mirror {
    pub(crate) directory: Url,
    /// One object whose URL has a query of its own.
    named: Option<(String, Url)>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

/// Headers that are not the caller's: what an answer means depends on them.
const OWN_HEADERS: [&str; 11] = [
    "accept-encoding",
    "connection",
    "content-length",
    "host",
    "if-match",
    "if-none-match",
    "if-range",
    "range",
    "te",
    "transfer-encoding",
    "upgrade",
];

impl fmt::Debug for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mirror").field(&self.directory.to_string()).finish()
    }
}

impl Mirror {
    /// The directory at `url`. A user and a password in it become the mirror's credentials.
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        let (url, user_info) = parse(url)?;
        Self::with_user(url.into_directory(), user_info)
    }

    /// The directory that the index at `url` lies in, and the index's name there.
    ///
    /// The query of `url` is for the index alone.
    pub fn beside(url: &str) -> Result<(Self, String), ConfigError> {
        let (url, user_info) = parse(url)?;
        let (directory, name) = url.clone().split().ok_or_else(|| ConfigError::NoName(url.to_string()))?;
        let mut mirror = Self::with_user(directory, user_info)?;
        mirror.named = Some((name.clone(), url));
        Ok((mirror, name))
    }

    fn with_user(directory: Url, user_info: Option<String>) -> Result<Self, ConfigError> {
        let credentials = match user_info {
            Some(user_info) => Some(Credentials::from_user_info(&user_info).ok_or(ConfigError::Credentials)?),
            None => None,
        };
        Ok(Self { directory, named: None, credentials, headers: Vec::new() })
    }

    /// The host, as a netrc file names it.
    pub fn host(&self) -> &str {
        &self.directory.origin.host
    }

    /// Whether credentials are known already, from the URL.
    pub fn has_credentials(&self) -> bool {
        self.credentials.is_some()
    }

    /// With these credentials. They are sent to this mirror's host only.
    pub fn credentials(mut self, credentials: Credentials) -> Result<Self, ConfigError> {
        credentials.header().ok_or(ConfigError::Credentials)?;
        self.credentials = Some(credentials);
        Ok(self)
    }

    /// With one more header. It is sent to this mirror's host only.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, ConfigError> {
        let refused = || ConfigError::Header(name.to_owned());
        let name = HeaderName::try_from(name).map_err(|_| refused())?;
        let mut value = HeaderValue::try_from(value).map_err(|_| refused())?;
        if OWN_HEADERS.contains(&name.as_str()) {
            return Err(refused());
        }
        value.set_sensitive(true);
        self.headers.push((name, value));
        Ok(self)
    }

    /// Where `object` lies.
    pub(crate) fn locate(&self, object: &str, inherit_query: bool) -> Option<Url> {
        match &self.named {
            Some((name, url)) if name == object => Some(url.clone()),
            _ => self.directory.object(object, inherit_query),
        }
    }
}

fn parse(url: &str) -> Result<(Url, Option<String>), ConfigError> {
    Url::parse(url).map_err(|error| match error {
        UrlError::Unreadable => ConfigError::Url,
        UrlError::Scheme => ConfigError::Scheme,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_of_an_index_is_for_the_index_alone() {
        let (mirror, name) = Mirror::beside("https://host/os/image.cidx?sig=1").expect("an index");
        assert_eq!(name, "image.cidx");
        for (object, inherit_query, path) in [
            ("image.cidx", false, "/os/image.cidx?sig=1"),
            ("packs/1.pack", false, "/os/packs/1.pack"),
            ("packs/1.pack", true, "/os/packs/1.pack?sig=1"),
        ] {
            let url = mirror.locate(object, inherit_query).expect("plain");
            assert_eq!(url.path_and_query(), path);
        }
    }

    #[test]
    fn headers_that_change_what_an_answer_means_are_refused() {
        let mirror = Mirror::new("http://host/").expect("a mirror");
        assert!(mirror.clone().header("X-Api-Key", "secret").is_ok());
        for name in ["Range", "accept-encoding", "HOST", "no name", ""] {
            assert!(matches!(mirror.clone().header(name, "x"), Err(ConfigError::Header(_))), "{name}");
        }
        assert!(mirror.header("X-Api-Key", "a\r\nb").is_err());
    }

    #[test]
    fn no_error_and_no_mirror_shows_a_secret() {
        let mirror = Mirror::new("https://me:secret@host/os?sig=secret").expect("a mirror");
        assert_eq!(format!("{mirror:?}"), r#"Mirror("https://host/os/")"#);
        for url in ["https://me:secret@ho st/", "ftp://me:secret@host/", "https://me:%ffsecret@host/"] {
            let error = Mirror::new(url).expect_err("refused");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }
}
