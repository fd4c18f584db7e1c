//! The `chunk` command.

use std::process::ExitCode;

use chunk_cli::args::Args;
use chunk_cli::{Exit, run};
use clap::Parser;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are answers, not errors.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            return if error.print().is_ok() { exit.into() } else { Exit::Internal.into() };
        }
    };
    match run(&args) {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            failure.tell(args.json);
            failure.exit().into()
        }
    }
}
