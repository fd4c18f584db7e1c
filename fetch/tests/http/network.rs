//! A network that fails, and how much patience it is met with.

use std::num::NonZeroU64;
use std::thread;
use std::time::{Duration, Instant};

use chunk_fetch::http::{Mirror, Proxies};
use chunk_fetch::{FetchErrorKind, HttpSource, Source, Trouble};
use chunk_testing::http::{End, Reply, Server};

use crate::fixture::{config, object, read, refusal, source, within};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_server_that_is_busy_is_asked_again() {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let server = Server::start(move |asked| match asked.number {
            0 | 1 => Reply::new(status, "later"),
            _ => Reply::object(&object(1000), asked),
        });
        let source = source(&[&server], config());
        assert_eq!(within(SECOND, || read(&source, 0, 10)).expect("read"), object(10));
        assert_eq!(source.spent().retries, 2);
    }
}

#[test]
fn a_server_that_stays_busy_is_given_up() {
    let server = Server::start(|_| Reply::new(503, "later"));
    let source = source(&[&server], config());
    let error = within(SECOND, || read(&source, 0, 10)).expect_err("busy");
    assert!(matches!(error.kind, FetchErrorKind::Network(Trouble::Status { status: 503, .. })), "{error:?}");
    assert!(error.is_transient());
    assert_eq!(server.asked().len(), 4);
}

#[test]
fn a_server_is_left_alone_for_as_long_as_it_wants() {
    let server = Server::start(|asked| match asked.number {
        0 => Reply::new(429, "later").header("Retry-After", "1"),
        _ => Reply::object(&object(1000), asked),
    });
    let source = source(&[&server], config());
    let started_at = Instant::now();
    assert_eq!(read(&source, 0, 10).expect("read"), object(10));
    assert!((SECOND..2 * SECOND).contains(&started_at.elapsed()), "{:?}", started_at.elapsed());
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_server_that_wants_too_much_rest_is_given_up_at_once() {
    for rest in ["301", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let server = Server::start(move |_| Reply::new(503, "later").header("Retry-After", rest));
        let error = within(SECOND, || read(&source(&[&server], config()), 0, 10)).expect_err("busy");
        let FetchErrorKind::Network(Trouble::Status { retry_after: Some(told), .. }) = error.kind else {
            panic!("{error:?}")
        };
        assert!(told > 300 * SECOND);
        assert!(error.hint().expect("a hint").contains("try again later"));
        assert_eq!(server.asked().len(), 1);
    }
}

#[test]
fn a_connection_that_breaks_before_the_answer_is_tried_again() {
    for end in [End::Close, End::Reset] {
        let server = Server::start(move |asked| match asked.number {
            0 | 1 => Reply::nothing(end),
            _ => Reply::object(&object(1000), asked),
        });
        assert_eq!(within(SECOND, || read(&source(&[&server], config()), 0, 10)).expect("read"), object(10));
    }
}

#[test]
fn nobody_there_is_told_soon() {
    let port = Server::start(|_| Reply::new(200, "")).port();
    let mirror = Mirror::new(&format!("http://127.0.0.1:{port}/")).expect("a URL");
    let source = HttpSource::new(vec![mirror], config()).expect("a source");
    // The server has ended with its statement; its thread may take a moment.
    thread::sleep(Duration::from_millis(100));
    let kind = within(SECOND, || refusal(&source, 0, 10));
    assert!(matches!(kind, FetchErrorKind::Network(Trouble::Connect(_))), "{kind:?}");
}

#[test]
fn a_host_without_an_address_is_told_as_such() {
    let mirror = Mirror::new("http://no-such-host.invalid/").expect("a URL");
    let source = HttpSource::new(vec![mirror], config()).expect("a source");
    let kind = refusal(&source, 0, 10);
    assert!(matches!(kind, FetchErrorKind::Network(Trouble::Resolve(_) | Trouble::Stalled(_))), "{kind:?}");
}

#[test]
fn a_server_that_closes_connections_without_a_word_is_no_failure() {
    let server = Server::start(|asked| Reply::object(&object(1000), asked).then(End::Close));
    let mut config = config();
    config.max_attempts = 1;
    let source = source(&[&server], config);
    for start in 0..20 {
        assert_eq!(read(&source, start, start + 1).expect("read").len(), 1);
    }
}

#[test]
fn silence_and_drip_are_given_up_before_and_after_the_head() {
    let replies: [fn(Reply) -> Reply; 4] = [
        |reply| reply.delay(3600 * SECOND),
        |reply| reply.cut(0, End::Silence),
        |reply| reply.cut(50, End::Silence),
        |reply| reply.drip(1, Duration::from_millis(100)),
    ];
    for reply in replies {
        let server = Server::start(move |asked| reply(Reply::object(&object(1000), asked)));
        let mut config = config();
        config.max_attempts = 2;
        let source = source(&[&server], config);
        let kind = within(2 * SECOND, || refusal(&source, 0, 900));
        assert!(matches!(kind, FetchErrorKind::Network(Trouble::Stalled(_))), "{kind:?}");
        assert_eq!(server.asked().len(), 2);
    }
}

#[test]
fn a_slow_line_that_is_not_too_slow_is_waited_for() {
    let server =
        Server::start(|asked| Reply::object(&object(10_000), asked).drip(200, Duration::from_millis(20)));
    let source = source(&[&server], config());
    assert_eq!(read(&source, 0, 10_000).expect("read"), object(10_000));
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn the_deadline_ends_everything() {
    let server = Server::start(|asked| Reply::object(&object(1000), asked).delay(3600 * SECOND));
    let mut config = config();
    config.stall = 3600 * SECOND;
    config.deadline = Some(Duration::from_millis(200));
    let source = source(&[&server], config);
    let kind = within(SECOND, || refusal(&source, 0, 10));
    assert!(matches!(kind, FetchErrorKind::Network(Trouble::Deadline)), "{kind:?}");
    let kind = within(Duration::from_millis(100), || refusal(&source, 0, 10));
    assert!(matches!(kind, FetchErrorKind::Network(Trouble::Deadline)), "{kind:?}");
}

#[test]
fn until_the_deadline_however_many_failures_are_met_with_another_try() {
    let server = Server::start(|asked| match asked.number {
        0..20 => Reply::nothing(End::Reset),
        _ => Reply::object(&object(1000), asked),
    });
    let mut config = config();
    config.deadline = Some(60 * SECOND);
    assert!(config.max_attempts < 20);
    assert_eq!(read(&source(&[&server], config), 0, 10).expect("read"), object(10));
}

#[test]
fn the_deadline_is_not_slept_through() {
    let server = Server::start(|_| Reply::new(503, "later").header("Retry-After", "60"));
    let mut config = config();
    config.deadline = Some(SECOND);
    let kind = within(SECOND, || refusal(&source(&[&server], config), 0, 10));
    assert!(matches!(kind, FetchErrorKind::Network(Trouble::Status { status: 503, .. })), "{kind:?}");
}

#[test]
fn cancelling_ends_all_that_wait_within_a_tenth_of_a_second() {
    let server = Server::start(|asked| Reply::object(&object(1000), asked).delay(3600 * SECOND));
    let mut config = config();
    config.stall = 3600 * SECOND;
    let cancel = config.cancel.clone();
    let source = source(&[&server], config);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..8).map(|_| scope.spawn(|| refusal(&source, 0, 10))).collect();
        thread::sleep(Duration::from_millis(200));
        cancel.cancel();
        within(Duration::from_millis(150), || {
            for reader in readers {
                let kind = reader.join().expect("no panic");
                assert!(matches!(kind, FetchErrorKind::Cancelled), "{kind:?}");
            }
        });
    });
    within(Duration::from_millis(100), || drop(source));
}

