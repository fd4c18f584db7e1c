//! Foreign bytes as a patch: raw; and as script, hashes and groups behind a header in which every length and check is
//! right, as a hostile writer would make it. Whatever is accepted makes its target from first byte to last.

#![no_main]

use chunk_delta::{Origin, Patch, Rebuilder};
use libfuzzer_sys::arbitrary::{self, Unstructured};
use libfuzzer_sys::fuzz_target;

/// The longest script that is read.
const MOST_SCRIPT: u32 = 1 << 20;
/// Targets up to this length are rebuilt.
const REBUILT: u64 = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    if let Ok(file) = assemble(Unstructured::new(bytes)) {
        check(&file);
    }
});

/// Lays out a patch as FORMAT 8 says, whatever its script is.
fn assemble(mut input: Unstructured) -> arbitrary::Result<Vec<u8>> {
    let base_len = u64::from(input.arbitrary::<u16>()?);
    let target_len = if input.ratio(1, 8)? {
        input.int_in_range(0..=1 << 48)?
    } else {
        u64::from(input.arbitrary::<u16>()?)
    };
    let hashes = u32::from(input.int_in_range(0..=2_u8)?);
    let groups: Vec<u8> = input.arbitrary()?;
    let script = input.take_rest();
    let packed = zstd::bulk::compress(script, 1).expect("a buffer that grows");
    let mut head = b"chunkpch\x01\0\0\0\0\0\0\0".to_vec();
    head.extend(base_len.to_le_bytes());
    head.extend([1; 32]);
    head.extend(target_len.to_le_bytes());
    head.extend([2; 32]);
    for number in [packed.len() as u32, script.len() as u32, hashes, 0] {
        head.extend(number.to_le_bytes());
    }
    let rest = [packed, vec![3; 32 * hashes as usize]].concat();
    let check = blake3::Hasher::new().update(&head).update(&rest).finalize();
    head.extend(&check.as_bytes()[..8]);
    Ok([head, rest, groups].concat())
}

fn check(file: &[u8]) {
    let Ok(patch) = Patch::decode(file, file.len() as u64, MOST_SCRIPT) else { return };
    let ((base_len, _), (target_len, _)) = (patch.base(), patch.target());
    let mut end = Patch::head_len(file).expect("an accepted patch has a head");
    for group in patch.groups() {
        assert_eq!(group.stored.start, end, "a group leaves a gap");
        end = group.stored.end;
        for pair in group.base.windows(2) {
            assert!(pair[0].end < pair[1].start, "base ranges touch or do not ascend");
        }
        assert!(group.base.last().is_none_or(|range| range.end <= base_len));
    }
    assert_eq!(end, file.len() as u64);

    let mut at = 0;
    for piece in patch.pieces(0..u64::MAX) {
        assert_eq!(piece.target.start, at, "a piece leaves a gap");
        let len = piece.target.end - at;
        at = piece.target.end;
        match piece.origin {
            Origin::Zero => {}
            Origin::Base(start) => assert!(start + len <= base_len, "a copy leaves the base"),
            Origin::New(stream, start) => {
                let group = &patch.groups()[patch.group_of(stream, start).expect("its bytes are made")];
                assert!(group.stream == stream && group.new.start <= start && start + len <= group.new.end);
            }
        }
    }
    assert_eq!(at, target_len);

    let made = patch.groups().iter().all(|group| group.new.end - group.new.start <= REBUILT);
    if target_len <= REBUILT && base_len <= REBUILT && made {
        assert!(patch.blocks(&[]).is_none(), "no target has the hash that is stated");
        let base = vec![5; base_len as usize];
        let mut out = Vec::new();
        if Rebuilder::new(&patch, &file, &&base[..]).read(0..target_len, &mut out).is_ok() {
            assert_eq!(out.len() as u64, target_len);
        }
    }
}
