//! Faults in any order: the exact bytes or a clean error, and never a hang.

use std::time::Duration;

use chunk_fetch::{FetchErrorKind, Source};
use chunk_testing::http::{Asked, End, Reply, Server};
use proptest::prelude::*;

use crate::fixture::{PACK, config, object, source, within};

const LEN: usize = 300_000;

/// What a server does to an honest answer.
#[derive(Clone, Debug)]
enum Fault {
    None,
    Status(u16),
    Cut(usize, bool),
    Silence(usize),
    Whole,
    WholeChunked,
    Encoded,
    Page,
    Shifted(i8),
    More(usize),
    Less(usize),
    Redirect,
    Unlabelled,
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => Just(Fault::None),
        2 => prop::sample::select(vec![404, 403, 410, 416, 429, 500, 503, 204, 418]).prop_map(Fault::Status),
        3 => (0..LEN, any::<bool>()).prop_map(|(at, is_reset)| Fault::Cut(at, is_reset)),
        1 => (0..LEN).prop_map(Fault::Silence),
        1 => Just(Fault::Whole),
        1 => Just(Fault::WholeChunked),
        1 => Just(Fault::Encoded),
        1 => Just(Fault::Page),
        1 => (1i8..10).prop_map(Fault::Shifted),
        1 => (1usize..5000).prop_map(Fault::More),
        2 => (1usize..200_000).prop_map(Fault::Less),
        1 => Just(Fault::Redirect),
        1 => Just(Fault::Unlabelled),
    ]
}

fn reply(fault: &Fault, object: &[u8], asked: &Asked) -> Reply {
    let range = asked.range(LEN).expect("every request has a range");
    let honest = Reply::object(object, asked);
    match *fault {
        _ if range.is_empty() => honest,
        Fault::None => honest,
        Fault::Status(status) => Reply::new(status, "no"),
        Fault::Cut(at, is_reset) => honest.cut(at, if is_reset { End::Reset } else { End::Close }),
        Fault::Silence(at) => honest.cut(at, End::Silence),
        Fault::Whole => Reply::new(200, object),
        Fault::WholeChunked => Reply::new(200, object).chunked().drip(50_000, Duration::ZERO),
        Fault::Encoded => honest.header("Content-Encoding", "br"),
        Fault::Page => Reply::new(200, "<html>").header("Content-Type", "text/html"),
        Fault::Shifted(by) => {
            let by = usize::from(by.unsigned_abs());
            Reply::part(object, (range.start + by).min(LEN - 1)..(range.end + by).min(LEN))
        }
        Fault::More(by) => Reply::part(object, range.start.saturating_sub(by)..(range.end + by).min(LEN)),
        Fault::Less(len) => Reply::part(object, range.start..range.end.min(range.start + len)),
        Fault::Redirect => Reply::new(307, "").header("Location", "/elsewhere"),
        Fault::Unlabelled => honest.without("Content-Range"),
    }
}

fn scripted(faults: Vec<Fault>) -> Server {
    let object = object(LEN);
    // When the script is over, the server is honest.
    Server::start(move |asked| reply(faults.get(asked.number).unwrap_or(&Fault::None), &object, asked))
}

proptest! {
    // A failure prints the faults that led to it, and the seed is kept beside this file.
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_schedule_of_faults_ends_in_the_exact_bytes_or_a_clean_error(
        first in prop::collection::vec(fault(), 0..12),
        second in prop::collection::vec(fault(), 0..12),
        has_second in any::<bool>(),
        reads in prop::collection::vec((0..LEN, 1..LEN, 0u32..3), 1..4),
    ) {
        let (first, second) = (scripted(first), scripted(second));
        let mut config = config();
        config.stall = Duration::from_millis(100);
        config.hedge_after = Duration::from_millis(50);
        let source = if has_second { source(&[&first, &second], config) } else { source(&[&first], config) };
        let object = object(LEN);
        for (start, len, doubt) in reads {
            let end = (start + len).min(LEN);
            let range = u64::try_from(start).expect("small")..u64::try_from(end).expect("small");
            let mut buffer = Vec::new();
            let result = within(Duration::from_secs(10), || source.read_again(PACK, range, doubt, &mut buffer));
            match result {
                Ok(()) => prop_assert!(buffer == object[start..end], "other bytes"),
                Err(error) => prop_assert!(!matches!(error.kind, FetchErrorKind::Io(_) | FetchErrorKind::Cancelled), "{error:?}"),
            }
        }
    }
}
