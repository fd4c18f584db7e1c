//! The copy list of a patch: which bytes of the base the target's bytes are like.

use crate::coder::{Bit, Coder, Number, Signed};
use crate::error::DecodeError;

/// A run of target bytes that resembles a run of base bytes. What differs is said byte by byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    pub(crate) base: u32,
    pub(crate) target: u32,
    pub(crate) len: u32,
}

impl Copy {
    /// Where in the base the copy ends.
    pub(crate) fn base_end(&self) -> u32 {
        self.base + self.len
    }

    /// Where in the target the copy ends.
    pub(crate) fn target_end(&self) -> u32 {
        self.target + self.len
    }
}

/// Copies never outnumber a quarter of the target's bytes, nor this: a list of lies cannot take memory.
const MOST_COPIES: u32 = 1 << 18;

/// The longest of `copies` that a target of `target_len` bytes may have.
pub(crate) fn most(copies: &[Copy], target_len: u32) -> Vec<Copy> {
    let most = MOST_COPIES.min(target_len / 4) as usize;
    let mut lens: Vec<u32> = copies.iter().map(|copy| copy.len).collect();
    lens.sort_unstable_by(|one, two| two.cmp(one));
    // Those as long as the first that is too many go, too.
    let shortest = lens.get(most).map_or(0, |len| len + 1);
    copies.iter().copied().filter(|copy| copy.len >= shortest).collect()
}

/// The models of a list: many by whether a copy follows the one before without a gap, and by its length.
#[derive(Default)]
struct Models {
    gap: [Number; 2],
    len: [Number; 2],
    straight: [[Bit; 2]; 4],
    inserted: [Bit; 4],
    again: [Bit; 4],
    /// A tree over the number of a diagonal.
    which: [Bit; RECENT],
    jump: [Signed; 4],
}

/// Diagonals that were left and that a copy can take up again.
const RECENT: usize = 4;

/// The diagonal of the last copy, and those of others before it, the last one first.
#[derive(Default)]
struct Diagonals([i64; RECENT + 1]);

impl Diagonals {
    /// The number of a diagonal that is not the last one's.
    fn find(&self, diagonal: i64) -> Option<usize> {
        self.0[1..].iter().position(|&known| known == diagonal)
    }

    /// Puts the diagonal of a copy first.
    fn push(&mut self, diagonal: i64) {
        let place = self.0.iter().position(|&known| known == diagonal).unwrap_or(RECENT);
        self.0[..=place].rotate_right(1);
        self.0[0] = diagonal;
    }
}

/// The short, from anywhere, and the long, which are often near, do not jump alike.
fn length_class(len: u64) -> usize {
    match len {
        ..12 => 0,
        12..24 => 1,
        24..64 => 2,
        _ => 3,
    }
}

