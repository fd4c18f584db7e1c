//! Aligns base and target that have programs.

use std::sync::Arc;

use super::elf::Program;
use super::pair;
use crate::copies::Copy;
use crate::fields::Fields;
use crate::layout::Layout;
use crate::map::Map;
use crate::matching::{self, Index, Search};

/// Copies, the layout of the programs that they say became each other, and its fields.
#[derive(Debug)]
pub(crate) struct Aligned {
    pub(crate) layout: Layout,
    pub(crate) fields: Arc<Fields>,
    pub(crate) copies: Vec<Copy>,
}

/// Aligns `base` and `target`, with the programs found in each, `rounds` times. None if they have too little in common.
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
    let own_fields = Arc::new(Fields::find(target, target_len, &own).ok()?);
    let layout = pair::unmoved(before);
    let fields = Arc::new(Fields::find(base, base_len, &layout).ok()?);
    let mut aligned = Aligned { layout, fields, copies: Vec::new() };
    for round in 0..rounds {
        let Aligned { layout, fields, copies } = &aligned;
        let base_view = matching::view(base, layout, Arc::clone(fields), Map::new(copies, base_len))?;
        // The base's addresses are shown as the target's, and those of the target as they are, where a copy has them.
        let stay: Vec<Copy> = copies.iter().map(|copy| Copy { base: copy.target, ..*copy }).collect();
        let target_view = matching::view(target, &own, Arc::clone(&own_fields), Map::new(&stay, target_len))?;
        let index = Index::new(base_view.seen(), search);
        if round == 0 && index.is_strange_to(target_view.seen()) {
            return None;
        }
        let copies = matching::align(&index, target_view.seen());
        let layout = pair::paired(before, after, &copies);
        // Fields are found in the base alone, so they stay those of its programs that are left.
        let fields = if layout.is_alike_in_base(&aligned.layout) {
            aligned.fields
        } else {
            Arc::new(Fields::find(base, base_len, &layout).ok()?)
        };
        aligned = Aligned { layout, fields, copies };
    }
    Some(aligned)
}
