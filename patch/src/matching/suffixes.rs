//! The suffixes of a byte string in order, made in linear time by induced sorting (Nong, Zhang and Chan, 2009).

/// Not yet known.
const NONE: u32 = u32::MAX;

/// The starts of all suffixes of `text`, in the order of the suffixes.
///
/// `text` is shorter than 2^31.
pub(crate) fn sort(text: &[u8]) -> Vec<u32> {
    induced(text, 256)
}

/// A letter of a text: bytes at first, numbers in the recursion.
trait Letter: Copy + Ord {
    fn index(self) -> usize;
}

impl Letter for u8 {
    fn index(self) -> usize {
        usize::from(self)
    }
}

impl Letter for u32 {
    fn index(self) -> usize {
        self as usize
    }
}

/// Numbers as used in the array: shorter than any text this is used for.
fn number(index: usize) -> u32 {
    u32::try_from(index).expect("texts are shorter than 2^31")
}

fn induced<L: Letter>(text: &[L], letters: usize) -> Vec<u32> {
    match text.len() {
        0 => return Vec::new(),
        1 => return vec![0],
        _ => {}
    }
    let smaller = smaller(text);
    let is_leftmost = |at: usize| at > 0 && smaller.get(at) && !smaller.get(at - 1);
    let starts = buckets(text, letters);
    let mut sorted = vec![NONE; text.len()];

    // Sort the substrings between leftmost smaller positions by where they start, then name them.
    let leftmost: Vec<u32> = (1..text.len()).filter(|&at| is_leftmost(at)).map(number).collect();
    induce(text, &smaller, &starts, &leftmost, &mut sorted);
    if leftmost.len() > 1 {
        let ordered: Vec<u32> = sorted.iter().copied().filter(|&at| is_leftmost(at as usize)).collect();
        let mut names = vec![NONE; text.len() / 2 + 1];
        let mut last = 0;
        let mut before = ordered[0] as usize;
        names[before / 2] = 0;
        for &at in &ordered[1..] {
            let at = at as usize;
            if !same_substring(text, &is_leftmost, before, at) {
                last += 1;
            }
            names[at / 2] = last;
            before = at;
        }
        let reduced: Vec<u32> = leftmost.iter().map(|&at| names[at as usize / 2]).collect();
        drop(names);
        let order = if (last as usize) + 1 == leftmost.len() {
            let mut order = vec![0; reduced.len()];
            for (at, &name) in reduced.iter().enumerate() {
                order[name as usize] = number(at);
            }
            order
        } else {
            induced(&reduced, last as usize + 1)
        };
        let leftmost: Vec<u32> = order.into_iter().map(|at| leftmost[at as usize]).collect();
        induce(text, &smaller, &starts, &leftmost, &mut sorted);
    }
    sorted
}

/// For each position whether its suffix is smaller than the next one's.
fn smaller<L: Letter>(text: &[L]) -> Flags {
    let mut flags = Flags(vec![0; text.len().div_ceil(64)]);
    let mut is_smaller = false;
    for at in (0..text.len() - 1).rev() {
        is_smaller = text[at] < text[at + 1] || (text[at] == text[at + 1] && is_smaller);
        if is_smaller {
            flags.0[at / 64] |= 1 << (at % 64);
        }
    }
    flags
}

struct Flags(Vec<u64>);

impl Flags {
    #[inline]
    fn get(&self, at: usize) -> bool {
        (self.0[at / 64] >> (at % 64)) & 1 == 1
    }
}

/// Where the suffixes that start with each letter begin, and behind the last letter the number of all.
fn buckets<L: Letter>(text: &[L], letters: usize) -> Vec<u32> {
    let mut counts = vec![0; letters + 1];
    for letter in text {
        counts[letter.index() + 1] += 1;
    }
    for letter in 0..letters {
        counts[letter + 1] += counts[letter];
    }
    counts
}

/// Whether the substrings from `one` and `two` to the next leftmost smaller position are equal.
fn same_substring<L: Letter>(
    text: &[L],
    is_leftmost: &impl Fn(usize) -> bool,
    one: usize,
    two: usize,
) -> bool {
    let mut ahead = 0;
    loop {
        match (text.get(one + ahead), text.get(two + ahead)) {
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
        if ahead > 0 && is_leftmost(one + ahead) && is_leftmost(two + ahead) {
            return true;
        }
        if ahead > 0 && is_leftmost(one + ahead) != is_leftmost(two + ahead) {
            return false;
        }
        ahead += 1;
    }
}

/// Puts the leftmost smaller positions at their buckets' ends in the order given, and sorts the others from them.
fn induce<L: Letter>(text: &[L], smaller: &Flags, starts: &[u32], leftmost: &[u32], sorted: &mut [u32]) {
    sorted.fill(NONE);
    let mut ends = starts[1..].to_vec();
    for &at in leftmost.iter().rev() {
        let end = &mut ends[text[at as usize].index()];
        *end -= 1;
        sorted[*end as usize] = at;
    }
    let mut heads = starts.to_vec();
    let last = text.len() - 1;
    let head = &mut heads[text[last].index()];
    sorted[*head as usize] = number(last);
    *head += 1;
    for index in 0..sorted.len() {
        let at = sorted[index];
        if at != NONE && at > 0 && !smaller.get(at as usize - 1) {
            let head = &mut heads[text[at as usize - 1].index()];
            sorted[*head as usize] = at - 1;
            *head += 1;
        }
    }
    ends.copy_from_slice(&starts[1..]);
    for index in (0..sorted.len()).rev() {
        let at = sorted[index];
        if at != NONE && at > 0 && smaller.get(at as usize - 1) {
            let end = &mut ends[text[at as usize - 1].index()];
            *end -= 1;
            sorted[*end as usize] = at - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(text: &[u8]) -> Vec<u32> {
        let mut order: Vec<u32> = (0..text.len()).map(number).collect();
        order.sort_by_key(|&at| &text[at as usize..]);
        order
    }

    #[test]
    fn short_and_repetitive_texts_are_sorted() {
        for text in [
            &b""[..],
            b"a",
            b"aa",
            b"ab",
            b"ba",
            b"banana",
            b"aaaaaaab",
            b"baaaaaaa",
            b"abababab",
            b"mississippi",
        ] {
            assert_eq!(sort(text), naive(text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_sorted(text in prop::collection::vec(0..4_u8, 0..2000)) {
            prop_assert_eq!(sort(&text), naive(&text));
        }
    }
}
