//! Headers that say more of the next file.

/// What they said.
#[derive(Debug, Default)]
pub(super) struct Extended {
    pub(super) path: Option<Vec<u8>>,
    pub(super) len: Option<u64>,
    /// All that is said of times.
    pub(super) times: Vec<u8>,
}

impl Extended {
    /// Adds what a header of this kind says: `x` of pax, or `L`, GNU's for a long path.
    pub(super) fn add(&mut self, kind: u8, bytes: &[u8]) {
        match kind {
            b'L' => self.path = bytes.split(|byte| *byte == 0).next().map(<[u8]>::to_vec),
            b'x' => records(bytes, |key, value| match key {
                b"path" | b"GNU.sparse.name" => self.path = Some(value.to_vec()),
                b"size" => self.len = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()),
                b"mtime" | b"atime" | b"ctime" => self.times.extend_from_slice(value),
                _ => {}
            }),
            _ => {}
        }
    }
}

/// Shows each record: `LENGTH KEY=VALUE` and a line feed, all of it counted by LENGTH.
fn records(mut bytes: &[u8], mut show: impl FnMut(&[u8], &[u8])) {
    while let Some(space) = bytes.iter().position(|byte| *byte == b' ') {
        let digits = bytes.get(..space).and_then(|digits| std::str::from_utf8(digits).ok());
        let Some(len) = digits.and_then(|digits| digits.parse::<usize>().ok()) else { return };
        let record = bytes.get(space.saturating_add(1)..len).and_then(|rest| rest.strip_suffix(b"\n"));
        let Some(record) = record else { return };
        if let Some(equals) = record.iter().position(|byte| *byte == b'=') {
            let (key, value) = record.split_at(equals);
            show(key, value.get(1..).unwrap_or_default());
        }
        bytes = bytes.get(len..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_up_to_the_first_that_is_wrong() {
        let mut extended = Extended::default();
        extended.add(b'x', b"12 path=a/b\n14 mtime=1.25\n9 size=7\n99 path=c\n");
        assert_eq!(extended.path.as_deref(), Some(&b"a/b"[..]));
        assert_eq!(extended.len, Some(7));
        assert_eq!(extended.times, b"1.25");
    }
}
