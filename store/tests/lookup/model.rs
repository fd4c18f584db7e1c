//! The lookup against a map in memory, through whatever may happen to packs and runs.

use std::collections::HashSet;
use std::fs;

use chunk_store::pack::Sealed;
use proptest::prelude::*;

use crate::shelf::{Shelf, name};

#[derive(Clone, Debug)]
enum Step {
    /// A publisher writes a pack of so many new chunks, and of some that are there already.
    Write {
        new: u32,
        again: Vec<prop::sample::Index>,
    },
    /// Another publisher writes a pack, of which this lookup learns when it is opened again.
    WriteElsewhere {
        new: u32,
    },
    Spill,
    Reopen,
    ReopenWithoutRuns,
    RemoveRun(prop::sample::Index),
    RemoveAllRuns,
    RemovePack(prop::sample::Index),
}

fn any_step() -> impl Strategy<Value = Step> {
    let again = prop::collection::vec(any::<prop::sample::Index>(), 0..3);
    prop_oneof![
        6 => (1..40_u32, again).prop_map(|(new, again)| Step::Write { new, again }),
        2 => (1..40_u32).prop_map(|new| Step::WriteElsewhere { new }),
        5 => Just(Step::Spill),
        4 => Just(Step::Reopen),
        1 => Just(Step::ReopenWithoutRuns),
        1 => any::<prop::sample::Index>().prop_map(Step::RemoveRun),
        1 => Just(Step::RemoveAllRuns),
        2 => any::<prop::sample::Index>().prop_map(Step::RemovePack),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_lookup_finds_what_the_packs_hold_and_nothing_else(
        steps in prop::collection::vec(any_step(), 1..40)
    ) {
        let mut shelf = Shelf::new();
        let mut lookup = shelf.open();
        let mut packs: Vec<Sealed> = Vec::new();
        let mut next = 0;
        for step in steps {
            match step {
                Step::Write { new, again } => {
                    let mut numbers: Vec<u32> = again.iter().filter(|_| next > 0).map(|index| {
                        u32::try_from(index.index(next as usize)).unwrap()
                    }).collect();
                    numbers.sort_unstable();
                    numbers.dedup();
                    numbers.extend(next..next + new);
                    next += new;
                    packs.push(shelf.write(Some(&mut lookup), &numbers));
                }
                Step::WriteElsewhere { new } => {
                    let numbers: Vec<_> = (next..next + new).collect();
                    next += new;
                    packs.push(shelf.write(None, &numbers));
                    lookup = shelf.open();
                }
                Step::Spill => lookup.spill(),
                Step::Reopen => lookup = shelf.open(),
                Step::ReopenWithoutRuns => lookup = shelf.open_without_runs(),
                Step::RemoveRun(which) => {
                    if let runs @ [_, ..] = &shelf.runs()[..] {
                        fs::remove_file(&runs[which.index(runs.len())]).unwrap();
                    }
                    lookup = shelf.open();
                }
                Step::RemoveAllRuns => {
                    shelf.runs().iter().for_each(|run| fs::remove_file(run).unwrap());
                    lookup = shelf.open();
                }
                Step::RemovePack(which) => {
                    if !packs.is_empty() {
                        let pack = packs.swap_remove(which.index(packs.len()));
                        fs::remove_file(shelf.pack_path(&pack.name)).unwrap();
                    }
                    lookup = shelf.open();
                }
            }
            let there: HashSet<_> = packs.iter().map(|pack| pack.name).collect();
            for number in 0..next {
                let spots = &shelf.spots[&name(number)];
                let found = shelf.find(&lookup, &name(number));
                let left = spots.iter().filter(|spot| there.contains(&spot.pack)).count();
                // A run keeps one place of a chunk. When that one's pack goes, the chunk may be missed.
                if left == spots.len() {
                    prop_assert!(found.is_some(), "chunk {} is not found", number);
                } else if left == 0 {
                    prop_assert_eq!(found, None);
                }
            }
            prop_assert_eq!(shelf.find(&lookup, &name(next)), None);
            prop_assert!(lookup.unreadable().is_empty());
            for pack in &packs {
                let slot = lookup.slot_of(&pack.name, pack.len);
                prop_assert_eq!(slot.and_then(|slot| lookup.pack(slot)), Some((pack.name, pack.len)));
                prop_assert_eq!(lookup.slot_of(&pack.name, pack.len + 1), None);
            }
        }
    }
}
