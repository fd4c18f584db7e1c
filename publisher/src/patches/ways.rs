//! Which patches the index of a version lists: those that make its image, and the cheapest way from every other image
//! that one of these is reached from.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use chunk_index::{Digest, PatchRef, Ways};

/// Most patches of a way: no ruler leads to longer ones in 2^15 releases.
const MOST_STEPS: u8 = 30;

/// Most patches that are listed.
const MOST: usize = 48;
const _: () = assert!(MOST as u64 == Ways::MOST);

/// Ways from one image.
const MOST_EACH: usize = 3;

/// Most patches listed with second and third ways: 2 KiB, so that what is fetched first of an index still holds its head.
const MOST_WITH_OTHERS: usize = 24;

/// Patches between images.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    /// By what they make, and by what they start from. There is no order in it that depends on anything else.
    to: BTreeMap<Digest, BTreeMap<Digest, PatchRef>>,
}

impl Steps {
    /// Notes one patch that makes `image`, in place of another from the same base.
    pub(crate) fn insert(&mut self, image: Digest, patch: PatchRef) {
        self.to.entry(image).or_default().insert(patch.base, patch);
    }

    /// Notes the patches of all `ways` to `image`.
    pub(crate) fn extend(&mut self, image: Digest, ways: &Ways) {
        for patch in ways.patches() {
            let makes = patch.next.map_or(image, |next| ways.patches()[usize::from(next)].base);
            self.insert(makes, *patch);
        }
    }

    /// The ways to `image`: all patches that make it, and the cheapest ways from other images, as many as there is room
    /// for; then, from each, a second and a third way for when a patch of the first is gone. A way from an image through
    /// others is taken only if it `is_worth` its bytes.
    pub(crate) fn ways(&self, image: &Digest, is_worth: &mut dyn FnMut(&Digest, u64) -> bool) -> Ways {
        let direct = self.into(image).filter(|patch| patch.base != *image);
        let mut listed: Vec<PatchRef> = direct.map(|patch| PatchRef { next: None, ..*patch }).collect();
        listed.sort_by_key(|patch| (patch.len, patch.base));
        listed.truncate(MOST);
        self.follow(image, 1, MOST, is_worth, &mut listed);
        for each in 2..=MOST_EACH {
            self.follow(image, each, MOST_WITH_OTHERS, is_worth, &mut listed);
        }
        Ways::new(listed).expect("they come from other ways, and each follows what it leads on to")
    }

    /// Adds to `listed` the cheapest ways to `image`, up to `each` from every other image, until `most` are there.
    fn follow(
        &self,
        image: &Digest,
        each: usize,
        most: usize,
        is_worth: &mut dyn FnMut(&Digest, u64) -> bool,
        listed: &mut Vec<PatchRef>,
    ) {
        // From each image the numbers of the patches to start with.
        let mut first: HashMap<Digest, Vec<u8>> = HashMap::new();
        let mut reached = BinaryHeap::new();
        let step = |bytes: u64, steps: u8, patch: &PatchRef, makes: Digest, next: Option<u8>| {
            Reverse((bytes.saturating_add(patch.len), steps + 1, patch.base, makes, next))
        };
        reached.extend(self.into(image).map(|patch| step(0, 0, patch, *image, None)));
        while let Some(Reverse((bytes, steps, base, makes, next))) = reached.pop() {
            if base == *image || first.get(&base).is_some_and(|known| known.len() == each) {
                continue;
            }
            if next.is_some_and(|next| is_on(listed, next, &base)) {
                continue;
            }
            if makes != *image && !is_worth(&base, bytes) {
                continue;
            }
            let patch = PatchRef { next, ..self.to[&makes][&base] };
            let number = listed.iter().position(|listed| *listed == patch).or_else(|| {
                (listed.len() < most).then(|| {
                    listed.push(patch);
                    listed.len() - 1
                })
            });
            let Some(number) = number else { break };
            let number = u8::try_from(number).expect("there are few");
            first.entry(base).or_default().push(number);
            if steps < MOST_STEPS {
                reached.extend(self.into(&base).map(|patch| step(bytes, steps, patch, base, Some(number))));
            }
        }
    }

    fn into(&self, image: &Digest) -> impl Iterator<Item = &PatchRef> {
        self.to.get(image).into_iter().flat_map(BTreeMap::values)
    }
}

