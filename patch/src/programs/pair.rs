//! Which program of the base became which of the target.

use super::elf::Program;
use crate::layout::{Layout, Load, MOST_MODULES, Module, Segment};

/// Programs that became each other: numbers in the base's list and in the target's.
pub(crate) type Pairing = Vec<(usize, usize)>;

/// The layout for paired programs as seen from the base, and as seen from the target.
pub(crate) fn layouts(base: &[Program], target: &[Program], pairs: &Pairing) -> (Layout, Layout) {
    let mut forth = Layout::default();
    let mut back = Layout::default();
    for &(one, two) in pairs.iter().take(MOST_MODULES) {
        forth.modules.push(module(&base[one], &target[two]));
        back.modules.push(module(&target[two], &base[one]));
    }
    (forth, back)
}

fn module(from: &Program, to: &Program) -> Module {
    let mut segments = Vec::new();
    let mut free: Vec<&(u32, Load)> = to.loads.iter().collect();
    for (permissions, base) in &from.loads {
        let Some(at) = free.iter().position(|(others, _)| others == permissions) else { continue };
        let (_, target) = *free.remove(at);
        segments.push(Segment { base: *base, target, is_bare: false });
    }
    if let (Some(base), Some(target)) = (from.zeros, to.zeros) {
        segments.push(Segment { base, target, is_bare: true });
    }
    segments.sort_by_key(|segment| segment.base.address);
    Module { segments, ranges: from.ranges.clone() }
}
