//! What is written as a pack reads back as it was, and nothing else reads as a pack.

#![expect(clippy::unwrap_used, reason = "whatever fails here fails the test")]

use chunk_chunker::Name;
use chunk_store::pack::{Table, Writer};
use chunk_store::{Backend, Compressor, Decoder, Directory, Frame, FrameError, Key, MAX_FRAME};
use proptest::prelude::*;

/// Bytes that zstd can shorten, different for each seed.
fn text(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| seed.wrapping_add(u8::try_from(at % 7).unwrap())).collect()
}

/// Bytes that zstd cannot shorten.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| step()).collect()
}

fn write_pack(store: &Directory, frames: &[Vec<Vec<u8>>]) -> (Vec<u8>, Vec<Frame>) {
    let mut compressor = Compressor::new(3).unwrap();
    let mut writer = Writer::new(store).unwrap();
    let mut places = Vec::new();
    for chunks in frames {
        let lines: Vec<_> = chunks.iter().map(|c| (Name::of(c), u32::try_from(c.len()).unwrap())).collect();
        let (stored, raw) = compressor.compress(chunks.concat()).unwrap();
        places.push(writer.push(&stored, raw, &lines).unwrap());
    }
    let sealed = writer.seal().unwrap();
    let bytes = store.open(&Key::pack(&sealed.name), 1 << 30).unwrap().as_ref().to_vec();
    assert_eq!(bytes.len() as u64, sealed.len);
    assert_eq!(*blake3::hash(&bytes).as_bytes(), *sealed.name.as_bytes());
    (bytes, places)
}

fn small_pack() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let store = Directory::open_for_writing(directory.path()).unwrap();
    let frames = [vec![text(1, 90), text(2, 50)], vec![noise(3, 64)], vec![text(4, 300)]];
    write_pack(&store, &frames).0
}

#[test]
fn a_pack_reads_back_as_it_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let store = Directory::open_for_writing(directory.path()).unwrap();
    let frames = [vec![text(1, 9000), text(2, 5000)], vec![noise(3, 7000)], vec![text(4, 1), text(5, 2)]];
    let (bytes, places) = write_pack(&store, &frames);
    let table = Table::decode(&bytes).unwrap();
    assert_eq!(table.frames(), places);
    assert_eq!(places.iter().map(|frame| frame.raw).collect::<Vec<_>>(), [false, true, true]);
    let mut decoder = Decoder::new().unwrap();
    let mut plain = Vec::new();
    for chunk in table.chunks() {
        let frame = table.frames()[chunk.frame as usize];
        let stored = &bytes[frame.offset as usize..][..frame.stored_len as usize];
        decoder.decode(&frame, stored, &mut plain).unwrap();
        assert_eq!(Name::of(&plain[chunk.first as usize..][..chunk.len as usize]), chunk.name);
    }
    assert_eq!(table.chunks().len(), 5);
}

#[test]
fn every_shorter_pack_is_refused() {
    let pack = small_pack();
    for len in 0..pack.len() {
        assert!(Table::decode(&pack[..len]).is_err(), "{len} of {} bytes", pack.len());
    }
}

#[test]
fn every_flipped_byte_outside_the_frames_is_found_by_the_table() {
    let pack = small_pack();
    let table = Table::decode(&pack).unwrap();
    let frames: std::ops::Range<usize> = {
        let last = table.frames().last().unwrap();
        16..(last.offset + last.stored_len) as usize
    };
    for at in (0..pack.len()).filter(|at| !frames.contains(at)) {
        for flip in 1..=255 {
            let mut damaged = pack.clone();
            damaged[at] ^= flip;
            assert!(Table::decode(&damaged).is_err(), "byte {at} xor {flip:#x}");
        }
    }
}

#[test]
fn a_table_that_lies_about_its_counts_allocates_nothing_for_them() {
    let mut table = Vec::new();
    table.extend_from_slice(&u32::MAX.to_le_bytes());
    table.extend_from_slice(&u32::MAX.to_le_bytes());
    let error = Table::decode(&pack_around(&[], &table)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("pack table states {0} frames and {0} chunks, its length differs", u32::MAX)
    );
}

