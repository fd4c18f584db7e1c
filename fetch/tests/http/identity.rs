//! What servers are told about us, and what nobody is told.

use std::error::Error;

use chunk_fetch::http::{ConfigError, Credentials, Mirror, Netrc};
use chunk_fetch::{FetchErrorKind, HttpSource, Source};
use chunk_testing::http::{Reply, Server};

use crate::fixture::{config, object, read};

#[test]
fn servers_get_the_credentials_that_were_given_for_them() {
    let server = Server::start(|asked| Reply::object(&object(1000), asked));
    let with_user = server.url().replace("http://", "http://me:p%40w@");
    let netrc = Netrc::parse("machine 127.0.0.1 login you password pw");
    let plain = || Mirror::new(&server.url()).expect("a URL");
    let by_netrc = netrc.find(plain().host()).expect("an entry");
    for (mirror, header) in [
        (Mirror::new(&with_user).expect("a URL"), Some("Basic bWU6cEB3")),
        (
            plain().credentials(Credentials::Bearer("token".to_owned())).expect("a token"),
            Some("Bearer token"),
        ),
        (plain().credentials(by_netrc).expect("an entry"), Some("Basic eW91OnB3")),
        (plain(), None),
    ] {
        let source = HttpSource::new(vec![mirror], config()).expect("a source");
        read(&source, 0, 10).expect("read");
        assert_eq!(server.asked().last().expect("a request").header("authorization"), header);
    }
}

#[test]
fn refused_credentials_are_told_at_once_and_not_shown() {
    for status in [401, 407] {
        let server = Server::start(move |_| Reply::new(status, "who are you?"));
        let url = server.url().replace("http://", "http://me:secret@") + "os?sig=secret";
        let source = HttpSource::new(vec![Mirror::new(&url).expect("a URL")], config()).expect("a source");
        let error = read(&source, 0, 10).expect_err("refused");
        assert!(matches!(error.kind, FetchErrorKind::NotAuthorised { status: told } if told == status));
        assert!(error.hint().is_some());
        let shown = format!("{error} {error:?} {source:?}");
        assert!(!shown.contains("secret") && !shown.contains("bWU6c2VjcmV0"), "{shown}");
        assert_eq!(server.asked().len(), 1);
    }
}

#[test]
fn no_cause_of_an_error_shows_a_secret() {
    let mirror = Mirror::new("http://me:secret@127.0.0.1:1/os?sig=secret").expect("a URL");
    let source = HttpSource::new(vec![mirror], config()).expect("a source");
    let error = read(&source, 0, 10).expect_err("nobody there");
    let mut cause: Option<&dyn Error> = Some(&error);
    while let Some(error) = cause {
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        cause = error.source();
    }
}

#[test]
fn the_query_of_a_signed_index_is_not_that_of_its_packs() {
    let server = Server::start(|asked| Reply::object(&object(1000), asked));
    let url = format!("{}os/image.cidx?sig=1", server.url());
    let mut buffer = Vec::new();
    for inherit_query in [false, true] {
        let (mirror, name) = Mirror::beside(&url).expect("an index");
        let mut config = config();
        config.inherit_query = inherit_query;
        let source = HttpSource::new(vec![mirror], config).expect("a source");
        source.open(&name, 10, &mut buffer).expect("opened");
        read(&source, 0, 10).expect("read");
    }
    let targets: Vec<_> = server.asked().into_iter().map(|asked| asked.target).collect();
    // Where the query is wanted, the one of the directory is meant: an index has no other.
    let expected =
        ["/os/image.cidx?sig=1", "/os/packs/0.pack", "/os/image.cidx?sig=1", "/os/packs/0.pack?sig=1"];
    assert_eq!(targets, expected);
}

#[test]
fn a_source_needs_a_mirror() {
    assert!(matches!(HttpSource::new(Vec::new(), config()), Err(ConfigError::NoMirror)));
}

#[test]
fn an_object_cannot_lie_outside_of_its_mirror() {
    let server = Server::start(|asked| Reply::object(&object(1000), asked));
    let mirror = Mirror::new(&format!("{}os/", server.url())).expect("a URL");
    let source = HttpSource::new(vec![mirror], config()).expect("a source");
    let error = source.read("../secret", 0..1, &mut Vec::new()).expect_err("outside");
    assert!(matches!(error.kind, FetchErrorKind::Missing), "{error:?}");
    assert_eq!(server.asked().len(), 0);
}
