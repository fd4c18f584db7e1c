//! The target as a row of parts, each from one place.

use std::ops::Range;

/// Where a part comes from, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Zero,
    /// From this offset of the base on.
    Copy(u64),
    New,
    /// It is part of a program that is encoded as a whole.
    Program,
}

/// Target bytes that lie together and come from one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) target: Range<u64>,
    pub(super) source: Source,
}

impl Part {
    pub(super) fn len(&self) -> u64 {
        self.target.end - self.target.start
    }

    /// The base bytes that a copy takes.
    pub(super) fn base(&self) -> Option<Range<u64>> {
        match self.source {
            Source::Copy(base) => Some(base..base + self.len()),
            _ => None,
        }
    }
}

/// Adds target bytes, as more of the last part if they are.
pub(super) fn push(parts: &mut Vec<Part>, target: Range<u64>, source: Source) {
    if target.is_empty() {
        return;
    }
    if let Some(last) = parts.last_mut() {
        let goes_on = match (last.base(), source) {
            (Some(base), Source::Copy(next)) => base.end == next,
            (_, source) => last.source == source,
        };
        if goes_on {
            last.target.end = target.end;
            return;
        }
    }
    parts.push(Part { target, source });
}

/// Copies and zeros shorter than this between new bytes become new: an operation costs more than they do in a group.
const WORTH_AN_OPERATION: u64 = 8 << 10;

/// Makes short parts between new ones new. Returns the parts, and the base bytes of the copies that vanished with
/// their places in the target.
pub(super) fn absorb(parts: &[Part]) -> (Vec<Part>, Vec<(u64, Range<u64>)>) {
    let is_new = |number: usize| parts.get(number).is_some_and(|part| part.source == Source::New);
    let mut absorbed = Vec::new();
    let mut rest = Vec::with_capacity(parts.len());
    for (number, part) in parts.iter().enumerate() {
        let between = number > 0 && is_new(number - 1) && is_new(number + 1);
        if between && part.source != Source::New && part.len() < WORTH_AN_OPERATION {
            absorbed.extend(part.base().map(|base| (part.target.start, base)));
            push(&mut rest, part.target.clone(), Source::New);
        } else {
            push(&mut rest, part.target.clone(), part.source);
        }
    }
    (rest, absorbed)
}

/// Makes all of `ranges`, which ascend, parts of programs.
pub(super) fn set_programs(parts: &[Part], ranges: &[Range<u64>]) -> Vec<Part> {
    let mut rest = Vec::with_capacity(parts.len());
    let mut ranges = ranges.iter().peekable();
    for part in parts {
        let mut at = part.target.start;
        while at < part.target.end {
            while ranges.next_if(|range| range.end <= at).is_some() {}
            let end = match ranges.peek() {
                Some(range) if range.start <= at => {
                    let end = range.end.min(part.target.end);
                    push(&mut rest, at..end, Source::Program);
                    end
                }
                next => {
                    let end = next.map_or(part.target.end, |range| range.start.min(part.target.end));
                    let source = match part.source {
                        Source::Copy(base) => Source::Copy(base + (at - part.target.start)),
                        source => source,
                    };
                    push(&mut rest, at..end, source);
                    end
                }
            };
            at = end;
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(target: Range<u64>, source: Source) -> Part {
        Part { target, source }
    }

    #[test]
    fn a_short_copy_between_new_bytes_is_absorbed_and_a_long_one_is_not() {
        let short = [
            part(0..100, Source::New),
            part(100..5000, Source::Copy(7)),
            part(5000..6000, Source::New),
            part(6000..30_000, Source::Copy(90_000)),
            part(30_000..30_001, Source::New),
        ];
        let (rest, absorbed) = absorb(&short);
        assert_eq!(absorbed, [(100, 7..4907)]);
        assert_eq!(rest, [part(0..6000, Source::New), short[3].clone(), short[4].clone()]);
    }

    #[test]
    fn programs_cut_copies_in_their_middle() {
        let parts = [part(0..1000, Source::Copy(500)), part(1000..1200, Source::Zero)];
        let rest = set_programs(&parts, &[100..200, 900..1100]);
        assert_eq!(
            rest,
            [
                part(0..100, Source::Copy(500)),
                part(100..200, Source::Program),
                part(200..900, Source::Copy(700)),
                part(900..1100, Source::Program),
                part(1100..1200, Source::Zero),
            ]
        );
    }
}
