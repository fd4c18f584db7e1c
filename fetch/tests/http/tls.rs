//! Servers that prove who they are, and servers that do not.

use std::time::{Duration, SystemTime};

use chunk_fetch::http::{Config, ConfigError, Mirror, Proxies};
use chunk_fetch::{FetchErrorKind, HttpSource, RedirectRefused, Trouble, WrongAnswer};
use chunk_testing::http::{Certificate, End, Reply, Server};

use crate::fixture::{config, object, ranges, read, refusal, source, within};

/// Trusts the authority of the tests instead of those of the web.
fn trusting() -> Config {
    let mut config = config();
    config.trust.authorities = Some(Certificate::AUTHORITY.to_vec());
    config
}

fn server(certificate: Certificate) -> Server {
    Server::start_tls(certificate, false, |asked| Reply::object(&object(1000), asked))
}

#[test]
fn a_server_that_is_vouched_for_is_trusted_by_address_and_by_name() {
    let server = server(Certificate::Good);
    for url in [server.url(), server.url().replace("127.0.0.1", "localhost")] {
        let mirror = Mirror::new(&url).expect("a URL");
        let source = HttpSource::new(vec![mirror], trusting()).expect("a source");
        assert_eq!(read(&source, 100, 200).expect("read"), object(1000)[100..200]);
    }
}

#[test]
fn by_default_only_the_authorities_of_the_web_are_trusted() {
    let server = server(Certificate::Good);
    let kind = within(Duration::from_secs(1), || refusal(&source(&[&server], config()), 0, 10));
    assert!(matches!(kind, FetchErrorKind::Untrusted(_)), "{kind:?}");
    assert_eq!(server.asked().len(), 0, "nothing was asked of it");
}

#[test]
fn a_certificate_of_another_host_is_not_trusted() {
    let server = server(Certificate::OtherHost);
    let kind = refusal(&source(&[&server], trusting()), 0, 10);
    assert!(matches!(kind, FetchErrorKind::Untrusted(_)), "{kind:?}");
    assert_eq!(server.asked().len(), 0);
}

#[test]
fn a_certificate_out_of_its_time_hints_at_the_clock() {
    for certificate in [Certificate::Expired, Certificate::Future] {
        let server = server(certificate);
        let error = read(&source(&[&server], trusting()), 0, 10).expect_err("not now");
        assert!(matches!(error.kind, FetchErrorKind::CertificateTime(_)), "{error:?}");
        assert!(error.hint().expect("a hint").contains("clock"));
    }
}

#[test]
fn a_time_that_is_known_to_have_passed_mends_a_clock_that_is_behind() {
    let server = server(Certificate::Future);
    let mut config = trusting();
    let in_2119 = Duration::from_hours(24 * (149 * 365 + 37 + 30));
    config.trust.not_before = Some(SystemTime::UNIX_EPOCH + in_2119);
    assert_eq!(read(&source(&[&server], config), 0, 10).expect("read"), object(10));
}

#[test]
fn a_server_can_ask_who_we_are() {
    let server = Server::start_tls(Certificate::Good, true, |asked| Reply::object(&object(1000), asked));
    let error = within(Duration::from_secs(1), || read(&source(&[&server], trusting()), 0, 10));
    let error = error.expect_err("it does not know us");
    assert!(matches!(error.kind, FetchErrorKind::Rejected(_)), "{error:?}");
    assert!(error.hint().expect("a hint").contains("certificate of yours"));
    assert_eq!(server.asked().len(), 0);
    let mut config = trusting();
    let (certificate, key) = Certificate::CLIENT;
    config.trust.client = Some((certificate.to_vec(), key.to_vec()));
    assert_eq!(read(&source(&[&server], config), 0, 10).expect("read"), object(10));
}

#[test]
fn certificates_that_are_none_are_refused_from_the_start() {
    let mut config = config();
    config.trust.authorities = Some(b"no PEM".to_vec());
    let mirror = Mirror::new("https://store.example/").expect("a URL");
    let error = HttpSource::new(vec![mirror], config).expect_err("no certificate");
    assert!(matches!(error, ConfigError::Certificate(_)), "{error:?}");
}

