//! A base of which the pages that were read lately are kept.
//!
//! Most copies of a program are short, and near in the base to one not long before. Each would be a call to the system: of
//! decoding a program of 27 MB 94 000, which pages make 40 000.

use std::io;

use crate::base::Base;

/// Log2 of the bytes of a page. Longer ones would save few calls, and much would be read that nobody needs.
const PAGE_BITS: u32 = 10;
const PAGE: usize = 1 << PAGE_BITS;

/// Pages that are kept: each has one place, which it shares with those that lie as many pages on.
const KEPT: usize = 1 << 10;

/// The number of no page.
const NONE: u32 = u32::MAX;

/// Reads a base by pages.
pub(crate) struct Pages<'a, B: ?Sized> {
    base: &'a B,
    base_len: u32,
    /// The numbers of the pages that are kept.
    numbers: Box<[u32; KEPT]>,
    bytes: Vec<u8>,
}

impl<'a, B: Base + ?Sized> Pages<'a, B> {
    /// Nothing is read yet of `base`, which has `base_len` bytes.
    pub(crate) fn new(base: &'a B, base_len: u32) -> Self {
        let len = KEPT.min((base_len as usize).div_ceil(PAGE)) * PAGE;
        Self { base, base_len, numbers: Box::new([NONE; KEPT]), bytes: vec![0; len] }
    }

    /// Fills `out` with the bytes from `at` on, which the base has.
    pub(crate) fn read(&mut self, mut at: u32, mut out: &mut [u8]) -> io::Result<()> {
        if out.len() >= PAGE {
            return self.base.read_at(u64::from(at), out);
        }
        while !out.is_empty() {
            let within = at as usize % PAGE;
            let page = self.page(at >> PAGE_BITS)?;
            let here = page.get(within..).unwrap_or_default();
            let count = here.len().min(out.len());
            if count == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "read beyond the end of the base"));
            }
            let (now, later) = out.split_at_mut(count);
            now.copy_from_slice(&here[..count]);
            out = later;
            at += u32::try_from(count).expect("less than a page");
        }
        Ok(())
    }

    /// Page `number`; the last one of the base may be shorter.
    fn page(&mut self, number: u32) -> io::Result<&[u8]> {
        let place = number as usize % KEPT;
        let start = u64::from(number) << PAGE_BITS;
        let len = u64::from(self.base_len).saturating_sub(start).min(PAGE as u64);
        let len = usize::try_from(len).expect("no more than a page");
        let from = place * PAGE;
        let bytes = self.bytes.get_mut(from..from + len).unwrap_or_default();
        if self.numbers[place] != number {
            self.numbers[place] = NONE;
            self.base.read_at(start, bytes)?;
            self.numbers[place] = number;
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// A base that counts how often it is read, and fails once when it is told to.
    struct Counted {
        bytes: Vec<u8>,
        reads: Cell<usize>,
        fails: Cell<bool>,
    }

    impl Counted {
        fn new(len: usize) -> Self {
            let bytes = (0..=250).cycle().take(len).collect();
            Self { bytes, reads: Cell::new(0), fails: Cell::new(false) }
        }

        fn pages(&self) -> Pages<'_, Self> {
            Pages::new(self, u32::try_from(self.bytes.len()).expect("a short base"))
        }
    }

    impl Base for Counted {
        fn len(&self) -> u64 {
            self.bytes.len() as u64
        }

        fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.reads.set(self.reads.get() + 1);
            // What fails may have written something already.
            self.bytes[..].read_at(offset, out)?;
            if self.fails.take() {
                out.fill(0xff);
                return Err(io::Error::other("fails once"));
            }
            Ok(())
        }
    }

    fn assert_reads(pages: &mut Pages<'_, Counted>, at: usize, len: usize) {
        let mut out = vec![0; len];
        pages.read(u32::try_from(at).expect("a short base"), &mut out).expect("within the base");
        assert!(out == pages.base.bytes[at..at + len], "{len} bytes at {at}");
    }

    #[test]
    fn pages_have_the_bytes_of_the_base_wherever_they_are_read() {
        // Pages that share a place, and a last one that is shorter.
        let base = Counted::new((KEPT + 3) * PAGE + 100);
        let mut pages = base.pages();
        for at in [0, 1, PAGE - 1, PAGE, KEPT * PAGE - 1, KEPT * PAGE, base.bytes.len() - 2 * PAGE - 1] {
            for len in [0, 1, 2, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE] {
                assert_reads(&mut pages, at, len);
            }
        }
        let end = base.bytes.len();
        for len in 0..200 {
            assert_reads(&mut pages, end - len, len);
        }
        assert!(pages.read(u32::try_from(end - 3).expect("a short base"), &mut [0; 4]).is_err());
    }

    #[test]
    fn what_is_near_is_read_once() {
        let base = Counted::new(10 * PAGE);
        let mut pages = base.pages();
        for at in (0..8 * PAGE).step_by(20) {
            assert_reads(&mut pages, at, 30);
        }
        assert!(base.reads.get() <= 9, "{} reads", base.reads.get());
    }

    #[test]
    fn a_page_that_could_not_be_read_is_read_again() {
        let base = Counted::new(3 * PAGE);
        let mut pages = base.pages();
        assert_reads(&mut pages, PAGE, 5);
        base.fails.set(true);
        assert!(pages.read(0, &mut [0; 5]).is_err());
        assert_reads(&mut pages, 0, 5);
        assert_eq!(base.reads.get(), 3);
    }
}
