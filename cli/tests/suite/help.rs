//! What `--help` says, word by word, and how a wrong command line is refused.
//!
//! The texts lie in `help/`. After a wanted change, `CHUNK_REWRITE_HELP=1 cargo test -p chunk-cli` writes them
//! anew; the change is then reviewed with the rest.

use std::fs;
use std::path::Path;

use chunk_cli::{Exit, args::Args};
use clap::CommandFactory;

use crate::sandbox::Sandbox;

const VERBS: [&str; 14] = [
    "make", "info", "list", "diff", "explain", "patch", "verify", "extract", "plan", "pull", "serve",
    "proxy", "cat", "generate",
];

#[test]
fn the_verbs_are_the_ones_tested_here() {
    let command = Args::command();
    let verbs: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
    assert_eq!(verbs, VERBS);
}

#[test]
fn help_says_what_it_said_at_the_last_review() {
    let sandbox = Sandbox::new();
    let reviewed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/help");
    for verb in [""].iter().chain(&VERBS) {
        let run = sandbox.chunk(&format!("{verb} --help")).succeeds();
        let file = reviewed.join(if verb.is_empty() { "chunk.txt" } else { verb }).with_extension("txt");
        if std::env::var_os("CHUNK_REWRITE_HELP").is_some() {
            fs::write(&file, run.text()).expect("the source can be written");
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(run.text(), expected, "{verb}");
    }
}

/// A text without its line breaks and indentation.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn help_of_every_verb_explains_every_flag_and_every_exit_code() {
    let sandbox = Sandbox::new();
    let command = Args::command();
    for verb in command.get_subcommands() {
        let run = sandbox.chunk(&format!("{} --help", verb.get_name())).succeeds();
        assert!(run.text().contains(Exit::TABLE), "{run}");
        let told = unwrapped(run.text());
        for argument in verb.get_arguments().chain(command.get_arguments()) {
            let Some(help) = argument.get_help() else { panic!("{} is not explained", argument.get_id()) };
            let flag = argument.get_long().map(|long| format!("--{long}")).unwrap_or_default();
            let shown = told.contains(&flag) && told.contains(&unwrapped(&help.to_string()));
            assert!(shown, "{}: {run}", argument.get_id());
        }
    }
}

#[test]
fn the_readme_lists_the_exit_codes_that_help_lists() {
    let codes =
        |line: &str| -> Vec<u8> { line.split([' ', '|']).filter_map(|word| word.parse().ok()).collect() };
    let of_help: Vec<u8> =
        Exit::TABLE.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    let readme = include_str!("../../../README.md");
    let rows = readme.lines().skip_while(|line| !line.starts_with("| exit |")).skip(2);
    let mut of_readme: Vec<u8> = rows.take_while(|line| line.starts_with('|')).flat_map(codes).collect();
    of_readme.sort_unstable();
    assert_eq!(of_readme, of_help);
}

#[test]
fn the_version_is_that_of_the_package() {
    let run = Sandbox::new().chunk("--version").succeeds();
    assert_eq!(run.text(), format!("chunk {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_wrong_command_line_is_refused_on_stderr_alone() {
    let sandbox = Sandbox::new();
    for arguments in [
        "no-such-verb a b",
        "make",
        "make --no-such-flag a",
        "make --jobs 0 a",
        "make --level nine a",
        "info",
        "diff a",
        "diff a b --gap 1kb",
        "cat a --offset -1",
        "list a b",
    ] {
        let run = sandbox.chunk(arguments).fails(2).answers_nothing();
        assert!(run.stderr.contains("--help"), "{run}");
    }
    assert!(sandbox.names("").is_empty(), "nothing was made");
}

#[test]
fn without_arguments_the_help_is_shown_as_an_error() {
    let run = Sandbox::new().chunk("").answers_nothing();
    assert!(run.stderr.contains("Usage: chunk [OPTIONS] <COMMAND>"), "{run}");
    assert_eq!(run.code(), Some(2));
}

#[test]
fn a_wrong_argument_is_shown_without_its_control_characters() {
    let sandbox = Sandbox::new();
    for arguments in
        [&["ma\x1b[31mke"][..], &["make", "--\x1b[31m"], &["diff", "a", "b", "--gap", "\u{9b}7m"]]
    {
        let run = sandbox.chunk_with(arguments).fails(2);
        assert!(!run.stderr.contains(['\x1b', '\u{9b}']), "{:?}", run.stderr);
    }
}
