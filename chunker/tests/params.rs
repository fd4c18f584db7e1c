//! Parameters outside the limits of FORMAT 2 do not exist; those within are all usable.

use chunk_chunker::{Params, ParamsError, cut};

#[test]
fn each_limit_is_allowed_and_the_next_value_is_not() {
    use ParamsError::{
        AvgNotPowerOfTwo, AvgTooSmall, LevelTooHigh, MaxTooLarge, MaxTooSmall, MinTooSmall, Odd, OutOfOrder,
    };
    let new = Params::new;
    assert!(new(64, 256, 1024, 0).is_ok());
    assert!(new(1 << 20, 1 << 20, 1 << 20, 3).is_ok());
    assert_eq!(new(62, 256, 1024, 0), Err(MinTooSmall { actual: 62 }));
    assert_eq!(new(64, 128, 1024, 0), Err(AvgTooSmall { actual: 128 }));
    assert_eq!(new(64, 256, 1022, 0), Err(MaxTooSmall { actual: 1022 }));
    assert_eq!(new(64, 256, (1 << 20) + 2, 0), Err(MaxTooLarge { actual: (1 << 20) + 2 }));
    assert_eq!(new(258, 256, 1024, 0), Err(OutOfOrder { min: 258, avg: 256, max: 1024 }));
    assert_eq!(new(64, 2048, 1024, 0), Err(OutOfOrder { min: 64, avg: 2048, max: 1024 }));
    assert_eq!(new(64, 384, 1024, 0), Err(AvgNotPowerOfTwo { actual: 384 }));
    assert_eq!(new(65, 256, 1024, 0), Err(Odd { min: 65, max: 1024 }));
    assert_eq!(new(64, 256, 1025, 0), Err(Odd { min: 64, max: 1025 }));
    assert_eq!(new(64, 256, 1024, 4), Err(LevelTooHigh { actual: 4 }));
}

#[test]
fn an_error_tells_what_was_given_and_what_is_allowed() {
    let error = Params::new(2, 256, 1024, 0).expect_err("too small");
    assert_eq!(error.to_string(), "smallest chunk of 2 bytes, at least 64 expected");
}

#[test]
fn zeros_are_cut_at_the_length_foretold() {
    let zeros = vec![0; 1 << 20];
    let mut shorter = 0;
    for params in spread() {
        let len = cut(params, &zeros);
        assert_eq!(params.zero_chunk() as usize, len, "{params:?}");
        shorter += usize::from(len < params.max() as usize);
        assert!(len == params.max() as usize || params.avg() < 4096, "{params:?}");
    }
    assert!(shorter > 0, "the rare case must be among those tried");
}

/// Every `avg` and `level`, with `min` close enough to `avg` for the mask to change within the window, and far.
fn spread() -> impl Iterator<Item = Params> {
    let avgs = (8..=20).map(|log2| 1_u32 << log2);
    let limits = avgs.flat_map(|avg| {
        let mins = (avg - 60..=avg).step_by(2).chain([64, avg / 4, avg / 2]);
        let maxs = [avg, avg + 2, 4 * avg, 1 << 20];
        mins.flat_map(move |min| maxs.map(move |max| (min.max(64), avg, max.clamp(1024, 1 << 20))))
    });
    limits.flat_map(|(min, avg, max)| {
        (0..=3).map(move |level| Params::new(min, avg, max, level).expect("chosen within the limits"))
    })
}
