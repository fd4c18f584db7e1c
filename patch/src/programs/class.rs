//! Where the headers of ELF files have what, in files of 64 and of 32 bits.

/// One of the two classes.
#[derive(Debug)]
pub(super) struct Class {
    /// What a file starts with.
    magic: [u8; 7],
    /// Bytes of a long: an address, an offset or a length.
    long: usize,
    file_header_len: usize,
    program_headers: (usize, usize, usize),
    section_headers: (usize, usize, usize),
    section_names: usize,
    pub(super) load_flags: usize,
    pub(super) load_offset: usize,
    pub(super) load_address: usize,
    pub(super) load_len: usize,
    pub(super) section_flags: usize,
    pub(super) section_address: usize,
    section_offset: usize,
    pub(super) section_len: usize,
}

const MACHINE: usize = 18;

const WIDE: Class = Class {
    magic: *b"\x7fELF\x02\x01\x01",
    long: 8,
    file_header_len: 64,
    program_headers: (32, 56, 56),
    section_headers: (40, 60, 64),
    section_names: 62,
    load_flags: 4,
    load_offset: 8,
    load_address: 16,
    load_len: 32,
    section_flags: 8,
    section_address: 16,
    section_offset: 24,
    section_len: 32,
};

const NARROW: Class = Class {
    magic: *b"\x7fELF\x01\x01\x01",
    long: 4,
    file_header_len: 52,
    program_headers: (28, 44, 32),
    section_headers: (32, 48, 40),
    section_names: 50,
    load_flags: 24,
    load_offset: 4,
    load_address: 8,
    load_len: 16,
    section_flags: 8,
    section_address: 12,
    section_offset: 16,
    section_len: 20,
};

impl Class {
    /// The class of the file that `bytes` start with, if they do with one.
    pub(super) fn of(bytes: &[u8]) -> Option<&'static Self> {
        [&WIDE, &NARROW].into_iter().find(|class| bytes.starts_with(&class.magic))
    }

    /// Whether addresses have 64 bits.
    pub(super) fn is_wide(&self) -> bool {
        self.long == WIDE.long
    }

    /// The program headers of a file.
    pub(super) fn program_headers<'a>(
        &self,
        file: &'a [u8],
    ) -> Option<impl Iterator<Item = &'a [u8]> + use<'a>> {
        self.headers(file, self.program_headers)
    }

    /// The section headers of a file.
    pub(super) fn section_headers<'a>(
        &self,
        file: &'a [u8],
    ) -> Option<impl Iterator<Item = &'a [u8]> + use<'a>> {
        self.headers(file, self.section_headers)
    }

    /// The bytes of a file from the names of its sections on.
    pub(super) fn section_names<'a>(&self, file: &'a [u8]) -> Option<&'a [u8]> {
        let names = self.section_headers(file)?.nth(usize::from(half(file, self.section_names)?))?;
        file.get(self.section_offset(names)?..)
    }

    /// Where in its file a section lies.
    pub(super) fn section_offset(&self, header: &[u8]) -> Option<usize> {
        self.count(header, self.section_offset)
    }

    fn headers<'a>(
        &self,
        file: &'a [u8],
        (at, number, len): (usize, usize, usize),
    ) -> Option<impl Iterator<Item = &'a [u8]> + use<'a>> {
        let at = self.count(file, at).filter(|&at| at >= self.file_header_len)?;
        let bytes = file.get(at..)?.get(..usize::from(half(file, number)?) * len)?;
        Some(bytes.chunks_exact(len))
    }

    /// The long at `at`.
    pub(super) fn long(&self, bytes: &[u8], at: usize) -> Option<u64> {
        if self.is_wide() { field(bytes, at).map(u64::from_le_bytes) } else { word(bytes, at).map(u64::from) }
    }

    /// The long at `at`, which counts bytes of a file in memory.
    pub(super) fn count(&self, bytes: &[u8], at: usize) -> Option<usize> {
        usize::try_from(self.long(bytes, at)?).ok()
    }
}

/// The number of the machine that a file of either class is for.
pub(super) fn machine(file: &[u8]) -> Option<u16> {
    half(file, MACHINE)
}

/// A field of `N` bytes at `at`.
fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    field(bytes, at).map(u16::from_le_bytes)
}

/// The four bytes at `at` as a number.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    field(bytes, at).map(u32::from_le_bytes)
}
