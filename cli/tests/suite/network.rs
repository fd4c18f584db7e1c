//! Extraction from servers.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use crate::image::noise;
use crate::sandbox::{CHUNK, Run, Sandbox};
use crate::servers::{Site, get};

const MIB: usize = 1 << 20;

/// A store with two versions of an image, and the images.
fn store() -> (Sandbox, Vec<u8>, Vec<u8>) {
    let sandbox = Sandbox::new();
    let old = noise(1, 6 * MIB);
    let mut new = old.clone();
    new[2 * MIB..2 * MIB + 300_000].copy_from_slice(&noise(2, 300_000));
    sandbox.write("image", &old);
    sandbox.chunk("make --version 1 image").succeeds();
    sandbox.write("old", &old);
    sandbox.write("image", &new);
    sandbox.chunk("make --version 2 --no-patch image").succeeds();
    sandbox.write("new", &new);
    (sandbox, old, new)
}

/// Extracts from `site` with the old version as seed, and compares.
#[track_caller]
fn updates_from(site: &Site, sandbox: &Sandbox, new: &[u8]) -> serde_json::Value {
    let url = site.url("image.cidx");
    let run = sandbox.chunk_with(["extract", "--json", "--seed", "old", &url, "target"]).succeeds();
    assert!(sandbox.read("target") == new, "the image is not the new version");
    fs::remove_file(sandbox.path("target")).expect("it is there");
    run.json()
}

#[test]
fn servers_with_ranges_send_what_is_missing() {
    let (sandbox, _, new) = store();
    let root = sandbox.path("store");
    let sites = [
        Site::nginx(&root, sandbox.root()),
        Site::lighttpd(&root, sandbox.root()),
        Site::caddy(&root),
        Some(Site::chunk(sandbox.root(), &["serve", "--listen", "127.0.0.1:0", "store"])),
    ];
    for site in sites.iter().flatten() {
        let report = updates_from(site, &sandbox, &new);
        let download = report["download_bytes"].as_u64().expect("a number");
        assert!((300_000..1_000_000).contains(&download), "{report}");
        assert_eq!(report["late_bytes"], 0, "{report}");
    }
}

#[test]
fn a_server_without_ranges_is_used_all_the_same() {
    let (sandbox, _, new) = store();
    let Some(site) = Site::python(&sandbox.path("store")) else { return };
    updates_from(&site, &sandbox, &new);
    let url = site.url("image.cidx");
    let refused = ["extract", "--max-overfetch", "1000", "--seed", "old", &url, "target"];
    sandbox.chunk_with(refused).fails(8).says("sends only all of it");
    assert!(!sandbox.path("target").exists());
}

#[test]
fn what_is_not_there_and_who_does_not_answer_are_told_apart() {
    let (sandbox, _, _) = store();
    let site = Site::chunk(sandbox.root(), &["serve", "--listen", "127.0.0.1:0", "store"]);
    sandbox.chunk_with(["extract", &site.url("none.cidx"), "target"]).fails(7).says("none.cidx is missing");
    let url = site.url("image.cidx");
    assert_eq!(site.stop(), Some(0));
    sandbox.chunk_with(["extract", "--deadline", "1", &url, "target"]).fails(8).says("hint: ");
    assert_eq!(sandbox.names("."), ["image", "new", "old", "store"]);
}

#[test]
fn an_index_that_is_cut_short_on_its_server_is_damaged_not_malformed() {
    let (sandbox, _, _) = store();
    let index = sandbox.read("store/image.cidx");
    let site = Site::chunk(sandbox.root(), &["serve", "--listen", "127.0.0.1:0", "store"]);
    for len in [10, 100, index.len() - 1] {
        sandbox.write("store/image.cidx", &index[..len]);
        let run =
            sandbox.chunk_with(["extract", "--deadline", "60", &site.url("image.cidx"), "target"]).fails(6);
        run.says(&format!("the index has {len} bytes of ")).says("hint: it was asked for past caches");
    }
}

