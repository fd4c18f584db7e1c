//! What comes as an answer, and whether it is believed.

use std::time::Duration;

use chunk_fetch::{FetchErrorKind, Source, Trouble, WrongAnswer};
use chunk_testing::http::{End, Reply, Server};

use crate::fixture::{PACK, config, object, open, ranges, read, refusal, source};

#[test]
fn a_request_is_a_get_of_one_range_without_encoding() {
    let server = Server::start(|asked| Reply::object(&object(1000), asked));
    let source = source(&[&server], config());
    assert_eq!(read(&source, 100, 200).expect("read"), object(1000)[100..200]);
    assert_eq!(open(&source, 10).expect("opened"), (1000, object(10)));
    let asked = server.asked();
    assert_eq!(ranges(&asked), ["bytes=100-199", "bytes=0-9"]);
    for asked in &asked {
        assert_eq!(asked.method, "GET");
        assert_eq!(asked.header("accept-encoding"), Some("identity"));
        assert_eq!(asked.header("if-range"), None);
        assert_eq!(asked.connection, 0, "one after the other, requests share a connection");
    }
    assert_eq!(asked[0].target, "/packs/0.pack");
    let spent = source.spent();
    assert_eq!((spent.requests, spent.retries), (2, 0));
    assert!((110..600).contains(&spent.bytes), "{spent:?}");
}

#[test]
fn no_bytes_cost_no_request_and_a_front_may_be_the_whole_object() {
    let server = Server::start(|asked| {
        Reply::object(if asked.target.contains("cidx") { b"" } else { b"0123" }, asked)
    });
    let source = source(&[&server], config());
    assert_eq!(read(&source, 7, 7).expect("nothing"), b"");
    assert_eq!(server.asked().len(), 0);
    assert_eq!(open(&source, 100).expect("opened"), (0, Vec::new()));
    let mut buffer = Vec::new();
    assert_eq!(source.open(PACK, u64::MAX, &mut buffer).expect("opened"), 4);
    assert_eq!(buffer, b"0123");
    assert_eq!(source.open(PACK, 0, &mut buffer).expect("opened"), 4);
    assert_eq!(buffer, b"");
}

#[test]
fn an_encoded_answer_is_refused_whole_or_in_part() {
    for is_part in [false, true] {
        let server = Server::start(move |asked| {
            let reply =
                if is_part { Reply::object(&object(1000), asked) } else { Reply::new(200, object(1000)) };
            reply.header("Content-Encoding", "gzip").header("ETag", "W/\"1\"")
        });
        let source = source(&[&server], config());
        let kind = refusal(&source, 100, 200);
        assert!(
            matches!(&kind, FetchErrorKind::Wrong(WrongAnswer::Encoded(name)) if name == "gzip"),
            "{kind:?}"
        );
        assert_eq!(server.asked().len(), 2, "once more past caches");
    }
}

