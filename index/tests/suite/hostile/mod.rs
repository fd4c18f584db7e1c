//! Every rule of FORMAT 7 that concerns an index, broken.

mod damage;
mod forge;
mod head;
mod leaf;
mod map;
mod record;
mod tree;

use std::sync::LazyLock;

use chunk_index::{DecodeErrorKind, Index};

use self::forge::Forge;
use crate::sample::{build, small};

/// The many-branched sample, ready to be tampered with.
fn many() -> Forge {
    static MANY: LazyLock<Forge> = LazyLock::new(|| Forge::open(&build(&small(), 2)));
    MANY.clone()
}

/// Why the forgery is refused.
fn refusal(forge: &Forge) -> DecodeErrorKind {
    refusal_of(&forge.file())
}

fn refusal_of(file: &[u8]) -> DecodeErrorKind {
    let error = Index::decode(file).expect_err("a forgery passes");
    let text = error.to_string();
    assert!(!text.contains('\n') && text.starts_with("index refused at byte "), "{text}");
    assert!(error.at <= u64::try_from(file.len()).unwrap(), "{error} lies behind the file");
    error.kind
}

fn sum(of: &'static str, stated: u64, found: u64) -> DecodeErrorKind {
    DecodeErrorKind::Sum { of, stated, found }
}

fn limit(of: &'static str, limit: u64, found: u64) -> DecodeErrorKind {
    DecodeErrorKind::Limit { of, limit, found }
}

#[test]
fn an_untouched_forgery_is_the_index_itself() {
    for pieces in [small(), Vec::new()] {
        let file = build(&pieces, 2);
        assert_eq!(Forge::open(&file).file(), file);
    }
}