#[test]
fn https_where_a_server_speaks_http_ends_at_once() {
    let (sandbox, _, _) = store();
    let Some(site) = Site::nginx(&sandbox.path("store"), sandbox.root()) else { return };
    let url = site.url("image.cidx").replace("http://", "https://");
    let run = sandbox.chunk_with(["extract", "--deadline", "60", &url, "target"]).fails(4);
    run.says("answers without encryption").says("hint: if the server speaks plain http");
}

#[test]
fn a_pinned_version_is_the_only_one_accepted() {
    let (sandbox, old, new) = store();
    let site = Site::chunk(sandbox.root(), &["serve", "--listen", "127.0.0.1:0", "store"]);
    let url = site.url("image.cidx");
    let pin = |image: &[u8]| format!("blake3:{}", blake3::hash(image));
    sandbox.chunk_with(["extract", "--expect", &pin(&old), &url, "target"]).fails(4);
    sandbox.chunk_with(["extract", "--expect", &pin(&new), &url, "target"]).succeeds();
}

#[test]
fn a_mirror_fills_in_for_a_broken_store() {
    let (sandbox, _, new) = store();

    let broken = sandbox.path("broken");
    fs::create_dir(&broken).expect("made");
    fs::copy(sandbox.path("store/image.cidx"), broken.join("image.cidx")).expect("copied");
    let first = Site::chunk(sandbox.root(), &["serve", "--listen", "127.0.0.1:0", "broken"]);
    let second = Site::chunk(sandbox.root(), &["serve", "--listen", "127.0.0.1:0", "store"]);
    let (url, mirror) = (first.url("image.cidx"), second.url(""));
    sandbox.chunk_with(["extract", "--seed", "old", &url, "target"]).fails(7);
    sandbox.chunk_with(["extract", "--seed", "old", "--store", &mirror, &url, "target"]).succeeds();
    assert!(sandbox.read("target") == new);
}

#[test]
fn what_was_pulled_is_not_downloaded_again() {
    let (sandbox, _, new) = store();
    let site = Site::chunk(sandbox.root(), &["serve", "--listen", "127.0.0.1:0", "store"]);
    let url = site.url("image.cidx");
    let with =
        |verb| [verb, "--json", "--cache", "cache", "--seed", "old", &url, "target"].map(str::to_owned);
    let pulled = sandbox.chunk_with(with("pull")).succeeds().json();
    assert!(!sandbox.path("target").exists());
    assert!(pulled["received_bytes"].as_u64().expect("a number") > 300_000, "{pulled}");
    assert_eq!((&pulled["write_bytes"], &pulled["cached_bytes"]), (&0.into(), &0.into()), "{pulled}");
    let again = sandbox.chunk_with(["pull", "--cache", "cache", "--seed", "old", &url, "target"]).succeeds();
    assert!(again.text().ends_with(" was in the cache already\n"), "{again}");
    let planned = sandbox.chunk_with(with("plan")).succeeds().json();
    let told = |key: &str| planned[key].as_u64().expect("a number");
    assert_eq!(told("cached_bytes"), told("download_bytes") - told("index_bytes"), "{planned}");
    assert_eq!(told("cache_disk_bytes"), 0, "{planned}");
    let allowed = ["--max-download".to_owned(), told("index_bytes").to_string()];
    let text = ["plan", "--cache", "cache", "--seed", "old", &url, "target"].map(str::to_owned);
    let text = sandbox.chunk_with(text.iter().chain(&allowed)).succeeds();
    assert!(text.text().contains(" of that from the cache, for "), "{text}");
    let extracted = sandbox.chunk_with(with("extract").iter().chain(&allowed)).succeeds().json();
    assert!(sandbox.read("target") == new);
    let received = extracted["received_bytes"].as_u64().expect("a number");
    assert!(received < 100_000, "only the index is left to be downloaded: {extracted}");
    let number = |key: &str| extracted[key].as_u64().expect("a number");
    assert!(number("cached_bytes") > 300_000, "{extracted}");
    assert!(number("sent_requests") < number("requests"), "what the cache has is not asked for: {extracted}");
    fs::remove_file(sandbox.path("target")).expect("it was made");
    let run = sandbox.chunk_with(["extract", "--cache", "cache", "--seed", "old", &url, "target"]).succeeds();
    assert!(run.text().contains(", from the cache "), "{run}");
}

