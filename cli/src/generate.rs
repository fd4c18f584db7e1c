//! `chunk generate`: completions and manual pages, made from the arguments themselves.

use std::fs::File;
use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::{Args, Generate};
use crate::exit::{Exit, Failure};

pub(crate) fn run(generate: &Generate) -> Result<(), Failure> {
    let written = match generate.what.as_str() {
        "man" => clap_mangen::generate_to(Args::command(), &generate.directory),
        shell => {
            let shell: Shell = shell.parse().map_err(|_| {
                Failure::new(Exit::Usage, format!("{shell:?} is neither man nor a shell"))
                    .hint("try bash, fish or zsh")
            })?;
            completions(shell, generate)
        }
    };
    written.map_err(|error| Failure::new(Exit::Target, error))
}

fn completions(shell: Shell, generate: &Generate) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "chunk", &mut script);
    let name = match shell {
        Shell::Zsh => "_chunk".to_owned(),
        Shell::PowerShell => "_chunk.ps1".to_owned(),
        other => format!("chunk.{other}"),
    };
    File::create(generate.directory.join(name))?.write_all(&script)
}
