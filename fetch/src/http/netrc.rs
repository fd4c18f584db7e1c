//! Users and passwords by host, from the file that ftp, curl and git read.

use std::fmt;

use super::credentials::Credentials;

/// The entries of a netrc file.
#[derive(Clone, Default)]
pub struct Netrc {
    entries: Vec<Entry>,
}

#[derive(Clone, Default)]
struct Entry {
    /// None is for all hosts.
    host: Option<String>,
    user: String,
    password: String,
}

impl fmt::Debug for Netrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.entries.iter().map(|entry| entry.host.as_deref().unwrap_or("default"));
        f.debug_list().entries(hosts).finish()
    }
}

impl Netrc {
    /// Reads the text of a netrc file. What is not known is skipped, as others do.
    pub fn parse(text: &str) -> Self {
        let mut netrc = Self::default();
        // A macro reaches to the next empty line and may hold anything.
        let mut in_macro = false;
        let lines = text.lines().filter(|line| {
            in_macro = (in_macro || line.trim_start().starts_with("macdef")) && !line.trim().is_empty();
            !in_macro && !line.trim_start().starts_with('#')
        });
        let mut words = lines.flat_map(str::split_whitespace);
        while let Some(word) = words.next() {
            match word {
                "machine" => {
                    let host = words.next().map(str::to_owned);
                    netrc.entries.extend(host.map(|host| Entry { host: Some(host), ..Entry::default() }));
                }
                "default" => netrc.entries.push(Entry::default()),
                "login" | "password" => {
                    if let (Some(entry), Some(value)) = (netrc.entries.last_mut(), words.next()) {
                        let field = if word == "login" { &mut entry.user } else { &mut entry.password };
                        value.clone_into(field);
                    }
                }
                _ => {}
            }
        }
        netrc
    }

    /// What the file holds for `host`: the first entry that names it or all.
    pub fn find(&self, host: &str) -> Option<Credentials> {
        let is_for = |entry: &&Entry| entry.host.as_ref().is_none_or(|name| name.eq_ignore_ascii_case(host));
        let entry = self.entries.iter().find(is_for)?;
        Some(Credentials::Basic { user: entry.user.clone(), password: entry.password.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(user: &str, password: &str) -> Credentials {
        Credentials::Basic { user: user.to_owned(), password: password.to_owned() }
    }

    #[test]
    fn the_first_entry_for_a_host_or_for_all_counts() {
        let netrc = Netrc::parse(
            "# machine a.example login wrong\nmacdef init\nmachine a.example login wrong\n\n\
             machine A.example\n  login me\n  account x\n  password pw\n\
             machine a.example login later\nmachine b.example login you password\n",
        );
        assert_eq!(netrc.find("a.EXAMPLE"), Some(basic("me", "pw")));
        assert_eq!(netrc.find("b.example"), Some(basic("you", "")));
        assert_eq!(netrc.find("c.example"), None);
        assert_eq!(Netrc::parse("default login all password pw").find("c.example"), Some(basic("all", "pw")));
    }

    #[test]
    fn only_hosts_are_shown() {
        let shown = format!("{:?}", Netrc::parse("machine host login me password secret"));
        assert_eq!(shown, r#"["host"]"#);
    }
}
