//! The logistic curve in integers, and its inverse, as tables made from 33 points.

/// 4096 / (1 + e^(−x/256)) for x from −2048 to 2048 in steps of 128, rounded, and kept within 1–4095.
const POINTS: [i32; 33] = [
    1, 2, 4, 6, 10, 17, 27, 45, 74, 120, 194, 311, 488, 747, 1102, 1546, 2048, 2550, 2994, 3349, 3608, 3785,
    3902, 3976, 4022, 4051, 4069, 4079, 4086, 4090, 4092, 4094, 4095,
];

/// The largest argument of the curve; the smallest is its negative.
const REACH: i32 = 2047;

#[expect(clippy::cast_possible_wrap, clippy::cast_possible_truncation, reason = "indices are below 4096")]
const SQUASHED: [i16; 4096] = {
    let mut table = [0; 4096];
    let mut at = 0;
    while at < 4096 {
        let (point, beyond) = (at / 128, at as i32 % 128);
        table[at] = ((POINTS[point] * (128 - beyond) + POINTS[point + 1] * beyond + 64) / 128) as i16;
        at += 1;
    }
    table
};

#[expect(clippy::cast_possible_wrap, clippy::cast_possible_truncation, reason = "indices are below 4096")]
const STRETCHED: [i16; 4096] = {
    let mut table = [REACH as i16; 4096];
    let (mut at, mut chance) = (0_usize, 0_usize);
    while at < 4096 {
        while chance < 4096 && chance as i16 <= SQUASHED[at] {
            table[chance] = at as i16 - 2048;
            chance += 1;
        }
        at += 1;
    }
    table
};

/// The chance in 4096ths (1–4095) whose logit is `logit` / 256; what lies outside ±2047 counts as that.
#[inline]
pub(super) fn squash(logit: i32) -> i32 {
    let at = logit.clamp(-REACH, REACH) + 2048;
    i32::from(SQUASHED[(at.cast_unsigned() & 0xfff) as usize])
}

/// The logit, times 256, of a chance below 4096.
#[inline]
pub(super) fn stretch(chance: u32) -> i32 {
    i32::from(STRETCHED[(chance & 0xfff) as usize])
}
