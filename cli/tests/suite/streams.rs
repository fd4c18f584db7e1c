//! Stdout and stderr: full, closed, or a terminal.

use std::fs::OpenOptions;
use std::io::Read;
use std::process::{Command, Stdio};

use crate::sandbox::{CHUNK, Run, Sandbox};
use crate::{image, system};

fn published() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("a.img", &image::disk(1));
    sandbox.chunk("make a.img").succeeds();
    sandbox
}

const ANSWERS: [&str; 8] = [
    "make a.img",
    "info store/a.img",
    "list",
    "list --json",
    "diff a.img store/a.img",
    "verify",
    "cat store/a.img",
    "--help",
];

#[test]
fn a_full_stdout_is_an_error_of_the_output() {
    let sandbox = published();
    for arguments in ANSWERS {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
        let mut command = sandbox.command(arguments.split_whitespace());
        let output = command.stdout(full).stderr(Stdio::piped()).spawn().expect("the binary can be started");
        let run = Run::new(&command, output.wait_with_output().expect("it can be waited for"));
        assert_eq!(run.code(), Some(10), "{run}");
        run.says("standard output cannot be used").says("No space left on device");
    }
}

#[test]
fn an_image_that_is_not_taken_whole_is_no_success() {
    let sandbox = published();
    let mut command = sandbox.command(["cat", "store/a.img"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the binary can be started");
    let mut first = [0];
    let mut stdout = child.stdout.take().expect("stdout is piped");
    stdout.read_exact(&mut first).expect("the image has bytes");
    assert_eq!(first, image::disk(1)[..1]);
    drop(stdout);
    Run::new(&command, child.wait_with_output().expect("it can be waited for")).fails(10);
}

#[test]
fn an_answer_that_nobody_reads_is_no_error() {
    let sandbox = published();
    for arguments in ANSWERS.into_iter().filter(|arguments| !arguments.starts_with("cat")) {
        let mut command = sandbox.command(arguments.split_whitespace());
        let (reader, writer) = std::io::pipe().expect("a pipe can be made");
        drop(reader);
        let child = command.stdout(writer).stderr(Stdio::piped()).spawn();
        let child = child.expect("the binary can be started");
        Run::new(&command, child.wait_with_output().expect("it can be waited for")).succeeds();
    }
}

/// What `chunk` prints on a terminal, stdout and stderr together.
fn on_a_terminal(sandbox: &Sandbox, arguments: &str) -> String {
    let command = format!("exec {CHUNK} {arguments}");
    let run = Run::of(
        Command::new("script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .current_dir(sandbox.root())
            .stdin(Stdio::null()),
    );
    run.succeeds().text().to_owned()
}

#[test]
fn progress_is_shown_on_a_terminal_only_and_wiped_at_the_end() {
    if !system::has_program("script") {
        return;
    }
    let sandbox = published();
    for (arguments, subject) in [("make --store other a.img", "a.img: "), ("verify", "store: ")] {
        let shown = on_a_terminal(&sandbox, arguments);
        assert!(shown.starts_with(&format!("\r\x1b[K{subject}")), "{shown:?}");
        assert!(shown.contains("% of ") && shown.contains("/s, "), "{shown:?}");
        let (_, answer) = shown.rsplit_once("\r\x1b[K").expect("progress was drawn");
        assert_eq!(answer.lines().count(), 1, "only the answer stays: {shown:?}");
    }
    for arguments in ["verify --quiet", "verify --json", "make --quiet a.img", "list"] {
        let shown = on_a_terminal(&sandbox, arguments);
        assert!(!shown.contains('\x1b'), "{arguments}: {shown:?}");
    }
}

#[test]
fn a_pipe_in_the_store_or_instead_of_a_file_is_refused_and_not_waited_for() {
    let sandbox = published();
    Run::of(Command::new("mkfifo").arg(sandbox.path("store/b.cidx"))).succeeds();
    Run::of(Command::new("mkfifo").arg(sandbox.path("pipe"))).succeeds();
    sandbox.chunk("list").succeeds();
    sandbox.chunk("verify").succeeds();
    sandbox.chunk("make --name b a.img").fails(10).says("is not a regular file");
    sandbox.chunk("diff pipe store/a.img").fails(13).says("neither a file nor a block device");
    sandbox.chunk("info store/b.cidx").fails(2).says("is not a file");
}

#[test]
fn a_large_file_that_is_no_index_is_not_read_whole() {
    let sandbox = published();
    let file = std::fs::File::create(sandbox.path("large")).expect("a file can be made");
    // Far more than there is memory.
    file.set_len(1 << 42).expect("it can be sparse");
    sandbox.chunk("info large").fails(3);
}
