//! Exit codes and hints for what can keep an image from being made.

use std::io;

use chunk_extract::{ExtractError, IndexError, ReadError, Refusal, TargetError};
use chunk_fetch::{FetchError, FetchErrorKind};
use chunk_index::{DecodeError, DecodeErrorKind, HeadError};

use crate::exit::{Exit, Failure};

pub(crate) fn of(error: ExtractError) -> Failure {
    let (exit, hint) = match &error {
        ExtractError::Index(IndexError::Fetch(error)) | ExtractError::Store(ReadError::Fetch(error)) => {
            fetch(error)
        }
        ExtractError::Index(IndexError::Head(HeadError::Decode(DecodeError {
            kind: DecodeErrorKind::Magic,
            ..
        }))) => (
            Exit::Intercepted,
            Some("what was sent is no index: is the URL right, or does something on the way answer instead?"),
        ),
        ExtractError::Index(IndexError::Damaged { .. } | IndexError::Length { .. }) => (
            Exit::Integrity,
            Some(
                "it was asked for past caches and from every --store; run again if it has just been published, \
                 or look what changes it on the way",
            ),
        ),
        ExtractError::Index(_) => {
            (Exit::Index, Some("`chunk verify` tells which versions of a store are damaged"))
        }
        ExtractError::Unexpected { .. } => {
            (Exit::Trust, Some("--expect pins another version; ask the publisher"))
        }
        ExtractError::Store(ReadError::Frame { .. } | ReadError::Chunk { .. } | ReadError::Block { .. }) => (
            Exit::Integrity,
            Some(
                "what is written so far stays and is used again; `chunk verify STORE` names what is damaged",
            ),
        ),
        ExtractError::Target(error) => target(error),
        ExtractError::TooMuch { .. } => (Exit::Policy, Some("raise --max-download, or give better seeds")),
        ExtractError::Cancelled => (Exit::Interrupted, Some("run the same command again to go on")),
        _ => (Exit::Internal, None),
    };
    let failure = Failure::new(exit, error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn fetch(error: &FetchError) -> (Exit, Option<&'static str>) {
    let whole = "the store is not whole: was all of it copied, packs first and indexes last?";
    match &error.kind {
        FetchErrorKind::Missing | FetchErrorKind::Short => (Exit::Missing, Some(whole)),
        FetchErrorKind::NotAuthorised { .. } | FetchErrorKind::Rejected(_) => {
            (Exit::NotAuthorised, error.hint())
        }
        FetchErrorKind::Portal => (Exit::Intercepted, error.hint()),
        FetchErrorKind::Network(_) | FetchErrorKind::Wrong(_) => (Exit::Network, error.hint()),
        FetchErrorKind::Unencrypted | FetchErrorKind::Untrusted(_) | FetchErrorKind::CertificateTime(_) => {
            (Exit::Trust, error.hint())
        }
        FetchErrorKind::Cancelled => (Exit::Interrupted, Some("run the same command again to go on")),
        _ => (Exit::Source, error.hint()),
    }
}

fn target(error: &TargetError) -> (Exit, Option<&'static str>) {
    match error {
        TargetError::Refused(_, Refusal::Exists) => (
            Exit::Busy,
            Some("--in-place updates it where it lies, --force replaces it when the new one is complete"),
        ),
        TargetError::Refused(_, Refusal::Foreign(_)) => {
            (Exit::Busy, Some("move that file away, or give the image another name"))
        }
        TargetError::Refused(_, Refusal::Alias(_)) => {
            (Exit::Busy, Some("name the target itself as seed, or none"))
        }
        TargetError::Refused(..) => (Exit::Busy, None),
        TargetError::Space { .. } => (Exit::Space, None),
        TargetError::Write { error, .. } | TargetError::Flush(error) | TargetError::Open(_, error) => {
            (io_exit(error), None)
        }
        _ => (Exit::Target, None),
    }
}

pub(super) fn io_exit(error: &io::Error) -> Exit {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Exit::Space
        }
        _ => Exit::Target,
    }
}
