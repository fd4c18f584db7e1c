//! Foreign bytes as a pack: raw; and as a well-formed pack that was then damaged and given a new table hash, as a
//! hostile writer would. Whatever is accepted keeps the limits of FORMAT 5.

#![no_main]

use chunk_store::pack::{HEADER_LEN, TRAILER_LEN, Table};
use chunk_store::{Compressor, Decoder, MAX_FRAME};
use libfuzzer_sys::arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;

/// Longest chunk that a table may state (FORMAT 5).
const MAX_CHUNK: u32 = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    let Ok((frames, damage)) = Unstructured::new(bytes).arbitrary() else { return };
    let mut pack = assemble(frames);
    check_whole(&pack);
    apply(damage, &mut pack);
    reseal(&mut pack);
    check(&pack);
});

/// Decodes `pack` and each of its frames.
fn check(pack: &[u8]) {
    let Ok(table) = Table::decode(pack) else { return };
    let mut decoder = Decoder::new().expect("a decoder needs only memory");
    let mut plain = Vec::new();
    let mut chunks = table.chunks().iter().peekable();
    let mut next = HEADER_LEN;
    for (number, frame) in (0..).zip(table.frames()) {
        assert_eq!(frame.offset, next, "frame {number} leaves a gap");
        assert!((1..=MAX_FRAME).contains(&frame.plain_len));
        next += frame.stored_len;
        let mut first = 0;
        while let Some(chunk) = chunks.next_if(|chunk| chunk.frame == number) {
            assert_eq!(chunk.first, first, "a chunk of frame {number} leaves a gap");
            assert!((1..=MAX_CHUNK).contains(&chunk.len));
            first += chunk.len;
        }
        assert_eq!(first, frame.plain_len);
        let stored = &pack[frame.offset as usize..next as usize];
        match decoder.decode(frame, stored, &mut plain) {
            Ok(()) => assert_eq!(plain.len(), frame.plain_len as usize),
            Err(_) => assert!(plain.len() <= frame.plain_len as usize),
        }
    }
    assert!(chunks.next().is_none(), "a chunk lies in no frame");
}

/// Decodes a pack in which nothing is wrong.
fn check_whole(pack: &[u8]) {
    Table::decode(pack).expect("a well-formed pack is accepted");
    check(pack);
}

/// Lays out a pack as FORMAT 5 says; empty chunks and frames do not exist and are left out.
fn assemble(frames: Vec<Vec<Vec<u8>>>) -> Vec<u8> {
    let mut compressor = Compressor::new(1).expect("a compressor needs only memory");
    let mut pack = b"chunkpak\x01\0\0\0\0\0\0\0".to_vec();
    let (mut frame_count, mut chunk_count) = (0_u32, 0_u32);
    let (mut frame_lines, mut chunk_lines) = (Vec::new(), Vec::new());
    for mut chunks in frames {
        chunks.retain(|chunk| !chunk.is_empty());
        if chunks.is_empty() {
            continue;
        }
        let plain = chunks.concat();
        let plain_len = length(&plain);
        let (stored, raw) = compressor.compress(plain).expect("a frame in memory");
        for word in [length(&stored), plain_len << 1 | u32::from(raw), chunks.len() as u32] {
            frame_lines.extend(word.to_le_bytes());
        }
        for chunk in &chunks {
            chunk_lines.extend(blake3::hash(chunk).as_bytes());
            chunk_lines.extend(length(chunk).to_le_bytes());
        }
        frame_count += 1;
        chunk_count += chunks.len() as u32;
        pack.extend(stored);
    }
    let table_offset = u64::from(length(&pack));
    pack.extend(frame_count.to_le_bytes());
    pack.extend(chunk_count.to_le_bytes());
    pack.extend(frame_lines);
    pack.extend(chunk_lines);
    pack.extend(table_offset.to_le_bytes());
    pack.extend([0; 32]);
    pack.extend(b"chunkend");
    reseal(&mut pack);
    pack
}

/// Flips bits: each damage is a place, counted from the end (tables lie there), and what to do to its byte.
fn apply(damage: Vec<(u16, u8)>, pack: &mut [u8]) {
    for (place, bits) in damage {
        let place = usize::from(place) % pack.len();
        let last = pack.len() - 1;
        pack[last - place] ^= bits;
    }
}

/// Puts the table's hash right, wherever the trailer now says that the table starts.
fn reseal(pack: &mut [u8]) {
    let trailer = pack.len() - TRAILER_LEN as usize;
    let offset: [u8; 8] = pack[trailer..][..8].try_into().expect("a trailer has 48 bytes");
    let Some(table) = usize::try_from(u64::from_le_bytes(offset)).ok().and_then(|at| pack.get(at..trailer))
    else {
        return;
    };
    let hash = blake3::hash(table);
    pack[trailer + 8..][..32].copy_from_slice(hash.as_bytes());
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a fuzzer's input is short")
}
