//! The `chunk` command: arguments in, exit code out.
//!
//! What the command does lives in the other crates; here it is asked for, watched and told.

#![forbid(unsafe_code)]

pub mod args;
mod cat;
mod diff;
mod exit;
mod explain;
mod extract;
mod generate;
mod info;
mod list;
mod locate;
mod make;
mod network;
mod output;
mod patch;
mod progress;
mod serve;
mod size;
mod stdin;
mod stdout;
mod usage;
mod verify;

pub use exit::{Exit, Failure};
pub use usage::explain;

use args::{Args, Command, Verify};
use output::Output;

/// Does what the arguments say.
pub fn run(args: &Args) -> Result<(), Failure> {
    let output = Output::new(args.json, args.quiet);
    match &args.command {
        Command::Make(make) => make::run(make, &output),
        Command::Info(info) => info::run(info, &output),
        Command::List(list) => list::run(list, &output),
        Command::Diff(diff) => diff::run(diff, &output),
        Command::Explain(explain) => explain::run(explain, &output),
        Command::Patch(patch) => patch::run(patch, &output),
        Command::Verify(verify @ Verify { what, index: Some(index), .. }) => {
            extract::verify(verify, what, index, &output)
        }
        Command::Verify(verify) => verify::run(verify, &output),
        Command::Extract(extract) => extract::run(extract, &output),
        Command::Plan(plan) => extract::plan(plan, &output),
        Command::Pull(pull) => extract::pull(pull, &output),
        Command::Serve(serve) => serve::serve(serve, &output),
        Command::Proxy(proxy) => serve::proxy(proxy, &output),
        Command::Cat(cat) => cat::run(cat, &output),
        Command::Generate(generate) => generate::run(generate),
    }
}
