//! What each way to an image would download.

use chunk_extract::Report;
use serde::Serialize;

use crate::size::human;

/// One way.
#[derive(Serialize)]
pub(super) struct Way {
    /// How many patches; none where frames alone do.
    patches: u64,
    /// The seed that patches start from.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<String>,
    /// Whether that has to be mended first, which is not in the bytes.
    is_changed: bool,
    /// Without the index. Of patches all bytes, though some may not be needed.
    download_bytes: u64,
}

/// The ways of a plan, and the one by frames, which takes `download_bytes`.
pub(super) fn of(plan: &Report, download_bytes: u64) -> Vec<Way> {
    let by_patches = plan.ways.iter().map(|way| Way {
        patches: way.patches,
        seed: plan.seeds.get(usize::from(way.seed)).cloned(),
        is_changed: way.is_changed,
        download_bytes: way.bytes,
    });
    by_patches.chain([Way { patches: 0, seed: None, is_changed: false, download_bytes }]).collect()
}

impl Way {
    pub(super) fn line(&self) -> String {
        let bytes = human(self.download_bytes);
        let Some(seed) = &self.seed else { return format!("way       {bytes} by frames") };
        let patches =
            if self.patches == 1 { "a patch".to_owned() } else { format!("{} patches", self.patches) };
        let mended = if self.is_changed { ", mended first" } else { "" };
        format!("way       at most {bytes} by {patches} from {seed}{mended}")
    }
}
