//! `chunk list`.

use serde::Serialize;

use crate::args::List;
use crate::exit::{Exit, Failure};
use crate::info::Version;
use crate::locate;
use crate::output::Output;
use crate::size::{counted, human};

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    version: Version<'a>,
    newest: bool,
    file: String,
}

pub(crate) fn run(list: &List, output: &Output) -> Result<(), Failure> {
    let mut heads = Vec::new();
    let mut newest = Vec::new();
    let mut unreadable = 0;
    // The newest version alone, for a line whose last publisher got no further.
    let mut pointers = Vec::new();
    for (version, path) in locate::versions(&list.store)? {
        match locate::head(&path) {
            Ok(head) if version.label.is_none() => {
                newest.push(head.id());
                pointers.push((head, path));
            }
            Ok(head) => heads.push((head, path)),
            Err(failure) => {
                unreadable += 1;
                failure.tell(output.is_json());
            }
        }
    }
    let known: Vec<_> = heads.iter().map(|(head, _)| head.id()).collect();
    heads.extend(pointers.into_iter().filter(|(head, _)| !known.contains(&head.id())));
    heads.sort_by(|(a, _), (b, _)| {
        let key = |head: &chunk_index::Head| {
            let description = head.record().description();
            (description.line.clone(), description.release)
        };
        key(a).cmp(&key(b))
    });
    let lines: Vec<_> = heads
        .iter()
        .map(|(head, path)| Line {
            version: Version::of(head.record()),
            newest: newest.contains(&head.id()),
            file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        })
        .collect();
    output.answer(&lines, || lines.iter().map(text).collect())?;
    if unreadable > 0 {
        let message = format!("{} of {} cannot be read", counted(unreadable, "index"), list.store.display());
        return Err(Failure::new(Exit::Index, message).hint("`chunk verify` tells what is damaged"));
    }
    Ok(())
}

fn text(line: &Line<'_>) -> String {
    let Version { name, label, release, id, image_bytes, .. } = &line.version;
    let newest = if line.newest { "  newest" } else { "" };
    format!("{name}@{label}  release {release}  {}  {}{newest}\n", &id[..16], human(*image_bytes))
}
