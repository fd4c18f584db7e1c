//! What others hear of an extraction while it runs.

use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::extract_seeds::sandbox;
use crate::image;
use crate::sandbox::{CHUNK, Run, Sandbox, number, string};
use crate::system;

/// Runs `chunk` in a shell with descriptor 3 open to the file `events`.
fn with_events(sandbox: &Sandbox, arguments: &str) -> (Run, Vec<Value>) {
    let command = format!("exec {CHUNK} {arguments} --events-fd 3 3>events");
    let mut shell = Command::new("sh");
    let run = Run::of(shell.args(["-c", &command]).current_dir(sandbox.root()).stdin(Stdio::null()));
    let events = String::from_utf8(sandbox.read("events")).expect("text");
    (run, events.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect())
}

#[test]
fn events_are_lines_of_json_in_the_order_of_the_work() {
    let sandbox = sandbox();
    sandbox.write("out", &sandbox.read("old"));
    let (run, events) = with_events(&sandbox, "extract --json --verify readback --in-place store/a.img out");
    let answer = run.succeeds().json();
    let mut phases: Vec<_> =
        events.iter().filter(|event| event["ev"] == "progress").map(|event| string(event, "phase")).collect();
    phases.dedup();
    assert_eq!(phases, ["check", "seed", "write", "flush", "verify"]);
    for event in events.iter().filter(|event| event["ev"] == "progress") {
        assert!(number(event, "done") <= number(event, "total"), "{event}");
    }
    let plan = events.iter().find(|event| event["ev"] == "plan").expect("a plan");
    for key in ["image_bytes", "kept_bytes", "download_bytes", "requests"] {
        assert_eq!(number(plan, key), number(&answer, key), "{key}");
    }
    let last = events.last().expect("events");
    assert_eq!((string(last, "ev"), &last["report"]), ("done", &answer));
}

#[test]
fn a_failure_is_an_event_with_its_exit_code() {
    let sandbox = sandbox();
    let (run, events) = with_events(&sandbox, "extract --max-download 1 store/a.img out");
    run.fails(21);
    let last = events.last().expect("an event");
    assert_eq!((string(last, "ev"), number(last, "exit")), ("failed", 21));
}

#[test]
fn a_failure_before_anything_was_done_is_an_event_too() {
    let sandbox = sandbox();
    for (arguments, exit) in [
        ("extract store/none.img out", 7),
        ("extract --seed - --state old store/a.img out", 2),
        ("extract --dry-run --max-download 1 store/a.img out", 21),
        ("extract store/a.img none/out", 12),
    ] {
        let (run, events) = with_events(&sandbox, arguments);
        run.fails(exit);
        let [event] = &events[..] else { panic!("{arguments}: one event: {events:?}") };
        assert_eq!((string(event, "ev"), event["exit"].as_i64()), ("failed", Some(exit.into())));
        assert!(!string(event, "error").is_empty(), "{event}");
    }
}

#[test]
fn events_that_nobody_can_take_are_an_error_before_and_none_later() {
    let sandbox = sandbox();
    sandbox.chunk("extract --events-fd 99 store/a.img out").fails(2).says("--events-fd");
    assert!(!sandbox.path("out").exists());
    let command =
        format!("{CHUNK} extract --events-fd 3 store/a.img out 3>&1 >/dev/null | head -c 1 >/dev/null");
    let mut shell = Command::new("sh");
    Run::of(shell.args(["-c", &command]).current_dir(sandbox.root())).succeeds();
    assert!(sandbox.read("out") == sandbox.read("new"));
}

#[test]
fn a_service_manager_hears_how_far_it_is() {
    let sandbox = sandbox();
    let socket = UnixDatagram::bind(sandbox.path("notify")).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(30))).expect("it can wait");
    let mut command = sandbox.command(["extract", "store/a.img", "out"]);
    command.env("NOTIFY_SOCKET", sandbox.path("notify"));
    let heard = thread::spawn(move || {
        let mut buffer = [0; 500];
        let mut heard = Vec::new();
        while !heard.iter().any(|text: &String| text.contains("STATUS=write 100%")) {
            let len = socket.recv(&mut buffer).expect("news within 30 s");
            heard.push(String::from_utf8(buffer[..len].to_vec()).expect("text"));
        }
        heard
    });
    Run::of(&mut command).succeeds();
    for text in heard.join().expect("it heard the end") {
        assert!(text.lines().all(|line| line.split_once('=').is_some()), "{text}");
    }
    let mut command = sandbox.command(["extract", "store/a.img", "other"]);
    Run::of(command.env("NOTIFY_SOCKET", sandbox.path("nobody"))).succeeds();
}

#[test]
fn programs_that_read_progress_get_lines() {
    let sandbox = sandbox();
    let mut command = sandbox.command(["extract", "store/a.img", "out"]);
    let run = Run::of(command.env("DESYNC_ENABLE_PARSABLE_PROGRESS", "1"));
    assert_eq!(run.code(), Some(0), "{run}");
    assert!(run.stderr.lines().count() >= 2, "{run}");
    for line in run.stderr.lines() {
        let [_phase, percent, left] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert!(
            percent.strip_suffix(".00%").is_some_and(|n| n.parse::<u32>().is_ok_and(|n| n <= 100)),
            "{line}"
        );
        assert!(left.strip_suffix('s').is_some_and(|n| n.parse::<u64>().is_ok()), "{line}");
    }
}

