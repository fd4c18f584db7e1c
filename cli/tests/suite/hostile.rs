//! Servers that mean no good, and servers that want to know who asks.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chunk_testing::http::{Asked, Certificate, End, Reply, Server};

use crate::image::noise;
use crate::memory::peak_and_end;
use crate::sandbox::Sandbox;

const MIB: usize = 1 << 20;
/// What a server that wants to fill memory sends for each request.
const FLOOD: usize = 24 * MIB;

fn store() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("image", &noise(1, 12 * MIB));
    sandbox.chunk("make image").succeeds();
    sandbox
}

/// What an honest server of a store answers.
fn honest(root: &Path, asked: &Asked) -> Reply {
    let path = root.join(asked.target.trim_start_matches('/'));
    std::fs::read(path).map_or_else(|_| Reply::new(404, "no"), |object| Reply::object(&object, asked))
}

fn is_pack(asked: &Asked) -> bool {
    asked.target.starts_with("/packs/")
}

/// A name, an exit code, and what is made of an honest answer, given very many bytes.
type Attack = (&'static str, i32, fn(Reply, &Asked, &[u8]) -> Reply);

const ATTACKS: [Attack; 7] = [
    ("parts without end", 6, |reply, asked, flood| {
        let Some(range) = asked.range(usize::MAX).filter(|_| is_pack(asked)) else { return reply };
        let named = format!("bytes {}-{}/*", range.start, range.end - 1);
        Reply::new(206, flood).header("Content-Range", &named).chunked()
    }),
    (
        "whole objects without end",
        8,
        |reply, asked, flood| {
            if is_pack(asked) { Reply::new(200, flood).chunked() } else { reply }
        },
    ),
    ("an index without end", 8, |_, _, flood| Reply::new(200, flood).chunked()),
    ("an index as long as a disk", 6, |reply, asked, _| {
        if is_pack(asked) { reply } else { reply.header("Content-Range", "bytes 0-8191/1125899906842624") }
    }),
    ("a head without end", 8, |reply, asked, flood| {
        let text = "a".repeat(flood.len());
        if is_pack(asked) { reply.header("X-Filler", &text) } else { reply }
    }),
    ("silence in the middle of everything", 8, |reply, asked, _| {
        if is_pack(asked) { reply.cut(100_000, End::Silence) } else { reply }
    }),
    (
        "an error page without end",
        8,
        |reply, asked, flood| {
            if is_pack(asked) { Reply::new(503, flood) } else { reply }
        },
    ),
];

#[test]
fn no_server_can_make_a_device_take_more_memory_than_an_honest_one() {
    let sandbox = store();
    let extract = |server: &Server, deadline: &str, target: &str| {
        let url = format!("{}image.cidx", server.url());
        let options = ["--stall", "1", "--max-overfetch", "8MiB", "--deadline", deadline];
        let mut command = sandbox.command(["extract"].iter().chain(&options).chain(&[&*url, target]));
        peak_and_end(command.stderr(Stdio::null()), "VmHWM:")
    };
    let root = sandbox.path("store");
    let (usual, ended) = extract(&Server::start(move |asked| honest(&root, asked)), "60", "target");
    assert!(ended.success());
    let flood: Arc<[u8]> = vec![7; FLOOD].into();
    for (name, code, attack) in ATTACKS {
        let (root, flood) = (sandbox.path("store"), Arc::clone(&flood));
        let server = Server::start(move |asked| attack(honest(&root, asked), asked, &flood));
        // The network is tried until the deadline, and everything else ends before it.
        let deadline = if code == 8 { "3" } else { "60" };
        let (peak, ended) = extract(&server, deadline, "other");
        println!("{name}: {peak} kB, an honest server {usual} kB, {ended}");
        assert_eq!(ended.code(), Some(code), "{name}");
        assert!(peak < usual + 4000, "{name}: {peak} kB, an honest server {usual} kB");
        assert!(!sandbox.path("other").exists(), "{name}");
    }
}

/// What a server answers, the exit code, and a part of what is said.
type Refusal = (fn(Reply) -> Reply, i32, &'static str);

const REFUSALS: [Refusal; 11] = [
    (|_| Reply::new(404, "no"), 7, "is missing"),
    (|_| Reply::new(410, "no"), 7, "is missing"),
    (|_| Reply::new(416, "").header("Content-Range", "bytes */10"), 7, "ends before byte"),
    (|_| Reply::new(401, "no"), 9, "is refused to us with status 401"),
    (|_| Reply::new(403, "no"), 9, "is refused to us with status 403"),
    (|_| Reply::new(200, "<html>").header("Content-Type", "text/html"), 15, "a web page was sent instead of"),
    (|_| Reply::new(511, "log in"), 15, "a web page was sent instead of"),
    (|reply| reply.header("Content-Encoding", "gzip"), 8, "sends it encoded as"),
    (|reply| reply.header("Content-Range", "bytes 9-9/*"), 8, "sends other bytes than asked for"),
    (|_| Reply::new(302, "").header("Location", "/again"), 8, "the server redirects too often"),
    (|_| Reply::new(503, "").header("Retry-After", "3600"), 8, "try again later"),
];

#[test]
fn what_keeps_an_image_from_coming_is_told_by_exit_code_and_message() {
    let sandbox = store();
    for (refuse, code, message) in REFUSALS {
        for in_packs in [false, true] {
            let root = sandbox.path("store");
            let server = Server::start(move |asked| {
                let reply = honest(&root, asked);
                if asked.target == "/again" || is_pack(asked) == in_packs { refuse(reply) } else { reply }
            });
            let url = format!("{}image.cidx", server.url());
            let started_at = Instant::now();
            sandbox.chunk_with(["extract", &url, "target"]).fails(code).says(message);
            assert!(started_at.elapsed() < Duration::from_secs(10), "{message}: {:?}", started_at.elapsed());
            assert!(!sandbox.path("target").exists());
        }
    }
}

#[test]
fn who_cannot_prove_who_it_is_is_told_from_a_clock_that_is_wrong() {
    let sandbox = store();
    sandbox.write("authority.pem", Certificate::AUTHORITY);
    for (certificate, message) in [
        (Certificate::OtherHost, "cannot be trusted"),
        (Certificate::Expired, "hint: set this machine's clock"),
        (Certificate::Future, "hint: set this machine's clock"),
    ] {
        let root = sandbox.path("store");
        let server = Server::start_tls(certificate, false, move |asked| honest(&root, asked));
        let url = format!("{}image.cidx", server.url());
        let run = sandbox.chunk_with(["extract", "--cacert", "authority.pem", &url, "target"]).fails(4);
        run.says(message);
        assert_eq!(server.asked().len(), 0, "nothing was asked of it");
    }
}

#[test]
fn a_server_that_wants_to_know_who_asks_is_told_or_named() {
    let sandbox = store();
    let (certificate, key) = Certificate::CLIENT;
    sandbox.write("authority.pem", Certificate::AUTHORITY);
    sandbox.write("certificate.pem", certificate);
    sandbox.write("key.pem", key);
    let root = sandbox.path("store");
    let server = Server::start_tls(Certificate::Good, true, move |asked| honest(&root, asked));
    let url = format!("{}image.cidx", server.url());
    let stranger = ["extract", "--cacert", "authority.pem", &url, "target"];
    let run = sandbox.chunk_with(stranger).fails(9);
    run.says("wants a certificate of ours").says("hint: give a certificate of yours");
    assert!(!sandbox.path("target").exists());
    let known = ["--cert", "certificate.pem", "--key", "key.pem"];
    sandbox.chunk_with(stranger.into_iter().chain(known)).succeeds();
    assert!(sandbox.read("target") == sandbox.read("image"));
}
