//! A real server, as it comes with Debian.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::certificate::{Certificate, KEY};
use crate::system::or_skip;

/// What came of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The protocol, such as `HTTP/1.1`.
    pub protocol: String,
    /// Bytes sent, the head included.
    pub bytes: u64,
}

/// An nginx of its own that serves a directory, until dropped.
#[derive(Debug)]
pub struct Nginx {
    process: Child,
    port: u16,
    is_secure: bool,
    directory: TempDir,
}

impl Nginx {
    /// Starts one with these lines in its `server` section; none where that is not possible.
    pub fn start(options: &str) -> Option<Self> {
        or_skip(Self::start_with(options, None))
    }

    /// Starts one that speaks TLS by [`Certificate::Good`], and HTTP/2 if the client likes. The file `authority` beside
    /// its configuration holds [`Certificate::AUTHORITY`], for options that want to see clients' certificates.
    pub fn start_tls(options: &str) -> Option<Self> {
        or_skip(Self::start_with(options, Some(Certificate::Good)))
    }

    fn start_with(options: &str, certificate: Option<Certificate>) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let path = directory.path();
        // Free a moment ago; another process would have to take it in between.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let listen = match certificate {
            None => String::new(),
            Some(certificate) => {
                write(&path.join("certificate"), certificate.pem())?;
                write(&path.join("key"), KEY)?;
                write(&path.join("authority"), Certificate::AUTHORITY)?;
                "ssl http2; ssl_certificate certificate; ssl_certificate_key key".to_owned()
            }
        };
        let configuration = format!(
            "daemon off; pid nginx.pid; error_log error.log; user root;\n\
             events {{}}\n\
             http {{\n\
                 default_type application/octet-stream; keepalive_requests 100000;\n\
                 log_format answers '$server_protocol $bytes_sent'; access_log access.log answers;\n\
                 client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
                 uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
                 server {{ listen 127.0.0.1:{port} {listen}; root {root}; {options} }}\n\
             }}\n",
            root = path.join("root").display(),
        );
        fs::create_dir_all(path.join("root/packs"))?;
        write(&path.join("nginx.conf"), configuration.as_bytes())?;
        let process = Command::new("nginx")
            .arg("-p")
            .arg(path)
            .args(["-c", "nginx.conf", "-e", "error.log"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("nginx cannot be run: {error}")))?;
        let nginx = Self { process, port, is_secure: certificate.is_some(), directory };
        for _ in 0..500 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(nginx);
            }
            thread::sleep(Duration::from_millis(10));
        }
        let log = fs::read_to_string(nginx.directory.path().join("error.log"))?;
        Err(io::Error::other(format!("nginx does not listen: {}", log.trim())))
    }

    /// Where it listens, ending in a slash.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}/", if self.is_secure { "https" } else { "http" }, self.port)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Has it serve `bytes` as `object`, which may lie in `packs/`.
    pub fn put(&self, object: &str, bytes: &[u8]) -> io::Result<()> {
        write(&self.root().join(object), bytes)
    }

    /// The directory that it serves.
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// What it has answered so far. An answer is told when it has been sent, which may be just after it was read.
    pub fn answers(&self) -> io::Result<Vec<Answered>> {
        let log = fs::read_to_string(self.directory.path().join("access.log"))?;
        let answers = log.lines().filter_map(|line| line.split_once(' ')).filter_map(|(protocol, bytes)| {
            Some(Answered { protocol: protocol.to_owned(), bytes: bytes.parse().ok()? })
        });
        Ok(answers.collect())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master ends its workers when it is asked to end, not when it is killed.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    File::create(path)?.write_all(bytes)
}
