//! A control group: what its processes take of memory, and a limit on it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::measure::{Outcome, finish, run};

/// Time between two looks.
const GLANCE: Duration = Duration::from_millis(1);

/// A control group, removed when dropped.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
    /// What version 1 or 2 calls anonymous memory in `memory.stat`.
    anonymous: &'static str,
}

impl Group {
    /// A group with room for `limit` bytes, pages of files included.
    pub fn new(limit: Option<u64>) -> io::Result<Self> {
        let name = format!("chunk-bench-{}", std::process::id());
        let root = Path::new("/sys/fs/cgroup");
        let is_old = root.join("memory/memory.stat").exists();
        let group = if is_old {
            Self { path: root.join("memory").join(name), anonymous: "rss " }
        } else {
            Self { path: root.join(name), anonymous: "anon " }
        };
        fs::create_dir(&group.path)?;
        if let Some(limit) = limit {
            let file = if is_old { "memory.limit_in_bytes" } else { "memory.max" };
            // Written to in place: the kernel's files cannot be replaced.
            fs::File::options()
                .write(true)
                .open(group.path.join(file))
                .and_then(|mut file| io::Write::write_all(&mut file, limit.to_string().as_bytes()))?;
        }
        Ok(group)
    }

    /// The same command, to be run in the group.
    pub fn inside(&self, command: &Command) -> Command {
        let mut inside = Command::new("sh");
        inside.args(["-c", "echo $$ >\"$0/cgroup.procs\" && exec \"$@\""]);
        inside.arg(&self.path).arg(command.get_program()).args(command.get_args());
        inside
    }

    /// Runs a command in the group; returns the most anonymous memory that it had at a time.
    pub fn run(&self, command: &Command) -> Outcome<u64> {
        let mut child = self.inside(command).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut peak = 0;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            let stat = fs::read_to_string(self.path.join("memory.stat"))?;
            let now = stat.lines().find_map(|line| line.strip_prefix(self.anonymous)?.parse().ok());
            peak = now.unwrap_or(0).max(peak);
            thread::sleep(GLANCE);
        };
        finish(status, command)?;
        Ok(peak)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Best effort: its last process may just be leaving it.
        let _ = fs::remove_dir(&self.path);
    }
}

/// The most anonymous memory that a command has at a time: in a group if the machine lends one, or by the process
/// itself.
pub fn anonymous_peak(command: &mut Command) -> Outcome<u64> {
    match Group::new(None) {
        Ok(group) => group.run(command),
        Err(_) => Ok(run(command)?.peak_kb * 1024),
    }
}
