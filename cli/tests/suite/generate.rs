//! `chunk generate`: completions and manual pages.

use std::process::Command;

use crate::sandbox::{Run, Sandbox};

const VERBS: [&str; 6] = ["make", "info", "list", "diff", "verify", "cat"];

#[test]
fn completions_of_every_shell_know_every_verb() {
    let sandbox = Sandbox::new();
    for (shell, file) in [
        ("bash", "chunk.bash"),
        ("fish", "chunk.fish"),
        ("zsh", "_chunk"),
        ("elvish", "chunk.elvish"),
        ("powershell", "_chunk.ps1"),
    ] {
        sandbox.chunk(&format!("generate {shell}")).succeeds().answers_nothing();
        let script = String::from_utf8(sandbox.read(file)).expect("a script is text");
        for word in VERBS.into_iter().chain(["compatible", "offset", "regions"]) {
            assert!(script.contains(word), "{word} in {file}");
        }
    }
    assert_eq!(sandbox.names("").len(), 5, "one file for each shell");
    Run::of(Command::new("bash").arg("-n").arg(sandbox.path("chunk.bash"))).succeeds();
}

#[test]
fn there_is_a_manual_page_for_every_verb_that_lists_the_exit_codes() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("man")).expect("the sandbox can be written");
    sandbox.chunk("generate man man").succeeds().answers_nothing();
    for page in VERBS.map(|verb| format!("chunk-{verb}.1")).into_iter().chain(["chunk.1".to_owned()]) {
        let text = String::from_utf8(sandbox.read(format!("man/{page}"))).expect("a manual page is text");
        assert!(text.contains(".TH") && text.contains("EXIT CODES"), "{page}: {text}");
    }
    assert_eq!(sandbox.names(""), ["man"], "nothing lies elsewhere");
}

#[test]
fn what_cannot_be_generated_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.chunk("generate cobol").fails(2).says("\"cobol\" is neither man nor a shell");
    sandbox.chunk("generate bash absent").fails(10).says("No such file or directory");
    sandbox.chunk("generate man absent").fails(10).says("No such file or directory");
    assert!(sandbox.names("").is_empty());
}
