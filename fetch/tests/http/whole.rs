//! Servers that send no ranges.

use std::thread;

use chunk_fetch::{FetchErrorKind, Source, WrongAnswer};
use chunk_testing::http::{Reply, Server};

use crate::fixture::{PACK, config, object, open, read, refusal, source};

#[test]
fn a_whole_object_is_fetched_once_for_all_reads() {
    for is_chunked in [false, true] {
        let server = Server::start(move |_| {
            let reply = Reply::new(200, object(100_000));
            if is_chunked { reply.chunked().drip(10_000, std::time::Duration::ZERO) } else { reply }
        });
        let source = source(&[&server], config());
        for (start, end) in [(100, 200), (0, 10), (99_999, 100_000), (0, 100_000)] {
            let expected = &object(100_000)
                [usize::try_from(start).expect("small")..usize::try_from(end).expect("small")];
            assert_eq!(read(&source, start, end).expect("read"), expected);
        }
        assert!(matches!(refusal(&source, 99_999, 100_001), FetchErrorKind::Short));
        assert_eq!(server.asked().len(), 1);
        assert_eq!(source.spent().requests, 1);
    }
}

#[test]
fn readers_at_once_wait_for_the_one_that_fetches() {
    let server = Server::start(|_| {
        Reply::new(200, object(1 << 20)).drip(1 << 16, std::time::Duration::from_millis(2))
    });
    let source = source(&[&server], config());
    // The first shows that there are no ranges.
    read(&source, 5, 10).expect("read");
    thread::scope(|scope| {
        for reader in 0..8u64 {
            let source = &source;
            scope.spawn(move || {
                let mut buffer = Vec::new();
                source.read("packs/1.pack", reader..reader + 1000, &mut buffer).expect("read");
                assert_eq!(buffer, object(2000)[usize::try_from(reader).expect("small")..][..1000]);
            });
        }
    });
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn readers_at_once_that_do_not_know_yet_do_not_wait_for_each_other_for_ever() {
    let server =
        Server::start(|_| Reply::new(200, object(1 << 16)).delay(std::time::Duration::from_millis(50)));
    let source = source(&[&server], config());
    thread::scope(|scope| {
        for reader in 0..24u64 {
            let source = &source;
            scope.spawn(move || {
                let bytes = read(source, reader + 1, reader + 100).expect("read");
                assert_eq!(bytes.len(), 99);
            });
        }
    });
    assert!(server.asked().len() < 24, "{} requests", server.asked().len());
}

#[test]
fn an_object_that_is_too_long_is_refused_before_it_comes() {
    let server = Server::start(|_| Reply::new(200, object(1 << 20)));
    let mut config = config();
    config.max_overfetch = 1000;
    let source = source(&[&server], config);
    let kind = refusal(&source, 100, 200);
    let is_told =
        matches!(kind, FetchErrorKind::Wrong(WrongAnswer::NoRanges { len: Some(0x10_0000), at_most: 1000 }));
    assert!(is_told, "{kind:?}");
}

#[test]
fn an_object_that_grows_too_long_is_refused_when_it_does() {
    let server = Server::start(|_| {
        Reply::new(200, object(1 << 20)).chunked().drip(1 << 14, std::time::Duration::from_millis(2))
    });
    let mut config = config();
    config.max_overfetch = 100_000;
    let source = source(&[&server], config);
    let kind = refusal(&source, 100, 200);
    assert!(matches!(kind, FetchErrorKind::Wrong(WrongAnswer::NoRanges { len: None, .. })), "{kind:?}");
    assert!(source.spent().bytes < 1 << 20, "{:?}", source.spent());
}

#[test]
fn the_front_of_a_long_object_comes_without_the_rest() {
    let server = Server::start(|_| Reply::new(200, object(16 << 20)));
    let mut config = config();
    config.max_overfetch = 100_000;
    let source = source(&[&server], config);
    assert_eq!(open(&source, 1000).expect("opened"), (16 << 20, object(1000)));
    assert_eq!(read(&source, 0, 2000).expect("read"), object(2000));
    assert!(source.spent().bytes < 8 << 20, "{:?}", source.spent());
}

#[test]
fn a_whole_object_that_was_asked_for_is_an_answer_like_any_other() {
    let server = Server::start(|_| Reply::new(200, object(1000)));
    let mut config = config();
    config.max_overfetch = 0;
    let source = source(&[&server], config);
    assert_eq!(read(&source, 0, 1000).expect("read"), object(1000));
    assert_eq!(open(&source, 4096).expect("opened"), (1000, object(1000)));
}

#[test]
fn a_kept_object_that_is_wrong_is_fetched_again() {
    let server = Server::start(|asked| {
        let mut bytes = object(1000);
        bytes[500] = u8::try_from(asked.number).expect("few");
        Reply::new(200, bytes)
    });
    let source = source(&[&server], config());
    assert_eq!(read(&source, 500, 501).expect("read"), [0]);
    assert_eq!(read(&source, 500, 501).expect("read"), [0]);
    let mut buffer = Vec::new();
    source.read_again(PACK, 500..501, 1, &mut buffer).expect("read");
    assert_eq!(buffer, [1]);
}

#[test]
fn a_server_that_learns_ranges_is_asked_for_ranges() {
    let server = Server::start(|asked| match asked.number {
        0 => Reply::new(200, object(1000)),
        _ => Reply::object(&object(1000), asked),
    });
    let source = source(&[&server], config());
    read(&source, 100, 200).expect("read");
    let mut buffer = Vec::new();
    source.read("packs/1.pack", 100..200, &mut buffer).expect("read");
    assert_eq!(buffer, object(1000)[100..200]);
    let before = source.spent().bytes;
    source.read("packs/1.pack", 200..300, &mut buffer).expect("read");
    assert!(source.spent().bytes - before < 400);
}
