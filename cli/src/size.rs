//! Sizes and numbers as people write them.

use std::str::FromStr;

/// A number of bytes: `4096`, `4KiB`, `4K`, `4k`, `1MiB`, `1GiB`. All units are powers of 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let shift = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kib" => 10,
            "m" | "mib" => 20,
            "g" | "gib" => 30,
            "t" | "tib" => 40,
            // `kB` is 1000 bytes to some and 1024 to others.
            _ => return Err(format!("unit {unit:?} is none of B, K, M, G, T, KiB, MiB, GiB, TiB")),
        };
        let number: u64 = number.parse().map_err(|_| format!("{number:?} is no number of bytes"))?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(|| "too many bytes".to_owned())
    }
}

/// A number of bytes for people: three digits and a unit.
pub(crate) fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut scale = 1000;
    let mut unit = 0;
    while unit + 1 < UNITS.len() && bytes / scale >= 1000 {
        scale *= 1000;
        unit += 1;
    }
    let hundredths = u128::from(bytes) * 100 / u128::from(scale);
    let (whole, rest) = (hundredths / 100, hundredths % 100);
    let unit = UNITS[unit];
    match whole {
        0..10 => format!("{whole}.{rest:02} {unit}"),
        10..100 => format!("{whole}.{} {unit}", rest / 10),
        _ => format!("{whole} {unit}"),
    }
}

/// A number of things: `1 pack`, `2 packs`, `0 indexes`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let ending = match noun {
        _ if number == 1 => "",
        _ if noun.ends_with('x') || noun.ends_with("ch") => "es",
        _ => "s",
    };
    format!("{number} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, bytes) in
            [("0", 0), ("7", 7), ("4K", 4096), ("4KiB", 4096), ("2MiB", 2 << 20), ("1G", 1 << 30), ("9b", 9)]
        {
            for text in [text.to_owned(), text.to_lowercase(), text.to_uppercase()] {
                assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
            }
        }
        for text in ["", "K", "4kb", "4kB", "4KB", "-1", "4 K", "1.5M", "99999999999T"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn one_is_no_plural() {
        let told = [(0, "pack"), (1, "pack"), (2, "pack"), (1, "index"), (3, "index")]
            .map(|(number, noun)| counted(number, noun));
        assert_eq!(told, ["0 packs", "1 pack", "2 packs", "1 index", "3 indexes"]);
    }

    #[test]
    fn bytes_are_told_in_three_digits() {
        let cases = [(0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (12_345, "12.3 kB"), (999_999, "999 kB")];
        for (bytes, text) in cases {
            assert_eq!(human(bytes), text);
        }
        assert_eq!(human(u64::MAX), "18446 PB");
    }
}
