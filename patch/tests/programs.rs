//! Programs that were linked anew cost what changed in them, not what moved.

#![expect(clippy::unwrap_used, reason = "the functions of a test's module are no tests to the lint")]

mod program;

use chunk_patch::{Decoder, Effort, Limits, encode};
use program::{Function, Set, functions, link, link_for, link_with_pads};

fn decode(patch: &[u8], base: &[u8], target_len: usize, piece: usize) -> Vec<u8> {
    let length = u64::try_from(target_len).unwrap();
    let mut decoder = Decoder::new(patch, base, length, &Limits::default()).unwrap();
    let mut target = Vec::new();
    let mut out = vec![0; piece];
    loop {
        match decoder.read(&mut out).unwrap() {
            0 => return target,
            count => target.extend_from_slice(&out[..count]),
        }
    }
}

/// Encodes at the highest effort, checks that any pieces decode, and gives method and length of the patch.
fn measure(base: &[u8], target: &[u8]) -> (u8, usize) {
    let patch = encode(base, target, Effort::new(22)).unwrap();
    for piece in [1 << 20, 4096, 7] {
        assert_eq!(decode(&patch, base, target.len(), piece), target);
    }
    (patch[0], patch.len())
}

#[test]
fn functions_that_only_moved_cost_next_to_nothing() {
    let old = functions(3000, 1);
    let mut new = old.clone();
    new.push(Function { body: vec![7; 40], calls: vec![5, 6] });
    let order: Vec<usize> = (0..3000).collect();
    // The new function comes early, so every address behind it moves, and with it most calls and pointers.
    let mut moved = order.clone();
    moved.insert(100, 3000);
    let (base, target) = (link(&old, &order), link(&new, &moved));
    let differing = base.iter().zip(&target).filter(|(one, two)| one != two).count();
    assert!(differing > 100_000, "the programs must differ a lot to show anything: {differing}");
    let (method, len) = measure(&base, &target);
    assert_eq!(method, 2);
    assert!(len < 3200, "{len} bytes for one new function");
}

#[test]
fn landing_pads_follow_what_was_inserted_before_them() {
    let old = functions(3000, 5);
    let mut new = old.clone();
    // One more instruction in front of all the calls, so each number of their sites is another.
    let longer = |function: &mut Function| function.body.splice(..0, [0, 0]).for_each(drop);
    new.iter_mut().step_by(3).for_each(longer);
    let order: Vec<usize> = (0..3000).collect();
    let (_, without) = measure(&link(&old, &order), &link(&new, &order));
    let (method, len) = measure(&link_with_pads(&old, &order), &link_with_pads(&new, &order));
    assert_eq!(method, 2);
    let sites: usize = new.iter().step_by(3).map(|function| function.calls.len()).sum();
    assert!(sites > 4000, "{sites} sites are too few to show anything");
    assert!(len < without + sites / 2, "{len} bytes, {without} without {sites} sites");
}

#[test]
fn functions_in_another_order_cost_their_places() {
    let functions = functions(2000, 2);
    let order: Vec<usize> = (0..2000).collect();
    let mut shuffled = order.clone();
    for (at, block) in shuffled.chunks_mut(50).enumerate() {
        block.rotate_left(at % 50);
    }
    shuffled.rotate_left(700);
    let (base, target) = (link(&functions, &order), link(&functions, &shuffled));
    let (method, len) = measure(&base, &target);
    assert_eq!(method, 2);
    let prefixed = encode(&base, &target, Effort::new(1)).unwrap();
    assert_eq!(prefixed[0], 0);
    assert!(4 * len < prefixed.len(), "{len} bytes, and {} without a map", prefixed.len());
}

#[test]
fn functions_of_any_machine_in_another_order_cost_their_places() {
    let functions = functions(1000, 6);
    let order: Vec<usize> = (0..1000).collect();
    let mut shuffled = order.clone();
    for (at, block) in shuffled.chunks_mut(50).enumerate() {
        block.rotate_left(at % 50);
    }
    shuffled.rotate_left(300);
    for set in Set::ALL {
        let (mut base, mut target) =
            (link_for(set, &functions, &order), link_for(set, &functions, &shuffled));
        let (method, len) = measure(&base, &target);
        assert_eq!(method, 2, "{set:?}");
        // The same bytes, of no machine.
        base[18] = 0;
        target[18] = 0;
        let (method, unmapped) = measure(&base, &target);
        assert_ne!(method, 2, "{set:?}");
        assert!(unmapped > 6 * len, "{len} bytes mapped, {unmapped} unmapped for {set:?}");
    }
}

#[test]
fn programs_within_an_image_are_found_wherever_they_lie() {
    let (one, two) = (functions(1000, 3), functions(800, 4));
    let order = |count: usize, first: usize| -> Vec<usize> { (first..count).chain(0..first).collect() };
    let between: Vec<u8> = (0..10_000_u32).map(|number| number.to_le_bytes()[0].wrapping_mul(31)).collect();
    let base =
        [&between[..5000], &link(&one, &order(1000, 0)), &between[..], &link(&two, &order(800, 0))].concat();
    // The programs changed places.
    let target =
        [&between[..3000], &link(&two, &order(800, 300)), &link(&one, &order(1000, 10)), &between].concat();
    let (method, len) = measure(&base, &target);
    assert_eq!(method, 2);
    assert!(len < 1700, "{len} bytes");
}

#[test]
fn a_program_of_which_only_a_part_is_there_is_bytes_like_any_other() {
    let functions = functions(300, 5);
    let order: Vec<usize> = (0..300).collect();
    let program = link(&functions, &order);
    for len in [0, 1, 20, 63, 64, 100, 119, 120, 0x1000, program.len() / 2, program.len() - 1] {
        measure(&program[..len], &program);
        measure(&program, &program[..len]);
    }
}
