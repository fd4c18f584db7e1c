//! Command lines that are not run: those that ask for help, and those that are wrong.

use std::io::{self, Write};

use crate::exit::{Exit, Failure, visible};
use crate::output::print;

/// Says what clap has to say. Help and version are answers, the rest are errors.
pub fn explain(said: &clap::Error) -> Result<Exit, Failure> {
    let text = said.render().to_string();
    if !said.use_stderr() {
        return print(&text).map(|()| Exit::Ok);
    }
    // What was typed is quoted as it was typed.
    let lines: String = text.lines().map(|line| visible(line) + "\n").collect();
    // Nobody is left to tell if stderr is gone.
    let _ = io::stderr().write_all(lines.as_bytes());
    Ok(Exit::Usage)
}
