//! The record: what a version is. Its BLAKE3 is the version's id (FORMAT 4.2).

use std::fmt;
use std::num::NonZeroU64;

use chunk_chunker::Params;
use chunk_chunker::image::Blocks;

use crate::cursor::{Cursor, FIXED, at_most};
use crate::digest::{Digest, digest};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::word::{ANNOTATION_LIMIT, Annotations, Word};

/// Longest encoded record, in bytes.
pub(crate) const RECORD_LIMIT: u32 = 65536;
/// Longest image, in bytes.
pub(crate) const IMAGE_LIMIT: u64 = 1 << 48;

const MAGIC: [u8; 8] = *b"chunkver";
const FORMAT: u16 = 1;
/// Feature bits that this crate understands: none is defined.
const KNOWN_FEATURES: u64 = 0;
/// FORMAT 2, the only way of cutting so far.
const CUTTER: u8 = 1;

/// What the publisher says of a version; everything else in its record follows from the image and its chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The line that the version belongs to.
    pub line: Word,
    /// The version's name along the line.
    pub label: Word,
    /// Counts up along the line.
    pub release: NonZeroU64,
    /// Free remarks for readers.
    pub annotations: Annotations,
    /// BLAKE3 of the image.
    pub blake3: Digest,
    /// SHA-256 of the image, for those who know it by that.
    pub sha256: Option<Digest>,
}

/// The shape of a version's chunk list and block hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) params: Params,
    pub(crate) image_len: u64,
    pub(crate) entries: u64,
    pub(crate) chunks: u64,
    pub(crate) tree: Digest,
    pub(crate) blocks: u64,
    pub(crate) blocks_hash: Digest,
}

/// What a version is. Only a decoder and [`TreeBuilder::finish`](crate::TreeBuilder::finish) make one, so each
/// is within the limits of the format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    optional: u64,
    description: Description,
    shape: Shape,
}

impl Record {
    pub(crate) fn new(description: Description, shape: Shape) -> Self {
        Self { optional: 0, description, shape }
    }

    /// The version's id: BLAKE3 of the encoded record.
    pub fn id(&self) -> VersionId {
        VersionId(digest(&self.encode()))
    }

    /// What the publisher says of the version.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Feature bits that a reader may ignore; this crate knows none.
    pub fn optional_features(&self) -> u64 {
        self.optional
    }

    /// How the image was cut.
    pub fn params(&self) -> Params {
        self.shape.params
    }

    /// Bytes of the image, at most 2^48.
    pub fn image_len(&self) -> u64 {
        self.shape.image_len
    }

    /// Number of entries in the chunk list.
    pub fn entries(&self) -> u64 {
        self.shape.entries
    }

    /// Number of chunks: entries counted with their repeats.
    pub fn chunks(&self) -> u64 {
        self.shape.chunks
    }

    /// BLAKE3 of the top list.
    pub fn tree(&self) -> &Digest {
        &self.shape.tree
    }

    /// Number of block hashes in the index: all blocks but the silent ones.
    pub fn blocks(&self) -> u64 {
        self.shape.blocks
    }

    /// BLAKE3 of the block hashes section.
    pub fn blocks_hash(&self) -> &Digest {
        &self.shape.blocks_hash
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self { optional, description, shape } = self;
        let Description { line, label, release, annotations, blake3, sha256 } = description;
        let annotations: Vec<(&str, &str)> = annotations.iter().collect();
        let params = shape.params;
        let what = (MAGIC, FORMAT, KNOWN_FEATURES, *optional);
        let who = (line.as_str(), label.as_str(), release.get(), annotations);
        let image = (shape.image_len, *blake3, *sha256);
        let cut = (CUTTER, params.level(), params.min(), params.avg(), params.max());
        let tree = (shape.entries, shape.chunks, shape.tree);
        let blocks = (shape.blocks, shape.blocks_hash);
        bincode::encode_to_vec((what, who, image, cut, tree, blocks), FIXED)
            .expect("encoding into memory meets no error")
    }

    /// Field by field, so that a file of a later format is refused for its version or features, not for
    /// whatever their meaning of a field does to the ones after it.
    pub(crate) fn decode(mut cursor: Cursor<'_>) -> Result<Self, DecodeError> {
        use DecodeErrorKind as Kind;

        cursor.checked(|magic: [u8; 8]| (magic == MAGIC).then_some(()).ok_or(Kind::Magic))?;
        cursor.checked(|found: u16| (found == FORMAT).then_some(()).ok_or(Kind::Version { found }))?;
        cursor.checked(|required: u64| match required & !KNOWN_FEATURES {
            0 => Ok(()),
            bits => Err(Kind::UnknownFeatures { bits }),
        })?;
        let optional = cursor.field()?;
        let line = cursor.checked(|text| Word::new(text).map_err(Kind::Text))?;
        let label = cursor.checked(|text| Word::new(text).map_err(Kind::Text))?;
        let release = cursor
            .checked(|release| NonZeroU64::new(release).ok_or(Kind::Zero { of: "number of the release" }))?;
        let annotations = decode_annotations(&mut cursor)?;
        let image_len = cursor.checked(at_most(IMAGE_LIMIT, "length of the image"))?;
        let description = Description {
            line,
            label,
            release,
            annotations,
            blake3: cursor.field()?,
            sha256: cursor.field()?,
        };
        cursor.checked(|found: u8| (found == CUTTER).then_some(()).ok_or(Kind::Cutter { found }))?;
        let params = cursor.checked(|(level, min, avg, max): (u8, u32, u32, u32)| {
            Params::new(min, avg, max, level).map_err(Kind::Params)
        })?;
        // No chunk is empty, so the image's length bounds both counts.
        let shape = Shape {
            params,
            image_len,
            entries: cursor.checked(at_most(image_len, "number of entries"))?,
            chunks: cursor.checked(at_most(image_len, "number of chunks"))?,
            tree: cursor.field()?,
            blocks: cursor.checked(at_most(Blocks::of_len(image_len).count(), "number of block hashes"))?,
            blocks_hash: cursor.field()?,
        };
        cursor.finish()?;
        Ok(Self { optional, description, shape })
    }
}

fn decode_annotations(cursor: &mut Cursor<'_>) -> Result<Annotations, DecodeError> {
    let limit = u64::try_from(ANNOTATION_LIMIT).expect("it is small");
    let count = cursor.checked(at_most(limit, "number of annotations"))?;
    let mut annotations = Annotations::default();
    for _ in 0..count {
        let key = cursor.checked(|text| {
            let key = Word::new(text).map_err(DecodeErrorKind::Text)?;
            match annotations.last_key() {
                Some(last) if *last >= key => Err(DecodeErrorKind::AnnotationOrder),
                _ => Ok(key),
            }
        })?;
        cursor.checked(|value| annotations.set(key, value).map_err(DecodeErrorKind::Text))?;
    }
    Ok(annotations)
}

/// The id of a version: BLAKE3 of its record. Who trusts an id trusts all that the record vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId(Digest);

impl VersionId {
    /// An id known from elsewhere, to be compared with [`Record::id`].
    pub const fn from_bytes(bytes: Digest) -> Self {
        Self(bytes)
    }

    /// The id's bytes.
    pub const fn as_bytes(&self) -> &Digest {
        &self.0
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
