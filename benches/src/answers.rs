//! What commands answer, and how tables tell it.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::measure::Outcome;

/// What a command that must succeed prints.
pub fn said(command: &mut Command) -> Outcome<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The number that a JSON answer has under `key`.
pub fn number(answer: &Value, key: &str) -> Outcome<u64> {
    answer[key].as_u64().ok_or_else(|| format!("{key} is no number in {answer}").into())
}

/// What an update is called: its set and both versions.
pub fn pair_name(old: &Path, new: &Path) -> String {
    let stem = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let set = new.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    format!("{set} {}→{}", stem(old), stem(new))
}

/// Bytes in millions, with three decimals.
pub fn millions(bytes: u64) -> String {
    format!("{}.{:03}", bytes / 1_000_000, bytes % 1_000_000 / 1000)
}
