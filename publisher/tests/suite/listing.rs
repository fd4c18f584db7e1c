//! The first version of an image: its chunk list, its block hashes, and the way back.

use chunk_chunker::Params;
use chunk_chunker::image::BLOCK;
use chunk_publisher::Outcome;

use crate::images::mixed;
use crate::inputs::random;
use crate::store::{Store, figures, image};

#[test]
fn an_image_is_listed_by_the_rules_and_rebuilt_at_every_length_around_a_block() {
    let bytes = random(1, 2 * BLOCK + 1);
    let lengths = [0, 1, 255, 256, 257, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, 2 * BLOCK + 1];
    for len in lengths {
        let store = Store::new();
        let report = store.make(&bytes[..len], &image());
        assert_eq!(report.outcome, Outcome::Published);
        assert_eq!((report.new_bytes, report.packs > 0), (len as u64, len > 0));
        store.assert_holds("image.cidx", &bytes[..len]);
        store.assert_newest("image", "1");
        store.assert_whole();
    }
}

#[test]
fn zeros_are_listed_and_not_stored_at_every_length_around_a_block() {
    for len in [1, 8191, 8192, 8193, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK - 1, 3 * BLOCK + 1] {
        let store = Store::new();
        let report = store.make(&vec![0; len], &image());
        assert_eq!(figures(&report), (Outcome::Published, 0, 0, 0, 0), "{len} bytes");
        assert_eq!(report.record.blocks(), 0);
        store.assert_holds("image.cidx", &vec![0; len]);
        store.assert_whole();
    }
}

#[test]
fn an_image_is_listed_by_the_rules_under_any_parameters() {
    let bytes = mixed(2, 5 * BLOCK + 4321);
    let all = [(64, 256, 1024, 0), (64, 1024, 1024, 3), (1024, 4096, 32768, 2), (2048, 65536, 1 << 20, 3)];
    for (min, avg, max, level) in all {
        let mut store = Store::new();
        store.options.params = Params::new(min, avg, max, level).unwrap();
        store.make(&bytes, &image());
        store.assert_holds("image.cidx", &bytes);
        store.assert_whole();
    }
}

#[test]
fn every_way_to_divide_chunks_among_frames_and_packs_leads_to_them() {
    let bytes = mixed(3, 3 * BLOCK);
    for (frame_len, pack_len) in
        [(1, 1 << 12), (1, 64 << 20), (4 << 10, 1), (1 << 20, 1 << 16), (2 << 20, 64 << 20)]
    {
        let mut store = Store::new();
        (store.options.frame_len, store.options.pack_len) = (frame_len, pack_len);
        store.make(&bytes, &image());
        store.assert_holds("image.cidx", &bytes);
        store.assert_whole();
    }
}

#[test]
fn chunks_that_occur_again_are_stored_once() {
    let part = random(4, BLOCK + 77_777);
    let bytes = [&part[..], &[0; 5000], &part, &vec![7; 3 * BLOCK], &part].concat();
    let store = Store::new();
    let report = store.make(&bytes, &image());
    store.assert_holds("image.cidx", &bytes);
    let most = (part.len() + 10 * 8192) as u64;
    assert!(report.new_bytes <= most, "{} bytes of at most {most} different ones", report.new_bytes);
}
