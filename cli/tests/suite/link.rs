//! A server, a device, and the only link between them: network namespaces, so that the link can fail as links do.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::system::{or_skip, run};

/// What both ends of the link are called on their machine.
const INTERFACE: &str = "link0";

/// The two machines and the link, until dropped.
#[derive(Debug)]
pub(crate) struct Link {
    server: String,
    device: String,
}

impl Link {
    /// The server's address.
    pub(crate) const SERVER: &str = "192.0.2.1";
    const DEVICE: &str = "192.0.2.2";

    #[track_caller]
    pub(crate) fn new() -> Option<Self> {
        or_skip("network namespace", Self::make())
    }

    fn make() -> Result<Self, String> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("chunk-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let link = Self { server: format!("{name}-server"), device: format!("{name}-device") };
        for machine in [&link.server, &link.device] {
            run("ip", &["netns", "add", machine])?;
        }
        let ends = ["netns", &link.server, "type", "veth", "peer", "name", INTERFACE, "netns", &link.device];
        run("ip", &[&["link", "add", INTERFACE][..], &ends].concat())?;
        for (machine, address) in [(&link.server, Self::SERVER), (&link.device, Self::DEVICE)] {
            let address = format!("{address}/24");
            run("ip", &["-netns", machine, "address", "add", &address, "dev", INTERFACE])?;
            run("ip", &["-netns", machine, "link", "set", INTERFACE, "up"])?;
        }
        Ok(link)
    }

    /// `program` on the server, not yet started.
    pub(crate) fn on_server(&self, program: &str) -> Command {
        on(&self.server, program)
    }

    /// `program` on the device, not yet started.
    pub(crate) fn on_device(&self, program: &str) -> Command {
        on(&self.device, program)
    }

    /// Switches the device's end off or on: the device is told.
    pub(crate) fn unplug(&self, is_unplugged: bool) {
        set(&self.device, is_unplugged);
    }

    /// Drops all that the server sends, or no more: nobody is told.
    pub(crate) fn black_hole(&self, is_open: bool) {
        self.filter(if is_open { "drop" } else { "accept" });
    }

    /// Drops so many of a hundred packets on their way to the device, at random.
    pub(crate) fn lose(&self, percent: u32) {
        self.filter(&format!("numgen random mod 100 < {percent} drop"));
    }

    fn filter(&self, rule: &str) {
        let rules = format!(
            "add table inet chunk; add chain inet chunk input {{ type filter hook input priority 0; }}; \
             flush chain inet chunk input; add rule inet chunk input {rule}"
        );
        let said = run("ip", &["netns", "exec", &self.device, "nft", &rules]);
        said.expect("packets can be dropped");
    }

    /// Lets no more than so many bytes a second through to the device.
    pub(crate) fn narrow(&self, bytes: u64) {
        let rate = format!("{bytes}bps");
        let limit = ["tbf", "rate", &rate, "burst", "16kb", "latency", "200ms"];
        let said = run(
            "tc",
            &[&["-netns", &self.server, "qdisc", "replace", "dev", INTERFACE, "root"][..], &limit].concat(),
        );
        said.expect("the link can be made narrow");
    }

    /// Bytes that have come to the device.
    pub(crate) fn received(&self) -> u64 {
        let file = format!("/sys/class/net/{INTERFACE}/statistics/rx_bytes");
        let said = run("ip", &["netns", "exec", &self.device, "cat", &file]);
        said.and_then(|said| said.parse().map_err(|_| said)).expect("the kernel counts")
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for machine in [&self.server, &self.device] {
            // The link goes with its ends.
            let _ = run("ip", &["netns", "delete", machine]);
        }
    }
}

fn on(machine: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", machine, program]);
    command
}

fn set(machine: &str, is_down: bool) {
    let state = if is_down { "down" } else { "up" };
    run("ip", &["-netns", machine, "link", "set", INTERFACE, state]).expect("the link can be switched");
}
