//! The header block.

/// Where the sum of all bytes stands.
const SUM: std::ops::Range<usize> = 148..156;

/// What the readers need of a header.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) path: Vec<u8>,
    pub(super) len: u64,
    pub(super) kind: u8,
    /// The time as it stands there.
    pub(super) mtime: Vec<u8>,
}

impl Header {
    /// Reads a block; `None` if its sum is not that of a header.
    pub(super) fn decode(block: &[u8]) -> Option<Self> {
        let said = number(block.get(SUM)?)?;
        let sum = |(at, byte): (usize, &u8)| u64::from(if SUM.contains(&at) { b' ' } else { *byte });
        if block.len() != 512 || block.iter().enumerate().map(sum).sum::<u64>() != said {
            return None;
        }
        let name = text(block.get(..100)?);
        // GNU keeps other things where ustar has the start of a long path.
        let is_ustar = block.get(257..263)? == b"ustar\0";
        let path = match text(block.get(345..500)?) {
            prefix if is_ustar && !prefix.is_empty() => [prefix, name].join(&b'/'),
            _ => name.to_vec(),
        };
        Some(Self {
            path,
            len: number(block.get(124..136)?)?,
            kind: *block.get(156)?,
            mtime: block.get(136..148)?.to_vec(),
        })
    }

    /// Bytes that follow the header of what is no file: links and devices have none, whatever they say.
    pub(super) fn body(&self) -> u64 {
        match self.kind {
            b'1'..=b'6' => 0,
            _ => self.len,
        }
    }
}

/// What stands before the first zero.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A number: octal digits, or with the first bit set as bytes, most significant first.
fn number(field: &[u8]) -> Option<u64> {
    if let Some((0x80, rest)) = field.split_first() {
        let (high, low) = rest.split_at_checked(rest.len().checked_sub(8)?)?;
        let low = low.first_chunk().copied().map(u64::from_be_bytes)?;
        return high.iter().all(|byte| *byte == 0).then_some(low);
    }
    let digits = text(field).trim_ascii();
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = char::from(*digit).to_digit(8)?;
        number.checked_mul(8)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_bytes() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"  17 \0\0\0"), Some(0o17));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\x02\0\0\0\x01"), Some((2 << 32) + 1));
        for wrong in [&b"8"[..], b"-1", b"\x80\x01\0\0\0\0\0\0\0\0\0\0", b"7777777777777777777777777"] {
            assert_eq!(number(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_block_with_a_wrong_sum_is_no_header() {
        assert!(Header::decode(&[0; 512]).is_none());
        assert!(Header::decode(&[b'0'; 512]).is_none());
    }
}
