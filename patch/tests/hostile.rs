//! Whatever a patch is, decoding it ends, with an error or with as many bytes as were asked for.

#![expect(clippy::unwrap_used, reason = "the functions of a test's module are no tests to the lint")]

mod program;

use std::io;
use std::sync::OnceLock;

use chunk_patch::{Base, DecodeError, Decoder, Effort, Limits, encode};
use program::{Set, functions, link, link_for, link_with_pads};
use proptest::prelude::*;

/// Decodes as far as it goes.
fn drain(patch: &[u8], base: &[u8], target_len: usize) -> Result<usize, DecodeError> {
    let mut decoder = Decoder::new(patch, base, u64::try_from(target_len).unwrap(), &Limits::default())?;
    let mut out = [0; 4096];
    let mut len = 0;
    loop {
        match decoder.read(&mut out)? {
            0 => return Ok(len),
            count => len += count,
        }
    }
}

/// A base, a target, and the patch from the one to the other that maps addresses.
type Mapped = (Vec<u8>, Vec<u8>, Vec<u8>);

/// One for each machine, and one with landing pads.
fn mapped() -> &'static [Mapped] {
    static MAPPED: OnceLock<Vec<Mapped>> = OnceLock::new();
    MAPPED.get_or_init(|| {
        let others = Set::ALL.map(|set| pair_of(|functions, order| link_for(set, functions, order)));
        let map = |(base, target): (Vec<u8>, Vec<u8>)| {
            let patch = encode(&base, &target, Effort::new(22)).unwrap();
            assert_eq!(patch[0], 2);
            (base, target, patch)
        };
        others.into_iter().chain([pair_of(link_with_pads), pair()]).map(map).collect()
    })
}

fn pair() -> (Vec<u8>, Vec<u8>) {
    pair_of(link)
}

fn pair_of(link: impl Fn(&[program::Function], &[usize]) -> Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    let functions = functions(400, 9);
    let order: Vec<usize> = (0..400).collect();
    let moved: Vec<usize> = (37..400).chain(0..37).collect();
    (link(&functions, &order), link(&functions, &moved))
}

proptest! {
    #[test]
    fn random_patches_are_refused_or_give_as_many_bytes_as_asked(
        method in 0..4_u8,
        payload in prop::collection::vec(any::<u8>(), 0..400),
        base in prop::collection::vec(any::<u8>(), 0..3000),
        target_len in 0..20_000_usize,
    ) {
        let patch = [&[method], &payload[..]].concat();
        if let Ok(len) = drain(&patch, &base, target_len) {
            prop_assert_eq!(len, target_len);
        }
    }

    #[test]
    fn damaged_patches_of_programs_are_refused_or_give_as_many_bytes_as_asked(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        early in any::<bool>(),
        machine in 0..4_usize,
    ) {
        let (base, target, patch) = &mapped()[machine];
        let mut patch = patch.clone();
        for (at, xor) in damage {
            // The layout and the first copies are said by the first bytes.
            let range = if early { 60 } else { patch.len() - 1 };
            let at = 1 + at.index(range.min(patch.len() - 1));
            patch[at] ^= xor;
        }
        if let Ok(len) = drain(&patch, base, target.len()) {
            prop_assert_eq!(len, target.len());
        }
    }
}

#[test]
fn truncated_patches_are_refused() {
    let (base, target) = pair();
    for level in [1, 22] {
        let patch = encode(&base, &target, Effort::new(level)).unwrap();
        for len in (0..patch.len() - 5).step_by(7) {
            assert!(drain(&patch[..len], &base, target.len()).is_err(), "{len} of {} bytes", patch.len());
        }
    }
}

#[test]
fn patches_with_bytes_behind_their_end_are_refused() {
    let (base, target) = pair();
    for level in [1, 22] {
        let mut patch = encode(&base, &target, Effort::new(level)).unwrap();
        patch.extend([1; 9]);
        assert!(drain(&patch, &base, target.len()).is_err(), "method {}", patch[0]);
    }
}

#[test]
fn patches_for_another_length_never_give_their_own() {
    let (base, target) = pair();
    for level in [1, 22] {
        let patch = encode(&base, &target, Effort::new(level)).unwrap();
        for len in [0, 1, target.len() - 1, target.len() + 1, 2 * target.len()] {
            if let Ok(given) = drain(&patch, &base, len) {
                assert_eq!(given, len);
            }
        }
    }
}

#[test]
fn lengths_beyond_the_limits_are_refused_before_anything_is_read() {
    struct Huge;
    impl Base for Huge {
        fn len(&self) -> u64 {
            u64::MAX
        }
        fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
            panic!("nothing of this base may be read");
        }
    }
    for method in 0..3 {
        let patch = [method, 0, 0, 0, 0];
        let refused = Decoder::new(&patch, &Huge, 10, &Limits::default());
        assert!(matches!(refused, Err(DecodeError::TooLong { what: "base", .. })));
    }
    let small = Limits { target: 100, ..Limits::default() };
    let refused = Decoder::new(&[1], [0_u8; 10].as_slice(), 101, &small);
    assert!(matches!(refused, Err(DecodeError::TooLong { what: "target", limit: 100, actual: 101 })));
}

#[test]
fn a_base_that_cannot_be_read_is_an_error() {
    struct Broken(u64);
    impl Base for Broken {
        fn len(&self) -> u64 {
            self.0
        }
        fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
            Err(io::ErrorKind::NotConnected.into())
        }
    }
    let (base, target) = pair();
    for level in [1, 22] {
        let patch = encode(&base, &target, Effort::new(level)).unwrap();
        let broken = Broken(u64::try_from(base.len()).unwrap());
        let refused = Decoder::new(&patch, &broken, u64::try_from(target.len()).unwrap(), &Limits::default());
        assert!(matches!(refused, Err(DecodeError::Base(_))));
    }
}
