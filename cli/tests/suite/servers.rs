//! Web servers as they are found in the world, each with a directory to serve.

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::link::Link;
use crate::sandbox::CHUNK;
use crate::system::is_installed;

/// A running server.
pub(crate) struct Site {
    child: Child,
    url: String,
}

impl Site {
    /// Where `path` of the directory is.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.url)
    }

    pub(crate) fn nginx(root: &Path, scratch: &Path) -> Option<Self> {
        let port = free_port();
        let file = nginx_config(root, scratch, &format!("127.0.0.1:{port}"));
        Self::start("nginx", &["-c", &file], port)
    }

    /// An nginx at the far end of a link.
    pub(crate) fn nginx_behind(link: &Link, root: &Path, scratch: &Path) -> Option<Self> {
        if !is_installed("nginx") {
            return None;
        }
        // Nobody else is there to take the port.
        let address = format!("{}:8080", Link::SERVER);
        let mut command = link.on_server("nginx");
        command.args(["-c", &nginx_config(root, scratch, &address)]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("it is there");
        // It says who it is when it listens.
        let listens = || scratch.join("nginx.pid").metadata().is_ok_and(|file| file.len() > 0);
        let site = Self { child, url: format!("http://{address}") };
        for _ in 0..200 {
            if listens() {
                return Some(site);
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("nginx is there, but does not listen")
    }

    pub(crate) fn lighttpd(root: &Path, scratch: &Path) -> Option<Self> {
        let port = free_port();
        let config = format!(
            "server.document-root = \"{}\"\nserver.bind = \"127.0.0.1\"\nserver.port = {port}\n",
            root.display()
        );
        let file = scratch.join("lighttpd.conf");
        std::fs::write(&file, config).expect("the sandbox can be written");
        Self::start("lighttpd", &["-D", "-f", file.to_str().expect("a plain name")], port)
    }

    pub(crate) fn caddy(root: &Path) -> Option<Self> {
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        let root = root.to_str().expect("a plain name");
        Self::start("caddy", &["file-server", "--root", root, "--listen", &listen], port)
    }

    /// A server that knows no ranges.
    pub(crate) fn python(root: &Path) -> Option<Self> {
        let port = free_port();
        let root = root.to_str().expect("a plain name");
        let text = port.to_string();
        Self::start(
            "python3",
            &["-m", "http.server", "--bind", "127.0.0.1", "--directory", root, &text],
            port,
        )
    }

    fn start(program: &str, arguments: &[&str], port: u16) -> Option<Self> {
        if !is_installed(program) {
            return None;
        }
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("it is there");
        let site = Self { child, url: format!("http://127.0.0.1:{port}") };
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(site);
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("{program} is there, but does not listen")
    }

    /// `chunk` itself, with these arguments; it says where it listens.
    pub(crate) fn chunk(directory: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(CHUNK);
        command.args(arguments).current_dir(directory).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the binary can be started");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        let url = line.trim().trim_end_matches('/').to_owned();
        assert!(url.starts_with("http"), "{line:?}");
        Self { child, url }
    }

    /// Asks it to stop, and what it ended with.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let stopped = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill runs");
        assert!(stopped.success());
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `url` answers to a plain GET with these extra header lines: head and body.
pub(crate) fn get(url: &str, headers: &str) -> (String, Vec<u8>) {
    use std::io::Write;
    let rest = url.strip_prefix("http://").expect("a plain URL");
    let (host, path) = rest.split_once('/').expect("a URL with a path");
    let mut stream = TcpStream::connect(host).expect("the server listens");
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n")
        .expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head");
    (String::from_utf8_lossy(&answer[..end]).into_owned(), answer[end + 4..].to_vec())
}

/// Writes what an nginx of one process has to know to serve `root`, and tells where that is.
fn nginx_config(root: &Path, scratch: &Path, listen: &str) -> String {
    let file = scratch.join("nginx.conf");
    let (root, scratch) = (root.display(), scratch.display());
    let config = format!(
        "user root; daemon off; master_process off; pid {scratch}/nginx.pid; error_log {scratch}/nginx.err;\n\
         events {{}}\n\
         http {{ access_log off; client_body_temp_path {scratch}; proxy_temp_path {scratch};\n\
         fastcgi_temp_path {scratch}; uwsgi_temp_path {scratch}; scgi_temp_path {scratch};\n\
         server {{ listen {listen}; root {root}; }} }}\n"
    );
    std::fs::write(&file, config).expect("the sandbox can be written");
    file.to_str().expect("a plain name").to_owned()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}
