//! The `chunk` command.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod allocator;

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::sync::Arc;

use chunk_cli::args::Args;
use chunk_cli::{Exit, Failure, explain, run};
use clap::Parser;
use signal_hook::consts::SIGXFSZ;

fn main() -> ExitCode {
    // What would be longer than this process may make a file is an error then, and no sudden end.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(said) => return end(explain(&said), false),
    };
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if args.command.is_for_devices() {
        allocator::stay_small();
    }
    // The panic itself has been told on stderr by then.
    match catch_unwind(|| run(&args)) {
        Ok(done) => end(done.map(|()| Exit::Ok), args.json),
        Err(_) => Exit::Internal.into(),
    }
}

fn end(done: Result<Exit, Failure>, json: bool) -> ExitCode {
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.tell(json);
            failure.exit().into()
        }
    }
}
