//! What a pipeline relies on when it drives the cutter.

use chunk_chunker::{Cutter, Params, Segment, cut, scan};

mod inputs;
mod reference;

use inputs::random;

const BLOCK: usize = 1 << 20;

fn segment(image: &[u8], index: usize) -> Segment<&[u8]> {
    let bytes = image.chunks(BLOCK).nth(index).expect("the image has so many blocks");
    Segment::new((index * BLOCK) as u64, bytes, Some(scan(Params::DEFAULT, bytes)))
}

fn ends(image: &[u8]) -> Vec<u64> {
    reference::cuts(Params::DEFAULT, image)
}

#[test]
fn after_a_restart_the_cuts_are_those_of_the_whole_image() {
    let image = random(1, 6 * BLOCK);
    let expected = ends(&image);
    let mut cutter = Cutter::new(Params::DEFAULT);
    cutter.push(segment(&image, 0));
    while cutter.next_chunk().is_some() {}

    // The first cut in block 4: what lies between is never pushed.
    let known = expected.partition_point(|&end| end < 4 * BLOCK as u64);
    cutter.restart(expected[known]);
    cutter.push(segment(&image, 4));
    cutter.push(segment(&image, 5));
    cutter.finish();
    let found: Vec<u64> = std::iter::from_fn(|| cutter.next_chunk()).map(|chunk| chunk.end).collect();
    assert_eq!(found, expected[known + 1..]);
}

#[test]
fn a_restart_within_the_segments_held_needs_no_other() {
    let image = random(2, 2 * BLOCK);
    let expected = ends(&image);
    let mut cutter = Cutter::new(Params::DEFAULT);
    cutter.push(segment(&image, 0));
    cutter.push(segment(&image, 1));
    cutter.finish();
    let known = expected.len() / 2;
    cutter.restart(expected[known]);
    assert_eq!(cutter.next_chunk(), Some(expected[known]..expected[known + 1]));
}

#[test]
fn a_restart_at_the_end_of_the_image_leaves_no_chunk() {
    let mut cutter = Cutter::<&[u8]>::new(Params::DEFAULT);
    cutter.restart(1 << 40);
    cutter.finish();
    assert_eq!(cutter.next_chunk(), None);
    assert_eq!(cutter.position(), 1 << 40);
}

#[test]
fn a_chunk_is_only_yielded_when_no_later_byte_can_move_its_end() {
    let image = random(3, BLOCK);
    let max = Params::DEFAULT.max() as usize;
    let mut cutter = Cutter::new(Params::DEFAULT);
    cutter.push(Segment::new(0, &image[..max - 1], None));
    assert_eq!(cutter.next_chunk(), None);
    cutter.push(Segment::new(max as u64 - 1, &image[max - 1..max], None));
    assert_eq!(cutter.next_chunk(), Some(0..cut(Params::DEFAULT, &image) as u64));
}

#[test]
fn the_bytes_of_a_chunk_are_there_until_its_segments_are_released() {
    let image = random(4, 3 * BLOCK);
    let mut cutter = Cutter::new(Params::DEFAULT);
    let mut across = 0;
    let mut rest = &image[..];
    for index in 0..3 {
        cutter.push(segment(&image, index));
        while let Some(chunk) = cutter.next_chunk() {
            across += usize::from(cutter.parts(chunk.clone()).count() == 2);
            let joined = cutter.parts(chunk).collect::<Vec<_>>().concat();
            rest = rest.strip_prefix(&joined[..]).expect("the chunk's bytes follow in the image");
            while cutter.release().is_some() {}
        }
    }
    assert_eq!(across, 2, "one chunk lies across each border of two blocks");
}

#[test]
fn a_segment_is_released_once_no_chunk_reaches_into_it() {
    let image = vec![0; 2 * BLOCK];
    let mut cutter = Cutter::new(Params::DEFAULT);
    cutter.push(segment(&image, 0));
    assert!(cutter.release().is_none());
    while cutter.next_chunk().is_some() {}
    assert_eq!(cutter.position(), BLOCK as u64);
    let released = cutter.release().expect("its last chunk ends with it");
    assert_eq!((released.offset(), released.end()), (0, BLOCK as u64));
    assert!(cutter.release().is_none());
}

#[test]
#[should_panic(expected = "segment at 2097152, expected at 1048576")]
fn a_missing_segment_is_noticed() {
    let image = random(5, 3 * BLOCK);
    let mut cutter = Cutter::new(Params::DEFAULT);
    cutter.push(segment(&image, 0));
    cutter.push(segment(&image, 2));
}

#[test]
#[should_panic(expected = "candidates for other parameters")]
fn candidates_for_other_parameters_are_noticed() {
    let other = Params::new(64, 256, 1024, 0).expect("within the limits");
    let bytes = random(6, 1000);
    Cutter::new(Params::DEFAULT).push(Segment::new(0, &bytes, Some(scan(other, &bytes))));
}

#[test]
#[should_panic(expected = "candidates of other bytes")]
fn candidates_of_other_bytes_are_noticed() {
    let bytes = random(7, 1000);
    let _ = Segment::new(0, &bytes[1..], Some(scan(Params::DEFAULT, &bytes)));
}

#[test]
#[should_panic(expected = "restart at 0, which is before")]
fn a_restart_never_goes_back() {
    let bytes = random(8, BLOCK);
    let mut cutter = Cutter::new(Params::DEFAULT);
    cutter.push(Segment::new(0, &bytes, None));
    cutter.next_chunk();
    cutter.restart(0);
}
