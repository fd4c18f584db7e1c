//! Servers that send us elsewhere.

use chunk_fetch::http::{Credentials, Mirror, Proxies};
use chunk_fetch::{FetchErrorKind, HttpSource, RedirectRefused, Source, WrongAnswer};
use chunk_testing::http::{Reply, Server};

use crate::fixture::{PACK, config, object, read, refusal, source};

fn redirect(to: &str) -> Reply {
    Reply::new(302, "").header("Location", to)
}

fn why(kind: FetchErrorKind) -> RedirectRefused {
    match kind {
        FetchErrorKind::Wrong(WrongAnswer::Redirect(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn redirects_are_followed_to_where_the_object_is() {
    let there = Server::start(|asked| Reply::object(&object(1000), asked));
    let target = format!("{}signed?key=1", there.url());
    let here = Server::start(move |asked| match asked.target.as_str() {
        "/packs/0.pack" => redirect("../next"),
        "/next" => Reply::new(308, "moved").header("Location", &target),
        other => panic!("{other}"),
    });
    let source = source(&[&here], config());
    assert_eq!(read(&source, 100, 200).expect("read"), object(1000)[100..200]);
    let asked = there.asked();
    assert_eq!(asked[0].target, "/signed?key=1");
    assert_eq!(asked[0].header("range"), Some("bytes=100-199"));
    assert_eq!(source.spent().requests, 3);
}

#[test]
fn the_ninth_redirect_in_a_row_is_not_followed() {
    let server = Server::start(|asked| redirect(&format!("/{}", asked.number)));
    assert_eq!(why(refusal(&source(&[&server], config()), 0, 1)), RedirectRefused::TooMany);
    assert_eq!(server.asked().len(), 2 * 9, "all of it once more past caches");
    let server = Server::start(|asked| match asked.number {
        8 => Reply::object(&object(1000), asked),
        number => redirect(&format!("/{number}")),
    });
    assert_eq!(read(&source(&[&server], config()), 0, 10).expect("read"), object(10));
}

#[test]
fn redirects_out_of_http_or_to_nowhere_are_not_followed() {
    for (to, refused) in [
        ("file:///etc/passwd", RedirectRefused::Scheme),
        ("ftp://127.0.0.1/", RedirectRefused::Scheme),
        ("http://", RedirectRefused::Unreadable),
        ("", RedirectRefused::Unreadable),
    ] {
        let server = Server::start(move |_| redirect(to));
        assert_eq!(why(refusal(&source(&[&server], config()), 0, 1)), refused, "{to}");
    }
}

#[test]
fn credentials_and_headers_stay_with_their_host() {
    let elsewhere = Server::start(|asked| Reply::object(&object(1000), asked));
    let target = format!("{}there", elsewhere.url());
    let here = Server::start(move |asked| match asked.target.as_str() {
        "/packs/0.pack" => redirect("/same-host"),
        _ => redirect(&target),
    });
    let mirror = Mirror::new(&here.url()).expect("a URL");
    let mirror = mirror.credentials(Credentials::Bearer("secret".to_owned())).expect("a token");
    let mirror = mirror.header("X-Api-Key", "secret").expect("a header");
    let source = HttpSource::new(vec![mirror], config()).expect("a source");
    assert_eq!(read(&source, 0, 10).expect("read"), object(10));
    for asked in here.asked() {
        assert_eq!(asked.header("authorization"), Some("Bearer secret"));
        assert_eq!(asked.header("x-api-key"), Some("secret"));
    }
    let asked = &elsewhere.asked()[0];
    assert!(!format!("{asked:?}").contains("secret"), "{asked:?}");
}

#[test]
fn a_public_server_cannot_send_us_to_this_machine() {
    let inside = Server::start(|asked| Reply::object(&object(1000), asked));
    let port = inside.port();
    for to in ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "0.0.0.0"] {
        // The proxy stands for the public server.
        let proxy = Server::start(move |asked| {
            assert!(asked.target.starts_with("http://store.example/"), "{}", asked.target);
            redirect(&format!("http://{to}:{port}/"))
        });
        let mut config = config();
        let url = format!("http://127.0.0.1:{}", proxy.port());
        config.proxies = Proxies::new(Some(&url), None, "localhost").expect("a proxy");
        let mirror = Mirror::new("http://store.example/").expect("a URL");
        let source = HttpSource::new(vec![mirror], config).expect("a source");
        assert_eq!(why(refusal(&source, 0, 1)), RedirectRefused::Inwards, "{to}");
    }
    assert_eq!(inside.asked().len(), 0);
}

#[test]
fn a_redirect_to_a_login_page_is_a_portal() {
    let server = Server::start(|asked| match asked.target.as_str() {
        "/login" => Reply::new(200, "<html>").header("Content-Type", "text/html"),
        _ => redirect("/login"),
    });
    let error = read(&source(&[&server], config()), 0, 1).expect_err("a page");
    assert!(matches!(error.kind, FetchErrorKind::Portal), "{error:?}");
    assert_eq!(error.location, format!("{}{PACK}", server.url()));
}