#[test]
fn frames_and_chunks_that_do_not_add_up_are_refused() {
    let line = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    let chunk = |len: u32| [vec![7; 32], line(&[len])].concat();
    let frame = |stored: u32, plain: u32, raw: u32, chunks: u32| line(&[stored, plain * 2 + raw, chunks]);
    let cases: [(&str, Vec<u8>); 9] = [
        ("chunks shorter than the frame", [line(&[1, 1]), frame(4, 10, 0, 1), chunk(9)].concat()),
        ("chunks longer than the frame", [line(&[1, 1]), frame(4, 10, 0, 1), chunk(11)].concat()),
        ("sum overflows", [line(&[1, 2]), frame(4, 10, 0, 2), chunk(u32::MAX), chunk(11)].concat()),
        ("empty chunk", [line(&[1, 2]), frame(4, 10, 0, 2), chunk(0), chunk(10)].concat()),
        ("raw of other length", [line(&[1, 1]), frame(4, 10, 1, 1), chunk(10)].concat()),
        ("too long a frame", [line(&[1, 1]), frame(4, MAX_FRAME + 1, 0, 1), chunk(MAX_FRAME + 1)].concat()),
        ("too long a chunk", [line(&[1, 1]), frame(4, (1 << 20) + 1, 0, 1), chunk((1 << 20) + 1)].concat()),
        ("a chunk too many", [line(&[1, 2]), frame(4, 10, 0, 1), chunk(10), chunk(10)].concat()),
        ("a chunk too few", [line(&[1, 1]), frame(4, 10, 0, 2), chunk(9)].concat()),
    ];
    let good = [line(&[1, 1]), frame(4, 10, 0, 1), chunk(10)].concat();
    assert!(Table::decode(&pack_around(&[0; 4], &good)).is_ok());
    assert!(Table::decode(&pack_around(&[0; 5], &good)).is_err(), "a stray byte between frames and table");
    for (what, table) in cases {
        assert!(Table::decode(&pack_around(&[0; 4], &table)).is_err(), "{what}");
    }
}

/// A pack with a right trailer around any frames and table.
fn pack_around(frames: &[u8], table: &[u8]) -> Vec<u8> {
    let mut pack = b"chunkpak\x01\0\0\0\0\0\0\0".to_vec();
    pack.extend_from_slice(frames);
    let offset = pack.len() as u64;
    pack.extend_from_slice(table);
    pack.extend_from_slice(&offset.to_le_bytes());
    pack.extend_from_slice(blake3::hash(table).as_bytes());
    pack.extend_from_slice(b"chunkend");
    pack
}

#[test]
fn a_frame_must_be_exactly_one_zstd_frame_of_the_stated_length() {
    let plain = text(1, 5000);
    let (stored, raw) = Compressor::new(3).unwrap().compress(plain.clone()).unwrap();
    assert!(!raw);
    let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap();
    let frame = Frame { offset: 16, stored_len: len(&stored), plain_len: 5000, raw: false };
    let mut decoder = Decoder::new().unwrap();
    let mut out = Vec::new();
    decoder.decode(&frame, &stored, &mut out).unwrap();
    assert_eq!(out, plain);

    let twice = [stored.clone(), stored.clone()].concat();
    let trailing = [stored.clone(), vec![0]].concat();
    let cases: Vec<(&str, Frame, Vec<u8>)> = vec![
        ("two frames", Frame { stored_len: len(&twice), plain_len: 10000, ..frame }, twice),
        ("trailing byte", Frame { stored_len: len(&trailing), ..frame }, trailing),
        (
            "cut short",
            Frame { stored_len: frame.stored_len - 1, ..frame },
            stored[..stored.len() - 1].to_vec(),
        ),
        ("longer than stated", Frame { plain_len: 4999, ..frame }, stored.clone()),
        ("shorter than stated", Frame { plain_len: 5001, ..frame }, stored.clone()),
        ("impossible length", Frame { plain_len: MAX_FRAME + 1, ..frame }, stored.clone()),
        ("nothing", Frame { plain_len: 0, ..frame }, stored.clone()),
        ("other number of bytes", frame, stored[1..].to_vec()),
        ("raw of other length", Frame { raw: true, ..frame }, stored.clone()),
        ("skippable frame", Frame { stored_len: 8, ..frame }, b"\x50\x2a\x4d\x18\0\0\0\0".to_vec()),
    ];
    for (what, frame, stored) in cases {
        assert!(decoder.decode(&frame, &stored, &mut out).is_err(), "{what}");
    }
    let bomb = Frame { plain_len: u32::MAX >> 1, ..frame };
    let mut fresh = Vec::new();
    let error = decoder.decode(&bomb, &stored, &mut fresh).unwrap_err();
    assert!(matches!(error, FrameError::PlainLength { .. }));
    assert_eq!(fresh.capacity(), 0, "nothing is allocated for a length out of bounds");
}

proptest! {
    #[test]
    fn damaged_frames_never_decode_to_another_length(flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4)) {
        let (mut stored, raw) = Compressor::new(3).unwrap().compress(text(9, 3000)).unwrap();
        for (at, flip) in flips {
            let at = at.index(stored.len());
            stored[at] ^= flip;
        }
        let frame = Frame { offset: 16, stored_len: u32::try_from(stored.len()).unwrap(), plain_len: 3000, raw };
        let mut out = Vec::new();
        if Decoder::new().unwrap().decode(&frame, &stored, &mut out).is_ok() {
            prop_assert_eq!(out.len(), 3000);
        }
    }
}
