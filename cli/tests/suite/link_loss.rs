//! Links that go away, come back, lose packets, or hardly let anything through.

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::image::noise;
use crate::link::Link;
use crate::sandbox::{CHUNK, Run, Sandbox, number};
use crate::servers::Site;

const MIB: u64 = 1 << 20;

/// A device that is to download an image of noise.
struct Device {
    site: Site,
    link: Link,
    sandbox: Sandbox,
    image: Vec<u8>,
}

impl Device {
    /// One with a link that lets `rate` bytes a second through.
    fn new(len: u64, rate: u64) -> Option<Self> {
        let link = Link::new()?;
        let sandbox = Sandbox::new();
        let image = noise(1, usize::try_from(len).expect("it fits into memory"));
        sandbox.write("image", &image);
        sandbox.chunk("make image").succeeds();
        let site = Site::nginx_behind(&link, &sandbox.path("store"), sandbox.root())?;
        link.narrow(rate);
        Some(Self { site, link, sandbox, image })
    }

    /// Extracts on the device, while `meanwhile` happens.
    fn extract(&self, options: &[&str], meanwhile: impl FnOnce()) -> Run {
        let mut command = self.link.on_device(CHUNK);
        command.args(["extract", "--json"]).args(options).args([&self.site.url("image.cidx"), "target"]);
        command.current_dir(self.sandbox.root()).stdin(Stdio::null());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ip is there");
        meanwhile();
        Run::new(&command, child.wait_with_output().expect("it can be waited for"))
    }

    /// Waits until the device has received so much since it had received `before`.
    fn wait_for(&self, bytes: u64, before: u64) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.link.received() - before < bytes {
            assert!(Instant::now() < deadline, "{bytes} bytes never came");
            thread::sleep(Duration::from_millis(10));
        }
    }

    #[track_caller]
    fn has_image(&self) {
        assert!(self.sandbox.read("target") == self.image, "other bytes");
    }
}

#[test]
fn a_cable_that_is_pulled_and_plugged_in_again_costs_time_but_hardly_bytes() {
    let Some(device) = Device::new(6 * MIB, 3 * MIB) else { return };
    let run = device.extract(&["--stall", "1"], || {
        device.wait_for(2 * MIB, 0);
        device.link.unplug(true);
        thread::sleep(Duration::from_secs(3));
        device.link.unplug(false);
    });
    run.succeeds();
    device.has_image();
    let received = device.link.received();
    assert!((6 * MIB..7 * MIB).contains(&received), "{received} bytes");
}

#[test]
fn silence_of_the_network_is_waited_out_and_ranges_go_on_where_they_broke_off() {
    let Some(device) = Device::new(6 * MIB, 3 * MIB) else { return };
    let run = device.extract(&["--stall", "1"], || {
        device.wait_for(2 * MIB, 0);
        device.link.black_hole(true);
        thread::sleep(Duration::from_secs(4));
        device.link.black_hole(false);
    });
    let report = run.succeeds().json();
    device.has_image();
    assert!(number(&report, "retries") > 0, "requests were given up: {report}");
    let received = number(&report, "received_bytes");
    assert!((6 * MIB..7 * MIB).contains(&received), "{report}");
}

#[test]
fn a_network_that_stays_away_ends_in_time_and_the_next_run_goes_on() {
    let Some(device) = Device::new(16 * MIB, 4 * MIB) else { return };
    let started_at = Instant::now();
    let failed = device.extract(&["--stall", "1", "--deadline", "8"], || {
        device.wait_for(12 * MIB, 0);
        device.link.black_hole(true);
    });
    assert!(started_at.elapsed() < Duration::from_secs(11), "{:?}", started_at.elapsed());
    assert_eq!(failed.code(), Some(8), "{failed}");
    assert!(!device.sandbox.path("target").exists());
    device.link.black_hole(false);
    device.link.narrow(100 * MIB);
    let report = device.extract(&[], || {}).succeeds().json();
    device.has_image();
    // How much that is depends on how the link was shared among four requests of 1 MiB.
    let kept = number(&report, "kept_bytes");
    assert!(kept >= MIB && number(&report, "received_bytes") < 17 * MIB - kept, "{report}");
}

#[test]
fn one_packet_in_ten_may_get_lost() {
    let Some(device) = Device::new(2 * MIB, 100 * MIB) else { return };
    device.link.lose(10);
    let report = device.extract(&[], || {}).succeeds().json();
    device.has_image();
    assert_eq!(number(&report, "retries"), 0, "it is the kernel's business: {report}");
}

#[test]
fn a_link_that_hardly_lets_anything_through_is_slow_and_not_a_failure() {
    let Some(device) = Device::new(MIB / 4, MIB / 32) else { return };
    let report = device.extract(&["--stall", "3"], || {}).succeeds().json();
    device.has_image();
    assert_eq!(number(&report, "retries"), 0, "{report}");
    assert!(number(&report, "received_bytes") < 3 * MIB / 10, "{report}");
    let names: Vec<_> = fs::read_dir(device.sandbox.root()).expect("listed").flatten().collect();
    assert!(names.iter().all(|entry| entry.file_name() != "target.part"));
}