#[test]
fn an_encrypted_connection_that_is_cut_is_a_body_that_ends_early() {
    for has_length in [true, false] {
        let server = Server::start_tls(Certificate::Good, false, move |asked| {
            let reply = Reply::object(&object(1000), asked);
            let reply = if has_length {
                reply
            } else {
                reply.without("Content-Length").header("Connection", "close")
            };
            if asked.number == 0 { reply.cut(30, End::Close) } else { reply.then(End::Close) }
        });
        assert_eq!(read(&source(&[&server], trusting()), 100, 200).expect("read"), object(1000)[100..200]);
        assert_eq!(ranges(&server.asked()), ["bytes=100-199", "bytes=130-199"]);
    }
}

#[test]
fn a_redirect_never_leads_from_https_to_http() {
    let plain = Server::start(|asked| Reply::object(&object(1000), asked));
    let target = plain.url();
    let server =
        Server::start_tls(Certificate::Good, false, move |_| Reply::new(302, "").header("Location", &target));
    let kind = refusal(&source(&[&server], trusting()), 0, 10);
    let is_told = matches!(kind, FetchErrorKind::Wrong(WrongAnswer::Redirect(RedirectRefused::Downgrade)));
    assert!(is_told, "{kind:?}");
    assert_eq!(plain.asked().len(), 0);
}

fn through(proxy: &Server) -> Config {
    let mut config = trusting();
    let url = format!("http://me:pw@127.0.0.1:{}", proxy.port());
    config.proxies = Proxies::new(None, Some(&url), "").expect("a proxy");
    config
}

#[test]
fn a_proxy_connects_us_and_learns_nothing() {
    let server = server(Certificate::Good);
    let port = server.port();
    let proxy = Server::start(move |_| Reply::new(200, "").without("Content-Length").then(End::Tunnel(port)));
    let mirror = Mirror::new(&server.url().replace("https://", "https://user:secret@")).expect("a URL");
    let source = HttpSource::new(vec![mirror], through(&proxy)).expect("a source");
    assert_eq!(read(&source, 0, 10).expect("read"), object(10));
    let asked = proxy.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (asked[0].method.as_str(), asked[0].target.as_str()),
        ("CONNECT", format!("127.0.0.1:{port}").as_str())
    );
    assert_eq!(asked[0].header("proxy-authorization"), Some("Basic bWU6cHc="));
    assert_eq!(asked[0].header("authorization"), None);
    let asked = &server.asked()[0];
    assert_eq!(asked.header("authorization"), Some("Basic dXNlcjpzZWNyZXQ="));
    assert_eq!(asked.header("proxy-authorization"), None);
}

#[test]
fn a_proxy_that_does_not_connect_us_says_why() {
    for status in [407, 502, 511] {
        let proxy = Server::start(move |_| Reply::new(status, "no"));
        let mirror = Mirror::new("https://store.example/").expect("a URL");
        let source = HttpSource::new(vec![mirror], through(&proxy)).expect("a source");
        let kind = within(Duration::from_secs(1), || refusal(&source, 0, 10));
        let is_told = match kind {
            FetchErrorKind::NotAuthorised { status: told } => (told, status) == (407, 407),
            FetchErrorKind::Network(Trouble::Proxy(told)) => (told, status) == (502, 502),
            FetchErrorKind::Portal => status == 511,
            _ => false,
        };
        assert!(is_told, "{kind:?}");
    }
}

#[test]
fn what_speaks_no_tls_is_a_broken_connection() {
    let plain = Server::start(|asked| Reply::object(&object(1000), asked));
    let mirror = Mirror::new(&plain.url().replace("http://", "https://")).expect("a URL");
    let source = HttpSource::new(vec![mirror], trusting()).expect("a source");
    let kind = within(Duration::from_secs(3), || refusal(&source, 0, 10));
    assert!(matches!(kind, FetchErrorKind::Network(_)), "{kind:?}");
}