#[test]
fn the_rate_is_kept_over_all_requests_and_is_no_stall() {
    let server = Server::start(|asked| Reply::object(&object(1 << 20), asked));
    let mut config = config();
    config.stall = Duration::from_millis(100);
    config.limit_rate = NonZeroU64::new(200_000);
    let source = source(&[&server], config);
    let started_at = Instant::now();
    thread::scope(|scope| {
        for reader in 0..4u64 {
            let source = &source;
            scope.spawn(move || read(source, reader, reader + 50_000).expect("read"));
        }
    });
    let took = started_at.elapsed();
    assert!((Duration::from_millis(900)..2 * SECOND).contains(&took), "{took:?}");
    assert_eq!(server.asked().len(), 4);
}

#[test]
fn requests_at_once_are_limited_by_host_and_by_what_it_bears() {
    let busy = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let most = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (counted, seen) = (busy.clone(), most.clone());
    let server = Server::start(move |asked| {
        use std::sync::atomic::Ordering::SeqCst;
        seen.fetch_max(counted.fetch_add(1, SeqCst) + 1, SeqCst);
        thread::sleep(Duration::from_millis(5));
        counted.fetch_sub(1, SeqCst);
        Reply::object(&object(1000), asked)
    });
    let mut config = config();
    config.max_connections = 6;
    let source = source(&[&server], config);
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                for _ in 0..10 {
                    read(&source, 0, 1000).expect("read");
                }
            });
        }
    });
    let most = most.load(std::sync::atomic::Ordering::SeqCst);
    assert!((4..=6).contains(&most), "{most} requests at once");
    let connections = server.asked().iter().map(|asked| asked.connection).max().expect("requests") + 1;
    assert!(connections <= 6, "{connections} connections");
}

#[test]
fn a_name_with_addresses_that_do_not_answer_is_connected_to_by_one_that_does() {
    // `localhost` is ::1 and 127.0.0.1 on most machines; the server is on the second alone.
    let server = Server::start(|asked| Reply::object(&object(1000), asked));
    let mirror = Mirror::new(&format!("http://localhost:{}/", server.port())).expect("a URL");
    let source = HttpSource::new(vec![mirror], config()).expect("a source");
    assert_eq!(within(SECOND, || read(&source, 0, 10)).expect("read"), object(10));
}

#[test]
fn a_proxy_is_told_the_whole_url_and_who_we_are() {
    let proxy = Server::start(|asked| Reply::object(&object(1000), asked));
    let mut config = config();
    let url = format!("http://me:pw@127.0.0.1:{}", proxy.port());
    config.proxies = Proxies::new(Some(&url), None, "").expect("a proxy");
    let mirror = Mirror::new("http://store.example/os").expect("a URL");
    let source = HttpSource::new(vec![mirror], config).expect("a source");
    assert_eq!(read(&source, 0, 10).expect("read"), object(10));
    let asked = &proxy.asked()[0];
    assert_eq!(asked.target, "http://store.example/os/packs/0.pack");
    assert_eq!(asked.header("host"), Some("store.example"));
    assert_eq!(asked.header("proxy-authorization"), Some("Basic bWU6cHc="));
    assert_eq!(asked.header("authorization"), None);
}

#[test]
fn a_source_can_be_used_by_reference_and_dropped_while_nobody_reads() {
    let server = Server::start(|asked| Reply::object(&object(1000), asked));
    let source = source(&[&server], config());
    let by_reference: &dyn Source = &&source;
    let mut buffer = Vec::new();
    by_reference.read("packs/0.pack", 0..10, &mut buffer).expect("read");
    within(Duration::from_millis(100), || drop(source));
}
