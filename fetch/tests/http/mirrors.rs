//! Several mirrors.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chunk_fetch::http::{Observer, Order};
use chunk_fetch::{FetchErrorKind, Source};
use chunk_testing::http::{End, Reply, Server};

use crate::fixture::{PACK, config, object, ranges, read, refusal, source, within};

fn honest() -> Server {
    Server::start(|asked| Reply::object(&object(1000), asked))
}

fn ordered() -> chunk_fetch::http::Config {
    let mut config = config();
    config.order = Order::Ordered;
    config
}

#[test]
fn whatever_a_mirror_does_the_next_one_is_asked() {
    let replies: [fn() -> Reply; 9] = [
        || Reply::new(404, "no"),
        || Reply::new(403, "no"),
        || Reply::new(401, "no"),
        || Reply::new(503, "later"),
        || Reply::new(416, "").header("Content-Range", "bytes */5"),
        || Reply::new(200, "<html>").header("Content-Type", "text/html"),
        || Reply::new(200, object(1000)).header("Content-Encoding", "gzip"),
        || Reply::part(&object(1000), 5..10),
        || Reply::new(200, "").cut(0, End::Reset),
    ];
    for reply in replies {
        let (bad, good) = (Server::start(move |_| reply()), honest());
        let source = source(&[&bad, &good], ordered());
        assert_eq!(within(Duration::from_secs(1), || read(&source, 0, 10)).expect("read"), object(10));
        assert_eq!((bad.asked().len(), good.asked().len()), (1, 1));
        // It rests now.
        assert_eq!(read(&source, 10, 20).expect("read"), object(20)[10..]);
        assert_eq!((bad.asked().len(), good.asked().len()), (1, 2));
    }
}

#[test]
fn the_rest_of_a_range_may_come_from_another_mirror() {
    let torn = Server::start(|asked| {
        Reply::object(&object(1000), asked).header("ETag", "\"1\"").cut(30, End::Close)
    });
    let good = Server::start(|asked| Reply::object(&object(1000), asked).header("ETag", "\"other\""));
    assert_eq!(read(&source(&[&torn, &good], ordered()), 0, 100).expect("read"), object(100));
    assert_eq!(ranges(&good.asked()), ["bytes=30-99"]);
}

#[test]
fn when_all_mirrors_refuse_what_says_most_is_told() {
    let missing = Server::start(|_| Reply::new(404, "no"));
    let locked = Server::start(|_| Reply::new(401, "no"));
    let error = read(&source(&[&missing, &locked], ordered()), 0, 1).expect_err("nothing");
    assert!(matches!(error.kind, FetchErrorKind::NotAuthorised { status: 401 }), "{error:?}");
    assert_eq!(error.location, format!("{}{PACK}", locked.url()));
    assert_eq!((missing.asked().len(), locked.asked().len()), (2, 1));
    let busy = Server::start(|_| Reply::new(503, "later"));
    let kind = refusal(&source(&[&missing, &busy], ordered()), 0, 1);
    assert!(matches!(kind, FetchErrorKind::Network(_)), "it may be there later: {kind:?}");
}

#[test]
fn wrong_bytes_lead_past_caches_and_then_to_another_mirror() {
    let (first, second) = (honest(), honest());
    let source = source(&[&first, &second], ordered());
    read(&source, 0, 10).expect("read");
    let mut buffer = Vec::new();
    source.read_again(PACK, 0..10, 1, &mut buffer).expect("read");
    assert_eq!((first.asked().len(), second.asked().len()), (2, 0));
    source.read_again(PACK, 0..10, 2, &mut buffer).expect("read");
    assert_eq!((first.asked().len(), second.asked().len()), (2, 1));
    assert_eq!(first.asked()[1].header("cache-control"), Some("no-cache"));
}

#[test]
fn a_slow_mirror_is_not_waited_for() {
    let slow = Server::start(|asked| Reply::object(&object(1000), asked).delay(Duration::from_hours(1)));
    let fast = honest();
    let mut config = ordered();
    config.stall = Duration::from_mins(1);
    config.hedge_after = Duration::from_millis(100);
    let source = source(&[&slow, &fast], config);
    assert_eq!(within(Duration::from_secs(1), || read(&source, 0, 10)).expect("read"), object(10));
    assert_eq!((slow.asked().len(), fast.asked().len()), (1, 1));
    assert_eq!(source.spent().retries, 1);
}

#[test]
fn a_second_mirror_that_fails_does_not_spoil_the_first() {
    let slow = Server::start(|asked| Reply::object(&object(1000), asked).delay(Duration::from_millis(250)));
    let broken = Server::start(|_| Reply::new(500, "broken"));
    let mut config = ordered();
    config.hedge_after = Duration::from_millis(50);
    let source = source(&[&slow, &broken], config);
    assert_eq!(read(&source, 0, 10).expect("read"), object(10));
    assert_eq!((slow.asked().len(), broken.asked().len()), (1, 1));
}

#[test]
fn equal_mirrors_share_the_work_by_what_they_can() {
    let slow = Server::start(|asked| Reply::object(&object(1000), asked).delay(Duration::from_millis(40)));
    let fast = Server::start(|asked| Reply::object(&object(1000), asked).delay(Duration::from_millis(2)));
    let source = source(&[&slow, &fast], config());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    read(&source, 0, 1000).expect("read");
                }
            });
        }
    });
    let (slow, fast) = (slow.asked().len(), fast.asked().len());
    assert!(slow >= 1 && fast >= 80, "{slow} of the slow one, {fast} of the fast one");
}

#[test]
fn requests_are_told_to_whoever_watches_without_secrets() {
    let bad = Server::start(|_| Reply::new(404, "no"));
    let good = honest();
    let log = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&log);
    let mut config = ordered();
    config.observer = Some(Observer::new(move |exchange| {
        let line =
            format!("{} {:?} {} {:?}", exchange.url, exchange.range, exchange.received, exchange.failure);
        lines.lock().expect("no panic").push(line);
    }));
    read(&source(&[&bad, &good], config), 5, 10).expect("read");
    let expected =
        [format!("{}{PACK} 5..10 0 Some(Missing)", bad.url()), format!("{}{PACK} 5..10 5 None", good.url())];
    assert_eq!(*log.lock().expect("no panic"), expected);
}
