//! Images whose blocks draw on many frames each.

use std::fs;

use chunk_chunker::Params;
use chunk_extract::Existing;

use crate::images::noise;
use crate::store::Store;
use crate::tries::{assert_is, job, run};

/// What a frame of the first version holds.
const FRAME: usize = 256 << 10;
const PIECE: usize = FRAME / 16;

/// Some frames are used by every block, others by two blocks that lie far apart. All of them fit in what may wait in
/// memory, so none need be fetched twice, however often the first are used in between.
#[test]
fn a_frame_is_fetched_once_if_all_that_wait_have_room() {
    const USED_BY_ALL: usize = 24;
    const USED_TWICE: usize = 15;
    let store = Store::with(Params::new(256, 1024, 8192, 1).expect("within the limits"), 256 << 10);
    let first = noise(1, (USED_BY_ALL + USED_TWICE) * FRAME);
    store.make("image", &first);
    let piece = |frame: usize, piece: usize| &first[frame * FRAME + piece * PIECE..][..PIECE];
    let mut second = Vec::new();
    for round in 0..10 {
        second.extend((0..USED_BY_ALL).flat_map(|frame| piece(frame, round)).copied());
        for rare in 0..3 {
            let frame = USED_BY_ALL + round % 5 * 3 + rare;
            second.extend((0..8).flat_map(|number| piece(frame, round / 5 * 8 + number)).copied());
        }
    }
    let index = store.make("image", &second);
    let packs = fs::read_dir(store.path().join("packs")).expect("it is there");
    let stored: u64 = packs.map(|pack| pack.and_then(|pack| pack.metadata()).expect("a file").len()).sum();

    let directory = tempfile::tempdir().expect("a temporary directory");
    let target = directory.path().join("target");
    let source = store.source();
    run(&source, job(&source, index, &target, Existing::Keep));
    assert_is(&target, &second);
    println!("{} bytes of {stored}", source.bytes());
    assert!(source.bytes() <= stored, "{} bytes of {stored}", source.bytes());
}
