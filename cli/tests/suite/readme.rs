//! The example of the README does what it says.

use std::env;
use std::path::Path;
use std::process::Command;

use crate::image;
use crate::sandbox::{CHUNK, Run, Sandbox};

/// What stands for the slots of a device: a test must not write to the devices of whoever runs it.
const SLOTS: [(&str, &str); 2] = [("/dev/mmcblk0p1", "slot-a"), ("/dev/mmcblk0p2", "slot-b")];

/// The commands of the first console example, without prompts and remarks, on files instead of devices.
fn commands() -> Vec<String> {
    let readme = include_str!("../../../README.md");
    let lines = readme.lines().skip_while(|line| *line != "```console").skip(1);
    let lines = lines.take_while(|line| *line != "```");
    let commands = lines.filter_map(|line| line.strip_prefix("$ "));
    commands
        .map(|command| SLOTS.iter().fold(command.to_owned(), |on, (device, file)| on.replace(device, file)))
        .collect()
}

#[test]
fn the_commands_of_the_readme_work_one_after_the_other() {
    let sandbox = Sandbox::new();
    let binaries = Path::new(CHUNK).parent().expect("the binary lies in a directory").to_owned();
    let inherited = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([binaries].into_iter().chain(env::split_paths(&inherited)));
    let path = path.expect("the paths were joined before");
    let mut builds = [image::disk(1), image::next_version(&image::disk(1))].into_iter();
    // The device runs the first version.
    sandbox.write("slot-a", &image::disk(1));
    let mut ran = String::new();
    for command in commands() {
        assert!(!command.contains("/dev/"), "{command}");
        if command.starts_with("chunk make ") {
            sandbox.write("image.ext4", &builds.next().expect("the example makes two builds"));
        }
        let run =
            Run::of(Command::new("sh").args(["-c", &command]).current_dir(sandbox.root()).env("PATH", &path));
        ran += run.succeeds().text();
    }
    assert!(builds.next().is_none(), "both builds were made");
    assert!(sandbox.read("slot-b") == sandbox.read("image.ext4"));
    for said in ["published image.ext4@1.0", "published image.ext4@1.1", "release 2", "download "] {
        assert!(ran.contains(said), "{said:?} in {ran}");
    }
}
