//! A set of places in the base, one bit for each byte.

/// Places, and which of them comes next.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    words: Vec<u64>,
}

impl Marks {
    /// No marks yet, in a base of `len` bytes.
    pub(crate) fn new(len: u32) -> Self {
        Self { words: vec![0; (len as usize).div_ceil(64)] }
    }

    pub(crate) fn insert(&mut self, at: u32) {
        if let Some(word) = self.words.get_mut(at as usize / 64) {
            *word |= 1 << (at % 64);
        }
    }

    /// Inserts `at` or not, without a branch between.
    #[inline]
    pub(crate) fn insert_if(&mut self, at: u32, is: bool) {
        if let Some(word) = self.words.get_mut(at as usize / 64) {
            *word |= u64::from(is) << (at % 64);
        }
    }

    pub(crate) fn contains(&self, at: u32) -> bool {
        self.words.get(at as usize / 64).is_some_and(|word| (word >> (at % 64)) & 1 == 1)
    }

    /// The first mark at or after `from` and before `end`.
    #[inline]
    pub(crate) fn next(&self, from: u32, end: u32) -> Option<u32> {
        if from >= end {
            return None;
        }
        let mut index = from / 64;
        let mut word = self.words.get(index as usize)? & (u64::MAX << (from % 64));
        loop {
            if word != 0 {
                let at = index * 64 + word.trailing_zeros();
                return (at < end).then_some(at);
            }
            index += 1;
            if index * 64 >= end {
                return None;
            }
            word = *self.words.get(index as usize)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_mark_is_found_across_words_and_not_beyond_the_end() {
        let mut marks = Marks::new(300);
        for at in [0, 63, 64, 200, 299, 300, 5000] {
            marks.insert(at);
        }
        assert_eq!(marks.next(0, 300), Some(0));
        assert_eq!(marks.next(1, 300), Some(63));
        assert_eq!(marks.next(64, 300), Some(64));
        assert_eq!(marks.next(65, 200), None);
        assert_eq!(marks.next(65, 201), Some(200));
        assert_eq!(marks.next(201, u32::MAX), Some(299));
        assert_eq!(marks.next(5, 5), None);
        assert!(marks.contains(299) && !marks.contains(5000));
    }
}
