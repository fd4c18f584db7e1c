//! Which program of the base became which of the target.

use super::elf::Program;
use crate::copies::Copy;
use crate::layout::{Layout, Load, MOST_MODULES, Module, Segment};

/// The layout of programs that stay where and what they are.
pub(super) fn unmoved(programs: &[Program]) -> Layout {
    Layout { modules: programs.iter().take(MOST_MODULES).map(|program| module(program, program)).collect() }
}

/// The layout of the programs in the base of which `copies` take anything to a program in the target: to the one that
/// takes most.
pub(super) fn paired(base: &[Program], target: &[Program], copies: &[Copy]) -> Layout {
    let mut votes = vec![Vec::<(usize, u64)>::new(); base.len()];
    for copy in copies {
        let ends = (find(base, copy.base), find(target, copy.target));
        if let (Some(from), Some(to)) = ends {
            let votes = &mut votes[from];
            match votes.iter_mut().find(|(program, _)| *program == to) {
                Some((_, bytes)) => *bytes += u64::from(copy.len),
                None => votes.push((to, u64::from(copy.len))),
            }
        }
    }
    let winners = votes.iter().map(|votes| votes.iter().max_by_key(|(_, bytes)| *bytes));
    let pairs =
        base.iter().zip(winners).filter_map(|(from, winner)| winner.map(|&(to, _)| (from, &target[to])));
    Layout { modules: pairs.take(MOST_MODULES).map(|(from, to)| module(from, to)).collect() }
}

/// The last of `programs` that starts at or before `at`.
fn find(programs: &[Program], at: u32) -> Option<usize> {
    programs.partition_point(|program| program.start <= at).checked_sub(1)
}

/// One program that became another. Segments pair with those of the same permissions, in order.
fn module(from: &Program, to: &Program) -> Module {
    let mut segments = Vec::new();
    let mut free: Vec<&(u32, Load)> = to.loads.iter().collect();
    for (permissions, base) in &from.loads {
        if let Some(at) = free.iter().position(|(others, _)| others == permissions) {
            let (_, target) = *free.remove(at);
            segments.push(Segment { base: *base, target, is_bare: false });
        }
    }
    if let (Some(base), Some(target)) = (from.zeros, to.zeros) {
        segments.push(Segment { base, target, is_bare: true });
    }
    segments.sort_by_key(|segment| segment.base.address);
    Module { segments, ranges: from.ranges.clone() }
}