#[test]
fn of_a_patch_that_was_pulled_nothing_is_downloaded_again() {
    let (sandbox, old, new) = store();
    sandbox.write("image", &old);
    sandbox.chunk("make --store patched --version 1 image").succeeds();
    let mut changed = old.clone();
    changed[5 * MIB..5 * MIB + 9].copy_from_slice(b"a release");
    sandbox.write("image", &changed);
    sandbox.chunk("make --store patched --version 2 image").succeeds();
    assert!(changed != new);
    let site = Site::chunk(sandbox.root(), &["serve", "--listen", "127.0.0.1:0", "patched"]);
    let url = site.url("image.cidx");
    let with =
        |verb| [verb, "--json", "--cache", "cache", "--seed", "old", &url, "target"].map(str::to_owned);
    let pulled = sandbox.chunk_with(with("pull")).succeeds().json();
    assert!(pulled["patch_bytes"].as_u64().expect("a number") > 0, "{pulled}");
    let planned = sandbox.chunk_with(with("plan")).succeeds().json();
    assert_eq!(planned["cached_bytes"], pulled["patch_bytes"], "{planned}");
    let extracted = sandbox.chunk_with(with("extract")).succeeds().json();
    assert!(sandbox.read("target") == changed);
    assert_eq!(extracted["sent_requests"], 1, "the front of the index: {extracted}");
    assert_eq!(extracted["cached_bytes"], pulled["patch_bytes"], "{extracted}");
}

#[test]
fn a_cache_that_cannot_be_used_fails_a_pull_and_nothing_else() {
    let (sandbox, _, new) = store();
    let site = Site::chunk(sandbox.root(), &["serve", "--listen", "127.0.0.1:0", "store"]);
    let url = site.url("image.cidx");
    sandbox.write("cache", b"a file");
    let with = |verb| [verb, "--cache", "cache", "--seed", "old", &url, "target"].map(str::to_owned);
    let pulled = sandbox.chunk_with(with("pull")).fails(10).answers_nothing();
    pulled.says("cache cannot be used").says("hint: --cache names a directory that can be written");
    let (_, counters) = get(&site.url("-/metrics"), "");
    let counters = String::from_utf8(counters).expect("text");
    assert!(counters.contains("chunk_requests_total 0\n"), "before anything is fetched: {counters}");
    let extracted = sandbox.chunk_with(with("extract"));
    assert_eq!(extracted.code(), Some(0), "{extracted}");
    extracted.says("warning: the cache cache cannot be used, it goes on without: not a directory");
    assert!(sandbox.read("target") == new);
    assert_eq!(sandbox.read("cache"), b"a file");
    let command = format!("exec {CHUNK} extract --events-fd 3 --cache cache --seed old {url} other 3>events");
    let run = Run::of(Command::new("sh").args(["-c", &command]).current_dir(sandbox.root()));
    assert_eq!(run.code(), Some(0), "{run}");
    let events = String::from_utf8(sandbox.read("events")).expect("text");
    assert!(events.contains("\"ev\":\"uncached\""), "{events}");
}

