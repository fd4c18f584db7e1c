//! Foreign bytes as a group: raw; and as a group in which nothing is wrong that was then damaged. Whatever is accepted
//! gives as many bytes as were asked for, in pieces of any size the same.

#![no_main]

use std::sync::LazyLock;

use chunk_patch::{DecodeError, Decoder, Effort, Limits, encode};
use libfuzzer_sys::arbitrary::{self, Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;

#[path = "../../patch/tests/program/mod.rs"]
mod program;

/// Bytes of the longest target that foreign bytes are asked for.
const LONGEST: u32 = 1 << 16;

fuzz_target!(|bytes: &[u8]| {
    let Some((case, bytes)) = bytes.split_first() else { return };
    let input = Unstructured::new(bytes);
    // Programs are long, and take as long as many short cases.
    let _ = match case {
        0..120 => foreign(input),
        120..250 => edited(input),
        250.. => linked(input),
    };
});

/// Any bytes, behind any method, with any base.
fn foreign(mut input: Unstructured) -> arbitrary::Result<()> {
    let target_len = input.int_in_range(0..=LONGEST)?;
    let base: Vec<u8> = input.arbitrary()?;
    check(input.take_rest(), &base, target_len as usize);
    Ok(())
}

/// What a writer makes of a base that was edited; then damaged.
fn edited(mut input: Unstructured) -> arbitrary::Result<()> {
    #[derive(Arbitrary)]
    enum Edit {
        Keep(u16),
        Insert(Vec<u8>),
        Jump(u16),
    }
    let level = input.int_in_range(1..=HARDEST)?;
    let damage = damage(&mut input)?;
    let edits: Vec<Edit> = input.arbitrary()?;
    let base = input.take_rest();
    let (mut target, mut at) = (Vec::new(), 0);
    for edit in edits {
        match edit {
            Edit::Keep(len) => {
                let rest = base.get(at..).unwrap_or_default();
                target.extend(&rest[..rest.len().min(usize::from(len))]);
                at += usize::from(len);
            }
            Edit::Insert(bytes) => target.extend(bytes),
            Edit::Jump(place) => at = usize::from(place),
        }
    }
    let patch = encode(base, &target, Effort::new(level)).expect("short bytes have a patch");
    assert!(
        check(&patch, base, target.len()).as_deref() == Some(&target[..]),
        "another target at level {level}"
    );
    check(&damaged(patch, damage), base, target.len());
    Ok(())
}

/// Hardest that encoders try here: zstd's optimal parsers, as a C compiler instruments them, make the sanitizer see the
/// end of a scope that never ends. It is the decoder that is looked at.
const HARDEST: u8 = 9;

/// A base, the length of its target, and patches between them.
type Linked = (Vec<u8>, usize, [Vec<u8>; 2]);

/// Damaged patches of programs.
fn linked(mut input: Unstructured) -> arbitrary::Result<()> {
    static PATCHES: LazyLock<Vec<Linked>> = LazyLock::new(|| {
        let functions = program::functions(300, 1);
        type Link = Box<dyn Fn(&[program::Function], &[usize]) -> Vec<u8>>;
        let plain: [Link; 2] = [Box::new(program::link), Box::new(program::link_with_pads)];
        let others = program::Set::ALL.map(|set| -> Link {
            Box::new(move |functions, order| program::link_for(set, functions, order))
        });
        let of_machine = |link: Link| {
            let link = |order: Vec<usize>| link(&functions, &order);
            let (base, target) = (link((0..300).collect()), link((90..300).chain(0..90).collect()));
            let patches = [1, HARDEST]
                .map(|level| encode(&base, &target, Effort::new(level)).expect("a patch is made"));
            (base, target.len(), patches)
        };
        plain.into_iter().chain(others).map(of_machine).collect()
    });
    let (base, target_len, patches) = input.choose(&PATCHES)?;
    let patch = input.choose(patches)?.clone();
    check(&damaged(patch, damage(&mut input)?), base, *target_len);
    Ok(())
}

/// Places, and the bits to flip there.
type Damage = Vec<(u32, u8)>;

fn damage(input: &mut Unstructured) -> arbitrary::Result<Damage> {
    (0..input.int_in_range(0..=6)?).map(|_| input.arbitrary()).collect()
}

fn damaged(mut patch: Vec<u8>, damage: Damage) -> Vec<u8> {
    for (place, bits) in damage {
        let place = place as usize % patch.len();
        patch[place] ^= bits;
    }
    patch
}

/// Decodes `patch` at once and in pieces.
fn check(patch: &[u8], base: &[u8], target_len: usize) -> Option<Vec<u8>> {
    let whole = decode(patch, base, target_len, target_len.max(1));
    let pieces = decode(patch, base, target_len, 777);
    match (whole, pieces) {
        (Ok(whole), Ok(pieces)) => {
            assert!(whole == pieces, "pieces give other bytes");
            assert_eq!(whole.len(), target_len);
            Some(whole)
        }
        (Err(_), Err(_)) => None,
        (whole, pieces) => panic!("at once {:?}, in pieces {:?}", whole.err(), pieces.err()),
    }
}

fn decode(patch: &[u8], base: &[u8], target_len: usize, piece: usize) -> Result<Vec<u8>, DecodeError> {
    let mut decoder = Decoder::new(patch, base, target_len as u64, &Limits::default())?;
    let mut target = Vec::new();
    let mut out = vec![0; piece];
    loop {
        match decoder.read(&mut out)? {
            0 => return Ok(target),
            count => target.extend(&out[..count]),
        }
        assert!(target.len() <= target_len, "more bytes than were asked for");
    }
}
