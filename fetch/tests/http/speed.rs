//! What a source knows of the way to its servers.

use std::time::Duration;

use chunk_fetch::http::Mirror;
use chunk_fetch::{HttpSource, Source};
use chunk_testing::http::{Relay, Reply, Server};

use crate::fixture::{config, object, open, read};

const LEN: usize = 400_000;

#[test]
fn a_long_narrow_way_is_measured_by_what_was_fetched_over_it() {
    let server = Server::start(|asked| Reply::object(&object(LEN), asked));
    let round_trip = Duration::from_millis(80);
    let relay = Relay::start(server.port(), round_trip / 2, 1_000_000).expect("a relay");
    let mirror = Mirror::new(&format!("http://127.0.0.1:{}/", relay.port())).expect("a URL");
    let source = HttpSource::new(vec![mirror], config()).expect("a source");
    open(&source, 16 << 10).expect("read");
    assert_eq!(source.speed(), None, "too little has come");
    read(&source, 0, LEN as u64).expect("read");
    let speed = source.speed().expect("measured");
    // A machine that is busy makes every way longer and slower, never shorter or faster.
    assert!((round_trip..4 * round_trip).contains(&speed.round_trip), "{speed:?}");
    assert!((250_000..1_100_000).contains(&speed.rate), "{speed:?}");
    assert_eq!(speed.at_once, 16);
}
