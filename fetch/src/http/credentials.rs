//! What proves to a server who we are: never shown, never sent to another host than the one it was given for.

use std::fmt;

use hyper::http::HeaderValue;

use super::url::decode;

/// Proof of who asks.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// A token.
    Bearer(String),
    /// A user and a password.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer(…)",
            Self::Basic { .. } => "Basic(…)",
        })
    }
}

impl Credentials {
    /// What stands before the `@` of a URL.
    pub(crate) fn from_user_info(user_info: &str) -> Option<Self> {
        let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        Some(Self::Basic { user: decode(user)?, password: decode(password)? })
    }

    /// The value of the Authorization or Proxy-Authorization header; none if a header cannot hold it.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let text = match self {
            Self::Bearer(token) => format!("Bearer {token}"),
            Self::Basic { user, password } => {
                format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))
            }
        };
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| usize::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let is_padding = digit > group.len();
            text.push(if is_padding { '=' } else { char::from(DIGITS[bits >> (18 - 6 * digit) & 63]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(user: &str, password: &str) -> Credentials {
        Credentials::Basic { user: user.to_owned(), password: password.to_owned() }
    }

    #[test]
    fn headers_are_as_servers_expect_them() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
        ];
        for (plain, coded) in vectors {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        let header = basic("Aladdin", "open sesame").header().expect("a header");
        assert_eq!(header, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(Credentials::Bearer("abc".to_owned()).header().expect("a header"), "Bearer abc");
        assert!(Credentials::Bearer("a\r\nX: y".to_owned()).header().is_none());
    }

    #[test]
    fn nothing_secret_is_shown() {
        let header = basic("me", "secret").header();
        let shown =
            format!("{:?} {:?} {header:?}", basic("me", "secret"), Credentials::Bearer("secret".to_owned()));
        assert!(!shown.contains("secret") && !shown.contains("bWU6c2VjcmV0"), "{shown}");
    }

    #[test]
    fn user_and_password_of_a_url_are_decoded() {
        assert_eq!(Credentials::from_user_info("me%40home:p%3Aw:d"), Some(basic("me@home", "p:w:d")));
        assert_eq!(Credentials::from_user_info("me"), Some(basic("me", "")));
        assert_eq!(Credentials::from_user_info("%ff"), None);
    }
}
