//! A real server.

use std::env;
use std::io::{self, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use chunk_fetch::http::Mirror;
use chunk_fetch::{FetchErrorKind, HttpSource, Source};
use chunk_testing::REQUIRED;

use crate::fixture::{config, object};

/// An nginx that serves a directory, until dropped.
struct Nginx {
    process: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl Nginx {
    /// Starts one; none where there is no nginx.
    fn start(options: &str) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        // Free a moment ago; another process would have to take it in between.
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let configuration = format!(
            "daemon off; pid nginx.pid; error_log error.log; user root;\n\
             events {{}}\n\
             http {{\n\
                 access_log off; default_type application/octet-stream;\n\
                 client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
                 uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
                 server {{ listen 127.0.0.1:{port}; root {root}; {options} }}\n\
             }}\n",
            root = directory.path().join("root").display(),
        );
        std::fs::create_dir_all(directory.path().join("root/packs")).expect("a directory");
        write(&directory.path().join("nginx.conf"), configuration.as_bytes());
        let process = Command::new("nginx")
            .arg("-p")
            .arg(directory.path())
            .args(["-c", "nginx.conf", "-e", "error.log"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let process = match process {
            Ok(process) => process,
            Err(error) => {
                assert!(
                    env::var_os(REQUIRED).is_none(),
                    "{REQUIRED} is set, but nginx cannot be run: {error}"
                );
                // Not by the macro, whose output is kept from whoever runs the tests.
                let _ =
                    writeln!(io::stderr(), "SKIPPED: no nginx: {error} ({REQUIRED}=1 makes this a failure)");
                return None;
            }
        };
        let nginx = Self { process, port, directory };
        for _ in 0..500 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(nginx);
            }
            thread::sleep(Duration::from_millis(10));
        }
        let log = std::fs::read_to_string(nginx.directory.path().join("error.log"));
        panic!("nginx does not listen: {log:?}");
    }

    fn put(&self, object: &str, bytes: &[u8]) {
        write(&self.directory.path().join("root").join(object), bytes);
    }

    fn source(&self) -> HttpSource {
        let mirror = Mirror::new(&format!("http://127.0.0.1:{}/", self.port)).expect("a URL");
        HttpSource::new(vec![mirror], config()).expect("a source")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master ends its workers when it is asked to end, not when it is killed.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::File::create(path).and_then(|mut file| file.write_all(bytes)).expect("written");
}

#[test]
fn ranges_fronts_and_missing_objects_are_had_from_nginx() {
    let Some(nginx) = Nginx::start("") else { return };
    nginx.put("packs/a.pack", &object(1 << 20));
    nginx.put("image.cidx", &object(5000));
    nginx.put("empty.cidx", b"");
    let source = nginx.source();
    let mut buffer = Vec::new();
    thread::scope(|scope| {
        for reader in 0..8usize {
            let source = &source;
            scope.spawn(move || {
                let mut buffer = Vec::new();
                for at in (reader * 1000..1 << 20).step_by(100_000) {
                    let end = (at + 3000).min(1 << 20);
                    let range = u64::try_from(at).expect("small")..u64::try_from(end).expect("small");
                    source.read("packs/a.pack", range, &mut buffer).expect("read");
                    assert_eq!(buffer, object(1 << 20)[at..end]);
                }
            });
        }
    });
    assert_eq!(source.spent().retries, 0);
    assert_eq!(source.open("image.cidx", 100, &mut buffer).expect("opened"), 5000);
    assert_eq!(buffer, object(100));
    assert_eq!(source.open("image.cidx", 1 << 20, &mut buffer).expect("opened"), 5000);
    assert_eq!(buffer, object(5000));
    assert_eq!(source.open("empty.cidx", 100, &mut buffer).expect("opened"), 0);
    let error = source.read("packs/b.pack", 0..1, &mut buffer).expect_err("missing");
    assert!(matches!(error.kind, FetchErrorKind::Missing), "{error:?}");
    let error = source.read("image.cidx", 4000..6000, &mut buffer).expect_err("short");
    assert!(matches!(error.kind, FetchErrorKind::Short), "{error:?}");
}

#[test]
fn an_nginx_without_ranges_gives_whole_objects_once() {
    let Some(nginx) = Nginx::start("max_ranges 0;") else { return };
    nginx.put("packs/a.pack", &object(1 << 20));
    let source = nginx.source();
    let mut buffer = Vec::new();
    for start in [7, 100_000, 1_000_000] {
        source.read("packs/a.pack", start..start + 1000, &mut buffer).expect("read");
        assert_eq!(buffer, object(1 << 20)[usize::try_from(start).expect("small")..][..1000]);
    }
    assert_eq!(source.spent().requests, 1);
}

#[test]
fn an_nginx_that_compresses_is_not_asked_to() {
    let Some(nginx) = Nginx::start("gzip on; gzip_types *; gzip_min_length 1;") else { return };
    nginx.put("packs/a.pack", &object(1 << 20));
    let source = nginx.source();
    let mut buffer = Vec::new();
    source.read("packs/a.pack", 1000..2000, &mut buffer).expect("read");
    assert_eq!(buffer, object(2000)[1000..]);
    assert!(source.spent().bytes < 2000);
}