/// Whether the way that starts with patch `first` goes through `image`.
fn is_on(listed: &[PatchRef], first: u8, image: &Digest) -> bool {
    let step = |number: &u8| listed[usize::from(*number)].next;
    std::iter::successors(Some(first), step).any(|number| listed[usize::from(number)].base == *image)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(base: u8, len: u64) -> PatchRef {
        PatchRef { base: [base; 32], base_len: 1, name: [base; 32], len, next: None }
    }

    fn steps(steps: &[(u8, u8, u64)]) -> Steps {
        let mut known = Steps::default();
        for (base, image, len) in steps {
            known.insert([*image; 32], patch(*base, *len));
        }
        known
    }

    /// Images and bytes of all ways, in the order of the list.
    fn ways(known: &Steps, image: u8) -> Vec<(Vec<u8>, u64)> {
        let ways = known.ways(&[image; 32], &mut |_, _| true);
        let way = |first| {
            let way: Vec<_> = ways.from(first).collect();
            (way.iter().map(|patch| patch.base[0]).collect(), way.iter().map(|patch| patch.len).sum())
        };
        (0..ways.patches().len()).map(way).collect()
    }

    #[test]
    fn all_patches_to_the_image_come_first_then_the_cheapest_ways_from_elsewhere() {
        let known = steps(&[(3, 4, 10), (2, 4, 30), (2, 3, 10), (1, 2, 5), (1, 3, 100), (9, 8, 1)]);
        let expected = [(vec![3], 10), (vec![2], 30), (vec![2, 3], 20), (vec![1, 2, 3], 25)];
        assert_eq!(ways(&known, 4)[..4], expected);
    }

    #[test]
    fn whichever_patch_is_gone_there_is_another_way() {
        let known = steps(&[(1, 3, 10), (3, 5, 10), (3, 4, 15), (4, 5, 15), (1, 2, 15), (2, 3, 15)]);
        let ways = ways(&known, 5);
        let from_first: Vec<_> = ways.iter().filter(|(way, _)| way[0] == 1).cloned().collect();
        assert_eq!(from_first, [(vec![1, 3], 20), (vec![1, 2, 3], 40), (vec![1, 3, 4], 40)]);
        assert!(
            ways.iter()
                .all(|(way, _)| way.iter().collect::<std::collections::BTreeSet<_>>().len() == way.len())
        );
    }

    #[test]
    fn second_ways_leave_the_head_short() {
        let line = |releases: u8| -> Vec<_> {
            let two = |release| [(release, release + 1, 2), (release, release + 2, 3)];
            (0..releases).flat_map(two).collect()
        };
        assert_eq!(ways(&steps(&line(10)), 10).len(), MOST_WITH_OTHERS);
        assert_eq!(ways(&steps(&line(30)), 30).len(), 30);
    }

    #[test]
    fn ways_that_are_not_worth_their_bytes_are_left_out() {
        let known = steps(&[(3, 4, 10), (2, 3, 10), (1, 2, 10), (1, 4, 50)]);
        let ways = known.ways(&[4; 32], &mut |base, bytes| (*base, bytes) != ([2; 32], 20));
        assert_eq!(ways.patches().iter().map(|patch| patch.base[0]).collect::<Vec<_>>(), [3, 1]);
    }

    #[test]
    fn circles_lead_nowhere() {
        let known = steps(&[(1, 2, 1), (2, 1, 1), (2, 3, 1), (3, 2, 1), (3, 3, 1)]);
        assert_eq!(ways(&known, 3), [(vec![2], 1), (vec![1, 2], 2)]);
    }

    #[test]
    fn the_dearest_ways_are_left_out_where_there_is_no_room() {
        let line: Vec<_> = (0..200).map(|release| (release, release + 1, 1)).collect();
        let found = ways(&steps(&line), 200);
        assert_eq!(found.len() as u64, Ways::MOST.min(u64::from(MOST_STEPS)));
        let line: Vec<_> = (0..200).map(|base| (base, 200, u64::from(base) + 1)).collect();
        let found = ways(&steps(&line), 200);
        assert_eq!(found.len() as u64, Ways::MOST);
        assert_eq!(found[47], (vec![47], 48));
    }

    #[test]
    fn ways_to_another_image_go_on_where_that_is_a_base() {
        let mut known = Steps::default();
        known.extend([3; 32], &steps(&[(2, 3, 7), (1, 2, 7)]).ways(&[3; 32], &mut |_, _| true));
        known.insert([4; 32], patch(3, 1));
        assert_eq!(ways(&known, 4), [(vec![3], 1), (vec![2, 3], 8), (vec![1, 2, 3], 15)]);
    }
}