/// Says or hears the copies of a target of `target_len` bytes: in the order of the target, within base and target,
/// none empty.
pub(crate) fn code<C: Coder>(
    coder: &mut C,
    copies: &[Copy],
    base_len: u32,
    target_len: u32,
) -> Result<Vec<Copy>, DecodeError> {
    let broken = |rule| Err(DecodeError::Rule { part: "copy list", rule });
    let count = Number::default().code(coder, copies.len() as u64);
    let most = MOST_COPIES.min(target_len / 4);
    let Some(count) = u32::try_from(count).ok().filter(|&count| count <= most) else {
        return broken("more copies than a target of this length may have");
    };
    let mut models = Models::default();
    let mut heard = Vec::with_capacity(count as usize);
    let (mut base_end, mut target_end) = (0_u32, 0_u32);
    let mut diagonals = Diagonals::default();
    let mut touches = false;
    for at in 0..count as usize {
        let said = copies.get(at).copied().unwrap_or(Copy { base: 0, target: target_end, len: 0 });
        let gap = models.gap[usize::from(touches)].code(coder, u64::from(said.target - target_end));
        touches = gap == 0;
        let len = models.len[usize::from(touches)].code(coder, u64::from(said.len));
        let class = length_class(len);
        let expected = i64::from(base_end);
        // After a gap the base may go on behind as many bytes (they were replaced) or right there (inserted).
        let jump = i64::from(said.base) - expected;
        let gap_jump = i64::try_from(gap).unwrap_or(i64::MAX);
        let jump = if models.straight[class][usize::from(touches)].code(coder, jump == gap_jump) {
            gap_jump
        } else if gap > 0 && models.inserted[class].code(coder, jump == 0) {
            0
        } else {
            // On a diagonal the base start is as far from the target start as it was before.
            let origin = i64::from(target_end).saturating_add(gap_jump).saturating_sub(expected);
            let known = diagonals.find(jump.saturating_sub(origin));
            if models.again[class].code(coder, known.is_some()) {
                let number = which(coder, &mut models.which, known.unwrap_or(0));
                diagonals.0[1 + number].saturating_add(origin)
            } else {
                models.jump[class].code(coder, jump)
            }
        };
        let fits = |start: Option<u64>, limit: u32| {
            let start = start?;
            let end = start.checked_add(len)?;
            if end <= u64::from(limit) {
                u32::try_from(start).ok().zip(u32::try_from(end).ok())
            } else {
                None
            }
        };
        let in_base = fits(expected.checked_add(jump).and_then(|start| u64::try_from(start).ok()), base_len);
        let in_target = fits(u64::from(target_end).checked_add(gap), target_len);
        let (Some((base, next_base)), Some((target, next_target))) = (in_base, in_target) else {
            return broken("a copy leaves base or target");
        };
        if base == next_base {
            return broken("a copy is empty");
        }
        heard.push(Copy { base, target, len: next_base - base });
        diagonals.push(i64::from(base) - i64::from(target));
        (base_end, target_end) = (next_base, next_target);
    }
    Ok(heard)
}

/// Says or hears which of the diagonals.
fn which<C: Coder>(coder: &mut C, models: &mut [Bit; RECENT], number: usize) -> usize {
    let high = models[1].code(coder, number & 2 != 0);
    let low = models[2 + usize::from(high)].code(coder, number & 1 != 0);
    usize::from(high) << 1 | usize::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coder::{RangeReader, RangeWriter};

    fn through(copies: &[Copy], base_len: u32, target_len: u32) -> Vec<Copy> {
        let mut writer = RangeWriter::new();
        code(&mut writer, copies, base_len, target_len).expect("a writer's copies keep the rules");
        let bytes = writer.finish();
        code(&mut RangeReader::new(&bytes), &[], base_len, target_len).expect("a reader finds them kept")
    }

    #[test]
    fn copies_are_heard_as_they_were_said() {
        let copies = [
            Copy { base: 5, target: 0, len: 10 },
            Copy { base: 15, target: 10, len: 1 },
            Copy { base: 20, target: 15, len: 40 },
            Copy { base: 60, target: 57, len: 1000 },
            Copy { base: 0, target: 2000, len: 50 },
            // Back to diagonals before: that of the third copy, and of the second.
            Copy { base: 2055, target: 2050, len: 50 },
            Copy { base: 2105, target: 2100, len: 50 },
            Copy { base: 2203, target: 2200, len: 50 },
            Copy { base: 0, target: 2250, len: 4750 },
        ];
        assert_eq!(through(&copies, 5000, 7000), copies);
        assert_eq!(through(&[], 0, 0), []);
    }

    #[test]
    fn of_too_many_copies_the_shortest_are_given_up() {
        let copies: Vec<Copy> =
            (0..30).map(|at| Copy { base: at, target: 3 * at, len: 1 + at % 3 }).collect();
        let kept = most(&copies, 90);
        assert!(kept.len() <= 22 && kept.iter().all(|copy| copy.len >= 2), "{kept:?}");
        assert_eq!(through(&kept, 100, 90), kept);
    }
}
