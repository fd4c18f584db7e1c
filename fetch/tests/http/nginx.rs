//! A real server.

use std::thread;

use chunk_fetch::http::{Config, Mirror};
use chunk_fetch::{FetchErrorKind, HttpSource, Source};
use chunk_testing::http::Nginx;

use crate::fixture::{config, object};

fn source(nginx: &Nginx, config: Config) -> HttpSource {
    HttpSource::new(vec![Mirror::new(&nginx.url()).expect("a URL")], config).expect("a source")
}

fn put(nginx: &Nginx, object: &str, bytes: &[u8]) {
    nginx.put(object, bytes).expect("written");
}

#[test]
fn ranges_fronts_and_missing_objects_are_had_from_nginx() {
    let Some(nginx) = Nginx::start("") else { return };
    put(&nginx, "packs/a.pack", &object(1 << 20));
    put(&nginx, "image.cidx", &object(5000));
    put(&nginx, "empty.cidx", b"");
    let source = source(&nginx, config());
    let mut buffer = Vec::new();
    thread::scope(|scope| {
        for reader in 0..8usize {
            let source = &source;
            scope.spawn(move || {
                let mut buffer = Vec::new();
                for at in (reader * 1000..1 << 20).step_by(100_000) {
                    let end = (at + 3000).min(1 << 20);
                    let range = u64::try_from(at).expect("small")..u64::try_from(end).expect("small");
                    source.read("packs/a.pack", range, &mut buffer).expect("read");
                    assert_eq!(buffer, object(1 << 20)[at..end]);
                }
            });
        }
    });
    assert_eq!(source.spent().retries, 0);
    assert_eq!(source.open("image.cidx", 100, &mut buffer).expect("opened"), 5000);
    assert_eq!(buffer, object(100));
    assert_eq!(source.open("image.cidx", 1 << 20, &mut buffer).expect("opened"), 5000);
    assert_eq!(buffer, object(5000));
    assert_eq!(source.open("empty.cidx", 100, &mut buffer).expect("opened"), 0);
    let error = source.read("packs/b.pack", 0..1, &mut buffer).expect_err("missing");
    assert!(matches!(error.kind, FetchErrorKind::Missing), "{error:?}");
    let error = source.read("image.cidx", 4000..6000, &mut buffer).expect_err("short");
    assert!(matches!(error.kind, FetchErrorKind::Short), "{error:?}");
}

#[test]
fn an_nginx_without_ranges_gives_whole_objects_once() {
    let Some(nginx) = Nginx::start("max_ranges 0;") else { return };
    put(&nginx, "packs/a.pack", &object(1 << 20));
    let source = source(&nginx, config());
    let mut buffer = Vec::new();
    for start in [7, 100_000, 1_000_000] {
        source.read("packs/a.pack", start..start + 1000, &mut buffer).expect("read");
        assert_eq!(buffer, object(1 << 20)[usize::try_from(start).expect("small")..][..1000]);
    }
    assert_eq!(source.spent().requests, 1);
}

#[test]
fn an_nginx_that_compresses_is_not_asked_to() {
    let Some(nginx) = Nginx::start("gzip on; gzip_types *; gzip_min_length 1;") else { return };
    put(&nginx, "packs/a.pack", &object(1 << 20));
    let source = source(&nginx, config());
    let mut buffer = Vec::new();
    source.read("packs/a.pack", 1000..2000, &mut buffer).expect("read");
    assert_eq!(buffer, object(2000)[1000..]);
    assert!(source.spent().bytes < 2000);
}

#[cfg(feature = "tls")]
#[test]
fn an_nginx_that_wants_our_certificate_is_told_from_one_that_has_nothing() {
    use chunk_testing::http::Certificate;
    for protocols in ["TLSv1.2", "TLSv1.3"] {
        let options =
            format!("ssl_client_certificate authority; ssl_verify_client on; ssl_protocols {protocols};");
        let Some(nginx) = Nginx::start_tls(&options) else { return };
        put(&nginx, "packs/a.pack", &object(1000));
        let mut config = config();
        config.trust.authorities = Some(Certificate::AUTHORITY.to_vec());
        let mut buffer = Vec::new();
        let strangers = source(&nginx, config.clone());
        let error = strangers.read("packs/a.pack", 0..10, &mut buffer).expect_err("nobody knows us");
        assert!(matches!(error.kind, FetchErrorKind::Rejected(_)), "{error:?}");
        assert_eq!(strangers.spent().requests, 1, "it is not asked again");
        let (certificate, key) = Certificate::CLIENT;
        config.trust.client = Some((certificate.to_vec(), key.to_vec()));
        source(&nginx, config).read("packs/a.pack", 0..10, &mut buffer).expect("it knows us");
        assert_eq!(buffer, object(10));
    }
}

#[cfg(feature = "tls")]
#[test]
fn nginx_is_spoken_to_in_http2_if_that_is_wanted() {
    let Some(nginx) = Nginx::start_tls("") else { return };
    put(&nginx, "packs/a.pack", &object(1 << 20));
    for (http2, protocol) in [(false, "HTTP/1.1"), (true, "HTTP/2.0")] {
        let mut config = config();
        config.trust.authorities = Some(chunk_testing::http::Certificate::AUTHORITY.to_vec());
        config.http2 = http2;
        let source = source(&nginx, config);
        thread::scope(|scope| {
            for reader in 0..8u64 {
                let source = &source;
                scope.spawn(move || {
                    let mut buffer = Vec::new();
                    source.read("packs/a.pack", reader..reader + 100_000, &mut buffer).expect("read");
                    let start = usize::try_from(reader).expect("small");
                    assert_eq!(buffer, object(1 << 20)[start..start + 100_000]);
                });
            }
        });
        let mut buffer = Vec::new();
        let error = source.read("packs/b.pack", 0..1, &mut buffer).expect_err("missing");
        assert!(matches!(error.kind, FetchErrorKind::Missing), "{error:?}");
        drop(source);
        let answers = nginx.answers().expect("a log");
        assert_eq!(answers.last().expect("an answer").protocol, protocol);
    }
}

#[cfg(feature = "tls")]
#[test]
fn a_server_that_does_not_encrypt_is_not_asked_again() {
    let Some(nginx) = Nginx::start("") else { return };
    let url = nginx.url().replace("http://", "https://");
    let source = HttpSource::new(vec![Mirror::new(&url).expect("a URL")], config()).expect("a source");
    let error = source.read("packs/a.pack", 0..10, &mut Vec::new()).expect_err("it speaks HTTP");
    assert!(matches!(error.kind, FetchErrorKind::Unencrypted), "{error:?}");
    assert!(error.hint().expect("a hint").contains("plain http"));
    assert_eq!(source.spent().retries, 0);
}
