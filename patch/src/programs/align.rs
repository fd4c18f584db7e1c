//! Aligns base and target that have programs.

use super::elf::Program;
use super::pair;
use crate::copies::Copy;
use crate::layout::Layout;
use crate::map::Map;
use crate::matching::{self, Search};

/// Copies, and the layout of the programs that they say became each other.
#[derive(Debug)]
pub(crate) struct Aligned {
    pub(crate) layout: Layout,
    pub(crate) copies: Vec<Copy>,
}

/// Aligns `base` and `target`, with the programs found in each, `rounds` times.
///
/// In the first round nothing is known of where addresses go. Each further round tells pointers and tables apart by
/// what the round before made of their addresses.
pub(crate) fn align(
    (base, before): (&[u8], &[Program]),
    (target, after): (&[u8], &[Program]),
    search: Search,
    rounds: usize,
) -> Option<Aligned> {
    let base_len = u32::try_from(base.len()).ok()?;
    let target_len = u32::try_from(target.len()).ok()?;
    let own = pair::unmoved(after);
    let mut layout = pair::unmoved(before);
    let mut copies = Vec::new();
    for _ in 0..rounds {
        let base_view = matching::view(base, &layout, Map::new(&copies, base_len))?;
        // The base's addresses are shown as the target's, and those of the target as they are, where a copy has them.
        let stay: Vec<Copy> = copies.iter().map(|copy| Copy { base: copy.target, ..*copy }).collect();
        let target_view = matching::view(target, &own, Map::new(&stay, target_len))?;
        copies = matching::align(base_view.seen(), target_view.seen(), search);
        layout = pair::paired(before, after, &copies);
    }
    Some(Aligned { layout, copies })
}
