//! The tutorials do what they say: their commands run as they stand there, on loop devices.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::sandbox::{CHUNK, Run, Sandbox};
use crate::system::{LoopDevice, is_installed, or_skip, run};

/// The loopback of a new network is down. And what a tutorial that fails half-way leaves, is ended: its server, its loop
/// devices.
const AROUND: &str = r#"ip link set lo up
trap '
    kill $(jobs -p) 2>/dev/null || true
    for file in slot-a slot-b partition; do
        for device in $(losetup --noheadings --output NAME --associated "$file"); do losetup --detach "$device"; done
    done
' EXIT
"#;

/// All shell commands of a page, in order.
fn commands(page: &str) -> String {
    let mut inside = false;
    let mut commands = String::new();
    for line in page.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
        } else if inside {
            commands += line;
            commands.push('\n');
        }
    }
    commands
}

/// Runs a page's commands, in a network of their own, as ports are taken by number; none if the machine has no loop
/// devices or networks to lend.
fn follow(sandbox: &Sandbox, page: &str) -> Option<String> {
    sandbox.write("probe", &[0; 4096]);
    // Whether there can be any at all; it is given back before the page asks for its own.
    drop(LoopDevice::writable(&sandbox.path("probe"))?);
    if !is_installed("mke2fs") || or_skip("network", run("unshare", &["--net", "true"])).is_none() {
        return None;
    }
    let binaries = Path::new(CHUNK).parent().expect("the binary lies in a directory").to_owned();
    let inherited = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin".into(), "/sbin".into()];
    let path = env::join_paths([binaries].into_iter().chain(env::split_paths(&inherited)).chain(system));
    let script = format!("{AROUND}{}", commands(page));
    let run = Run::of(
        Command::new("unshare")
            .args(["--net", "bash", "-euo", "pipefail", "-c", &script])
            .current_dir(sandbox.root())
            .env("PATH", path.expect("the paths were joined before")),
    );
    assert_eq!(run.code(), Some(0), "{run}");
    Some(run.text().to_owned())
}

#[track_caller]
fn says(answer: &str, phrases: &[&str]) {
    for phrase in phrases {
        assert!(answer.contains(phrase), "{phrase:?} in {answer}");
    }
}

#[test]
fn a_device_with_two_slots_is_updated_as_its_tutorial_says() {
    let sandbox = Sandbox::new();
    let page = include_str!("../../../docs/tutorials/ab-device.md");
    let Some(answer) = follow(&sandbox, page) else { return };
    says(&answer, &["published os.ext4@1.2", "\n1.1\n", "slot B is not 1.1 any more", "wrong     "]);
    let (image, slot) = (sandbox.read("os.ext4"), sandbox.read("slot-a"));
    assert!(slot[..image.len()] == image, "slot A holds 1.2");
    assert_eq!(fs::read_link(sandbox.path("active")).expect("the link was made"), Path::new("slot-b"));
}

#[test]
fn a_device_with_one_partition_is_updated_as_its_tutorial_says() {
    let sandbox = Sandbox::new();
    let page = include_str!("../../../docs/tutorials/single-partition-device.md");
    let Some(answer) = follow(&sandbox, page) else { return };
    says(&answer, &["published system.img@1.2", "not 1.2 any more", "wrong     "]);
    let first = sandbox.chunk("cat store/system.img@1.0.cidx").succeeds().stdout;
    assert!(sandbox.read("partition")[..first.len()] == first, "it went back to 1.0");
}