#[test]
fn a_part_that_holds_more_is_skipped_into() {
    let server = Server::start(|_| Reply::part(&object(1000), 50..900));
    let source = source(&[&server], config());
    assert_eq!(read(&source, 100, 200).expect("read"), object(1000)[100..200]);
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_part_that_holds_less_is_completed() {
    let server = Server::start(|asked| {
        let range = asked.range(1000).expect("a range");
        Reply::part(&object(1000), range.start..range.end.min(range.start + 40))
    });
    let source = source(&[&server], config());
    assert_eq!(read(&source, 100, 200).expect("read"), object(1000)[100..200]);
    assert_eq!(ranges(&server.asked()), ["bytes=100-199", "bytes=140-199", "bytes=180-199"]);
}

#[test]
fn a_server_that_gives_a_byte_at_a_time_is_given_up() {
    let server = Server::start(|asked| {
        let range = asked.range(1000).expect("a range");
        Reply::part(&object(1000), range.start..range.start + 1)
    });
    let kind = refusal(&source(&[&server], config()), 100, 200);
    assert!(matches!(kind, FetchErrorKind::Network(Trouble::Ended { missing: 96 })), "{kind:?}");
    assert_eq!(server.asked().len(), 4);
}

#[test]
fn an_unknown_total_is_no_obstacle() {
    let server = Server::start(|asked| {
        let range = asked.range(1000).expect("a range");
        let named = format!("bytes {}-{}/*", range.start, range.end - 1);
        Reply::part(&object(1000), range).header("Content-Range", &named)
    });
    let source = source(&[&server], config());
    assert_eq!(read(&source, 100, 200).expect("read"), object(1000)[100..200]);
    assert_eq!(open(&source, 5000).expect("opened"), (1000, object(1000)));
}

#[test]
fn other_bytes_than_those_asked_for_are_refused() {
    let replies: [fn() -> Reply; 5] = [
        // A gateway that takes the first of several ranges for the only one, and means another.
        || Reply::part(&object(1000), 0..100),
        || Reply::part(&object(1000), 101..200),
        || Reply::part(&object(1000), 100..200).without("Content-Range"),
        || Reply::part(&object(1000), 100..200).header("Content-Range", "items 100-199/1000"),
        || {
            let body =
                "--fkj49sn38dcn3\r\nContent-Range: bytes 100-199/1000\r\n\r\nabc\r\n--fkj49sn38dcn3--\r\n";
            Reply::new(206, body).header("Content-Type", "multipart/byteranges; boundary=fkj49sn38dcn3")
        },
    ];
    for reply in replies {
        let server = Server::start(move |_| reply());
        let kind = refusal(&source(&[&server], config()), 100, 200);
        assert!(matches!(kind, FetchErrorKind::Wrong(WrongAnswer::OtherRange(_))), "{kind:?}");
    }
}

#[test]
fn a_body_that_is_longer_or_shorter_than_its_range_is_refused() {
    for body in [99, 101] {
        let server = Server::start(move |_| {
            Reply::new(206, object(body)).header("Content-Range", "bytes 100-199/1000")
        });
        let kind = refusal(&source(&[&server], config()), 100, 200);
        let is_told = matches!(kind, FetchErrorKind::Wrong(WrongAnswer::Length { range: 100, body: told }) if usize::try_from(told) == Ok(body));
        assert!(is_told, "{kind:?}");
    }
}

#[test]
fn a_body_without_a_length_is_taken_only_as_far_as_it_is_wanted() {
    let server = Server::start(|_| {
        let reply = Reply::new(206, object(1 << 20)).header("Content-Range", "bytes 0-99/1000");
        reply.chunked().drip(1 << 14, Duration::from_millis(10))
    });
    let source = source(&[&server], config());
    assert_eq!(read(&source, 0, 100).expect("read"), object(100));
    assert!(source.spent().bytes < 1 << 18, "{:?}", source.spent());
}

#[test]
fn a_range_beyond_the_end_tells_that_the_object_is_too_short() {
    let server = Server::start(|asked| Reply::object(&object(150), asked));
    let source = source(&[&server], config());
    for (start, end) in [(100, 200), (150, 200), (1000, 2000)] {
        let kind = refusal(&source, start, end);
        assert!(matches!(kind, FetchErrorKind::Short), "{kind:?}");
    }
    assert_eq!(server.asked().len(), 6, "each once more past caches");
}

#[test]
fn a_body_that_ends_early_is_resumed_where_it_ended() {
    for end in [End::Close, End::Reset] {
        let server = Server::start(move |asked| {
            let reply = Reply::object(&object(1000), asked);
            if asked.number == 0 { reply.cut(30, end) } else { reply }
        });
        let source = source(&[&server], config());
        assert_eq!(read(&source, 100, 200).expect("read"), object(1000)[100..200]);
        let asked = server.asked();
        // A reset may overtake the bytes before it.
        assert!(
            matches!(ranges(&asked)[..], ["bytes=100-199", "bytes=130-199" | "bytes=100-199"]),
            "{asked:?}"
        );
        assert_eq!(source.spent().retries, 1);
    }
}

#[test]
fn an_object_that_changes_on_the_way_is_begun_again() {
    let other: Vec<u8> = object(1000).iter().map(|byte| byte ^ 0xff).collect();
    let expected = other[100..200].to_vec();
    let server = Server::start(move |asked| match asked.number {
        0 => Reply::object(&object(1000), asked).header("ETag", "\"1\"").cut(30, End::Close),
        _ => Reply::object(&other, asked).header("ETag", "\"2\""),
    });
    assert_eq!(read(&source(&[&server], config()), 100, 200).expect("read"), expected);
    assert_eq!(ranges(&server.asked()), ["bytes=100-199", "bytes=130-199", "bytes=100-199"]);
}

#[test]
fn a_page_instead_of_an_index_is_told_as_such() {
    let page = "<!DOCTYPE html><title>Welcome to our hotel</title>";
    let replies: [fn(&str) -> Reply; 4] = [
        |page| Reply::new(200, page).header("Content-Type", "text/html; charset=utf-8"),
        |page| Reply::new(511, page),
        |page| Reply::new(200, page),
        |page| Reply::new(200, page).header("Content-Type", "text/html").header("Content-Encoding", "gzip"),
    ];
    for reply in replies {
        let server = Server::start(move |_| reply(page));
        let error = open(&source(&[&server], config()), 4096).expect_err("a page");
        assert!(matches!(error.kind, FetchErrorKind::Portal), "{error:?}");
        assert!(error.to_string().starts_with("a web page was sent instead of http://127.0.0.1:"), "{error}");
        assert_eq!(server.asked().len(), 1);
    }
}

#[test]
fn a_page_that_nobody_calls_one_is_told_from_an_object_that_is_too_short() {
    let server = Server::start(|_| Reply::new(200, "<html>log in</html>"));
    let kind = refusal(&source(&[&server], config()), 0, 1000);
    assert!(matches!(kind, FetchErrorKind::Portal), "{kind:?}");
}

#[test]
fn a_server_that_sends_parts_is_asked_for_the_rest_as_long_as_they_are_no_crumbs() {
    let parts = |len: usize| {
        Server::start(move |asked| {
            let range = asked.range(100_000).expect("a range");
            Reply::part(&object(100_000), range.start..range.end.min(range.start + len))
        })
    };
    let server = parts(1000);
    assert_eq!(read(&source(&[&server], config()), 0, 50_000).expect("read"), object(50_000));
    assert_eq!(server.asked().len(), 50);
    let server = parts(1);
    read(&source(&[&server], config()), 0, 50_000).expect_err("crumbs");
    assert_eq!(server.asked().len(), 4);
}

#[test]
fn what_is_missing_is_asked_for_once_more_past_caches() {
    for (status, is_missing) in [(404, true), (410, true), (403, false)] {
        let server = Server::start(move |_| Reply::new(status, "no"));
        let kind = refusal(&source(&[&server], config()), 0, 1);
        match kind {
            FetchErrorKind::Missing => assert!(is_missing),
            FetchErrorKind::NotAuthorised { status: told } => assert_eq!((told, is_missing), (status, false)),
            other => panic!("{other:?}"),
        }
        let asked = server.asked();
        assert_eq!(asked[1].connection, 0, "a short answer that is no use does not cost the connection");
        let cache_control: Vec<_> = asked.iter().map(|asked| asked.header("cache-control")).collect();
        assert_eq!(cache_control, [None, Some("no-cache")]);
    }
}

#[test]
fn what_a_cache_wrongly_remembers_as_missing_is_found() {
    let server = Server::start(|asked| match asked.header("cache-control") {
        None => Reply::new(404, "no"),
        Some(_) => Reply::object(&object(1000), asked),
    });
    assert_eq!(read(&source(&[&server], config()), 0, 100).expect("found"), object(100));
}

#[test]
fn wrong_bytes_are_asked_for_again_past_caches() {
    let server = Server::start(|asked| Reply::object(&object(1000), asked));
    let source = source(&[&server], config());
    let mut buffer = Vec::new();
    for doubt in [1, 2] {
        source.read_again(PACK, 0..10, doubt, &mut buffer).expect("read");
        assert_eq!(buffer, object(10));
    }
    assert!(server.asked().iter().all(|asked| asked.header("cache-control") == Some("no-cache")));
}