#[test]
fn a_terminal_gets_one_line_that_is_gone_at_the_end() {
    let sandbox = sandbox();
    if !system::has_program("script") {
        return;
    }
    let command = format!("{CHUNK} extract store/a.img out");
    let mut script = Command::new("script");
    let run = Run::of(
        script.args(["-qec", &command, "/dev/null"]).current_dir(sandbox.root()).stdin(Stdio::null()),
    );
    assert_eq!(run.code(), Some(0), "{run}");
    let drawn = run.text();
    assert!(drawn.contains("write: "), "{drawn:?}");
    let (progress, last) = drawn.rsplit_once("\r\u{1b}[K").expect("the line is cleared");
    assert!(!progress.contains('\n'), "{drawn:?}");
    assert!(last.starts_with("extracted out: "), "{drawn:?}");
}

#[test]
fn a_signal_is_heard_while_nobody_reads_the_stream() {
    let sandbox = sandbox();
    for signal in ["INT", "TERM"] {
        let mut command = sandbox.command(["extract", "store/a.img", "-"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary can be started");
        let mut stdout = child.stdout.take().expect("stdout is piped");
        stdout.read_exact(&mut [0; 1]).expect("it has begun, and a pipe holds no more than a part");
        Run::of(Command::new("kill").args(["-s", signal, &child.id().to_string()])).succeeds();
        let deadline = Instant::now() + Duration::from_secs(20);
        while child.try_wait().expect("it can be waited for").is_none() {
            if Instant::now() > deadline {
                child.kill().expect("it is there");
                panic!("it waits for a reader");
            }
            thread::sleep(Duration::from_millis(5));
        }
        let run = Run::new(&command, child.wait_with_output().expect("it has ended"));
        run.fails(14).says("interrupted");
    }
}

#[test]
fn a_stream_to_a_closed_stdout_is_an_error_and_to_nowhere_is_none() {
    let sandbox = sandbox();
    let shell = |command: &str| {
        let mut shell = Command::new("sh");
        Run::of(shell.args(["-c", command]).current_dir(sandbox.root()).stdin(Stdio::null()))
    };
    shell(&format!("exec {CHUNK} extract store/a.img - >&-"))
        .fails(10)
        .says("standard output cannot be used");
    shell(&format!("exec {CHUNK} extract store/a.img - >/dev/null")).succeeds();
    shell(&format!("exec {CHUNK} extract store/a.img - >out")).succeeds();
    assert!(sandbox.read("out") == sandbox.read("new"));
    shell(&format!("exec {CHUNK} plan store/a.img - >&-")).succeeds();
}

#[test]
fn the_report_is_had_in_a_file_too_whatever_came_of_it() {
    let sandbox = sandbox();
    let report = || serde_json::from_slice::<Value>(&sandbox.read("report")).expect("JSON");
    let run = sandbox.chunk("extract --report report store/a.img -").succeeds();
    assert!(run.stdout == sandbox.read("new"));
    assert_eq!((string(&report(), "outcome"), string(&report(), "target")), ("extracted", "-"));
    sandbox.chunk("extract --report report --max-download 1 store/a.img out").fails(21);
    assert_eq!((string(&report(), "outcome"), number(&report(), "exit")), ("failed", 21), "not the old one");
    let run = sandbox.chunk("extract --report none/report store/a.img out").fails(10);
    run.says("none/report").says("hint: --report");
    assert!(!sandbox.path("out").exists() && !sandbox.path("out.part").exists(), "nothing was begun");
    let run = sandbox.chunk("extract --quiet --report /dev/stderr store/a.img -");
    assert_eq!(run.code(), Some(0), "{run}");
    run.says("\"outcome\":\"extracted\"");
}

#[test]
fn a_report_never_lands_in_the_image_nor_in_what_it_is_made_of() {
    let sandbox = sandbox();
    sandbox.write("out", &sandbox.read("old"));
    sandbox.write("old.cidx", b"an index of a seed");
    sandbox.write("a.img", b"what the image would be called");
    std::os::unix::fs::symlink("out", sandbox.path("link")).expect("made");
    std::fs::hard_link(sandbox.path("out"), sandbox.path("twin")).expect("made");
    let before = sandbox.names(".");
    let files =
        ["out", "old", "old.cidx", "a.img", "store/a.img.cidx"].map(|name| (name, sandbox.read(name)));
    let seeds = "--seed old --seed-index old.cidx";
    for (report, target) in [
        ("out", "--in-place store/a.img out"),
        ("link", "--in-place store/a.img out"),
        ("twin", "--in-place store/a.img out"),
        ("out", "--in-place store/a.img link"),
        ("out.part", "--force store/a.img link"),
        ("old", "--seed old store/a.img new-file"),
        ("old", "--seed old@0+4096 store/a.img new-file"),
        ("old.cidx", &format!("{seeds} store/a.img new-file")),
        ("store/a.img.cidx", "store/a.img new-file"),
        ("new-file", "store/a.img ./new-file"),
        ("a.img", "--force store/a.img"),
        ("a.img", "--force store/none/../a.img.cidx"),
    ] {
        let run = sandbox.chunk(&format!("extract --report {report} {target}"));
        run.fails(2).answers_nothing().says("--report");
    }
    for (name, bytes) in files {
        assert!(sandbox.read(name) == bytes, "{name}");
    }
    assert_eq!(sandbox.names("."), before);
}

#[test]
fn a_report_replaces_no_device_and_no_link() {
    let sandbox = sandbox();
    sandbox.write("report", b"the report before");
    std::os::unix::fs::symlink("report", sandbox.path("link")).expect("made");
    sandbox.chunk("extract --report link store/a.img out").succeeds();
    assert!(sandbox.path("link").is_symlink());
    assert!(sandbox.read("report").starts_with(b"{\"outcome\":\"extracted\""));
    sandbox.chunk("extract --report /dev/zero store/a.img out").fails(2).says("is a device");
    sandbox.chunk("extract --report /dev/null store/a.img out").succeeds();
    sandbox.write("disk", &sandbox.read("old"));
    let Some(device) = system::LoopDevice::writable(&sandbox.path("disk")) else { return };
    let device = device.path().display();
    for target in ["out".to_owned(), device.to_string()] {
        sandbox.chunk(&format!("extract --report {device} store/a.img {target}")).fails(2).says("--report");
    }
    assert!(sandbox.read("disk") == sandbox.read("old"));
}

#[test]
fn events_never_land_in_the_image() {
    let sandbox = sandbox();
    sandbox.write("file", b"");
    for (arguments, redirected) in [
        ("--events-fd 1 store/a.img -", ">file"),
        ("--events-fd 3 store/a.img -", "3>&1 >&3 | cat >file"),
        ("--events-fd 3 store/a.img -", "3>>file >>file"),
        ("--events-fd 3 --in-place store/a.img file", "3>>file"),
        ("--events-fd 3 store/a.img out", "3<file"),
        ("--events-fd 3 --seed file store/a.img out", "3>>file"),
    ] {
        let command = format!("{{ {CHUNK} extract {arguments}; echo $? >code; }} {redirected}");
        let mut shell = Command::new("sh");
        let run = Run::of(shell.args(["-c", &command]).current_dir(sandbox.root()).stdin(Stdio::null()));
        assert!(sandbox.read("code") == b"2\n" && run.stderr.contains("--events-fd"), "{command}: {run}");
        assert_eq!(sandbox.read("file"), b"", "{command}");
    }
    assert!(!sandbox.path("out").exists());
}

/// The only child of a process that traces one.
fn traced(tracer: &Child) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let path = format!("/proc/{0}/task/{0}/children", tracer.id());
        let children = std::fs::read_to_string(path).unwrap_or_default();
        if let Some(child) = children.split_whitespace().next() {
            return child.to_owned();
        }
        assert!(Instant::now() < deadline, "nothing was started within 30 s");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_interrupted_extraction_goes_on_where_it_was() {
    let sandbox = Sandbox::new();
    let image = image::noise(1, 24 << 20);
    sandbox.write("new", &image);
    sandbox.chunk("make --name a.img new").succeeds();
    if !system::has_program("strace") {
        return;
    }
    for signal in ["INT", "TERM"] {
        let mut command = Command::new("strace");
        // Slow enough to be interrupted: every write takes 50 ms.
        command.args([
            "-f",
            "-o",
            "/dev/null",
            "-e",
            "trace=pwrite64",
            "-e",
            "inject=pwrite64:delay_enter=50000",
        ]);
        command.args([CHUNK, "extract", "store/a.img", "out"]).current_dir(sandbox.root());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().expect("strace can be started");
        let deadline = Instant::now() + Duration::from_mins(1);
        let occupied = || {
            use std::os::unix::fs::MetadataExt;
            std::fs::metadata(sandbox.path("out.part")).map_or(0, |of| of.blocks() * 512)
        };
        while occupied() < 3 << 20 {
            assert!(Instant::now() < deadline, "nothing was written within 60 s");
            thread::sleep(Duration::from_millis(5));
        }
        Run::of(Command::new("kill").args(["-s", signal, &traced(&child)])).succeeds();
        let run = Run::new(&command, child.wait_with_output().expect("it can be waited for"));
        run.fails(14).answers_nothing().says("hint: run the same command again to go on");
        assert!(!sandbox.path("out").exists());
        let answer = sandbox.chunk("extract --json store/a.img out").succeeds().json();
        assert!(number(&answer, "kept_bytes") >= 3 << 20, "{answer}");
        assert!(sandbox.read("out") == image);
        assert!(!sandbox.path("out.part").exists());
        std::fs::remove_file(sandbox.path("out")).expect("it was made");
    }
}