#[test]
fn there_is_nothing_to_pull_from_a_store_on_this_machine_and_nowhere_without_a_cache() {
    let (sandbox, _, _) = store();
    for cache in ["", "--cache cache "] {
        let run = sandbox.chunk(&format!("pull {cache}store/image.cidx target")).fails(2).answers_nothing();
        run.says("the store is on this machine: there is nothing to fetch ahead");
    }
    sandbox
        .chunk("pull http://127.0.0.1:9/image.cidx target")
        .fails(2)
        .says("hint: --cache DIR names a place");
    sandbox
        .chunk("pull --store http://127.0.0.1:9/ store/image.cidx target")
        .fails(2)
        .says("hint: --cache DIR names a place");
}

#[test]
fn an_image_is_served_that_nobody_has() {
    let (sandbox, _, new) = store();
    let site = Site::chunk(sandbox.root(), &["serve", "--listen", "127.0.0.1:0", "store"]);
    let url = site.url("image.cidx");
    let proxy = Site::chunk(sandbox.root(), &["proxy", "--seed", "old", &url]);
    let whole = proxy.url("").trim_end_matches('/').to_owned();
    assert!(whole.ends_with("/image"), "{whole}");
    let (head, body) = get(&whole, "");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(body == new, "the image is not the new version");
    let (head, body) = get(&whole, "Range: bytes=2097000-2097999\r\n");
    assert!(head.starts_with("HTTP/1.1 206"), "{head}");
    assert!(body == new[2_097_000..2_098_000]);
    // A page of a web site whose name leads here is shown nothing.
    let address = whole.trim_start_matches("http://").split('/').next().expect("a host").to_owned();
    let mut stream = TcpStream::connect(&address).expect("it listens");
    write!(stream, "GET /image HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 421"), "{answer}");
    assert_eq!(proxy.stop(), Some(0));
}

#[test]
fn the_server_counts_and_shows_nothing_outside() {
    let (sandbox, _, _) = store();
    let site = Site::chunk(sandbox.root(), &["serve", "--listen", "127.0.0.1:0", "store"]);
    let (head, _) = get(&site.url("../old"), "");
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    let (head, body) = get(&site.url("image.cidx"), "Range: bytes=0-7\r\n");
    assert!(head.starts_with("HTTP/1.1 206") && body == *b"chunkidx", "{head}");
    assert!(head.to_lowercase().contains("cache-control: no-cache"), "{head}");
    let pack = format!("packs/{}", sandbox.names("store/packs")[0]);
    let (head, _) = get(&site.url(&pack), "Range: bytes=0-7\r\n");
    assert!(head.to_lowercase().contains("immutable"), "{head}");
    let (_, counters) = get(&site.url("-/metrics"), "");
    let counters = String::from_utf8(counters).expect("text");
    assert!(counters.contains("chunk_requests_total 3\n"), "{counters}");
    assert!(counters.contains("chunk_sent_bytes_total 16\n"), "{counters}");
}

#[test]
fn a_target_is_verified_and_repaired_over_the_network_by_what_is_wrong_alone() {
    let (sandbox, _, new) = store();
    let site = Site::chunk(sandbox.root(), &["serve", "--listen", "127.0.0.1:0", "store"]);
    let url = site.url("image.cidx");
    sandbox.write("target", &new);
    sandbox.chunk_with(["verify", "target", &url]).succeeds();
    let mut rotten = new.clone();
    rotten[3 * MIB + 5] ^= 1;
    sandbox.write("target", &rotten);
    let run = sandbox.chunk_with(["verify", "--json", "target", &url]);
    assert_eq!(run.code(), Some(6), "{run}");
    let answer = run.json();
    assert_eq!(answer["wrong"], serde_json::json!([{"offset": 3 * MIB, "bytes": MIB}]), "{answer}");
    assert!(sandbox.read("target") == rotten, "it was only looked at");
    let answer = sandbox.chunk_with(["verify", "--json", "--repair", "target", &url]).succeeds().json();
    assert_eq!(answer["write_bytes"], 4096, "{answer}");
    let received = answer["received_bytes"].as_u64().expect("a number");
    assert!(received < MIB as u64, "a frame or two, and the index: {answer}");
    assert!(sandbox.read("target") == new);
}
