//! `chunk serve` and `chunk proxy`.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use chunk_extract::{Destination, Job, Limits, Options, Scratch, State};
use chunk_fetch::Source;
use chunk_serve::{Directory, Entry, Rebuilt, Server};
use serde_json::json;

use crate::exit::{Exit, Failure, visible};
use crate::extract::{Aim, Watch, failure, seeds};
use crate::locate::In;
use crate::network::{Network, Uncached};
use crate::output::Output;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = crate::args::with_exit_codes("\
Example:
  chunk serve store
      and on a device: chunk extract http://HOST:8080/image.ext4.cidx"))]
pub struct Serve {
    /// Directory of the store
    #[arg(default_value = "store", value_name = "DIR")]
    directory: PathBuf,
    /// Address to listen at
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Speak https with this certificate
    #[arg(long, value_name = "PEM", requires = "key")]
    cert: Option<PathBuf>,
    /// The certificate's key
    #[arg(long, value_name = "PEM", requires = "cert")]
    key: Option<PathBuf>,
    /// Tell of each request on stderr; in JSON with --json
    #[arg(long)]
    access_log: bool,
}

/// Arguments of `proxy`.
#[derive(Debug, clap::Args)]
#[command(after_help = crate::args::with_exit_codes("\
Example:
  chunk proxy --seed /dev/mmcblk0p1 https://cdn.example.com/os/image.ext4.cidx
      prints the URL of the whole image; curl, dd or an updater read it with a plain download"))]
pub struct Proxy {
    /// Index: a file, a file's path with @LABEL or @ID, or a URL
    index: PathBuf,
    /// Something that may hold parts of the image, as with `extract`
    #[arg(long, value_name = "PATH")]
    seed: Vec<String>,
    /// Index of what the seed holds, in the order of the seeds
    #[arg(long, value_name = "INDEX")]
    seed_index: Vec<PathBuf>,
    /// Directory where the device remembers what it installed
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// The only version to accept: its id, or the BLAKE3 of its image
    #[arg(long, value_name = "blake3:HEX", value_parser = crate::extract::expected)]
    expect: Option<chunk_extract::Expected>,
    /// Address to listen at
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Tell of each request on stderr; in JSON with --json
    #[arg(long)]
    access_log: bool,
    #[command(flatten)]
    network: Network,
}

pub(crate) fn serve(serve: &Serve, output: &Output) -> Result<(), Failure> {
    let directory = Directory::open(&serve.directory)
        .map_err(|error| Failure::new(Exit::Missing, In { path: serve.directory.clone(), error }))?;
    let server = Server::new(directory);
    let is_secure = serve.cert.is_some();
    let server = identify(serve, server)?;
    let watch = Watch::new(output, None).map_err(|error| Failure::new(Exit::Internal, error))?;
    let scheme = if is_secure { "https" } else { "http" };
    listen(server, serve.listen, serve.access_log, output, &watch.stop(), |address| {
        format!("{scheme}://{address}/")
    })
}

#[cfg(feature = "tls")]
fn identify(serve: &Serve, server: Server) -> Result<Server, Failure> {
    let (Some(cert), Some(key)) = (&serve.cert, &serve.key) else { return Ok(server) };
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|error| Failure::new(Exit::Usage, In { path: path.clone(), error }))
    };
    let identity = chunk_serve::Identity::from_pem(&read(cert)?, &read(key)?)
        .map_err(|error| Failure::new(Exit::Usage, In { path: cert.clone(), error }))?;
    Ok(server.identity(identity))
}

#[cfg(not(feature = "tls"))]
fn identify(serve: &Serve, server: Server) -> Result<Server, Failure> {
    match &serve.cert {
        None => Ok(server),
        Some(_) => Err(Failure::new(Exit::Usage, "this build has no https")),
    }
}

pub(crate) fn proxy(proxy: &Proxy, output: &Output) -> Result<(), Failure> {
    let watch = Watch::new(output, None).map_err(|error| Failure::new(Exit::Internal, error))?;
    let stop = watch.stop();
    // Both live as long as the process, which does nothing else.
    let watch: &'static Watch = Box::leak(Box::new(watch));
    let aim = Aim::new(&proxy.index, &proxy.network, Uncached::GoesOn, watch)?;
    let source: &'static dyn Source = Box::leak(aim.store.source);
    let state = proxy.state.as_deref().map(State::open).transpose();
    let state = state.map_err(|error| {
        let path = proxy.state.clone().unwrap_or_default();
        Failure::new(Exit::Target, In { path, error })
    })?;
    let scratch = Scratch::choose(proxy.state.as_deref(), None, &Limits::default());
    let mut parts = Vec::new();
    for (number, seed) in proxy.seed.iter().enumerate() {
        let index = proxy.seed_index.get(number).map(PathBuf::as_path);
        parts.extend(seeds::open(seed, index, state.as_ref(), &scratch, watch)?);
    }
    let job = Job {
        source,
        version: aim.version,
        seeds: parts,
        own_lists: None,
        state: None,
        destination: Destination::Stream(Box::new(io::sink())),
        options: Options { expect: proxy.expect, ..Options::default() },
        observer: watch,
    };
    let image = job.open().map_err(failure::of)?;
    let name = aim.line;
    let server = Server::new(Rebuilt::new(&name, image)).for_addresses();
    listen(server, proxy.listen, proxy.access_log, output, &stop, |address| {
        format!("http://{address}/{name}")
    })
}

/// Serves at `address`, and prints where, until a signal comes.
fn listen(
    server: Server,
    address: SocketAddr,
    logs: bool,
    output: &Output,
    stop: &AtomicBool,
    url: impl Fn(SocketAddr) -> String,
) -> Result<(), Failure> {
    let listener = TcpListener::bind(address).map_err(|error| {
        Failure::new(Exit::Busy, format!("{address} cannot be listened at: {error}"))
            .hint("--listen ADDRESS:PORT chooses another; port 0 takes any that is free")
    })?;
    let address = listener.local_addr().map_err(|error| Failure::new(Exit::Internal, error))?;
    output.answer(&json!({"url": url(address)}), || format!("{}\n", url(address)))?;

    let json = output.is_json();
    let server = if logs { server.log(move |entry| tell(entry, json)) } else { server };
    server.run(listener, || stop.load(Ordering::Relaxed)).map_err(|error| Failure::new(Exit::Internal, error))
}

fn tell(entry: &Entry, json: bool) {
    let Entry { time: _, peer, method, path, range, agent, status, bytes } = entry;
    let time = entry.time_text();
    let line = if json {
        json!({
            "time": time, "peer": peer.to_string(), "method": method, "path": path, "range": range,
            "agent": agent, "status": status, "bytes": bytes,
        })
        .to_string()
    } else {
        let range = range.as_deref().unwrap_or("-");
        visible(&format!("{time} {peer} {method} {path} {range} {status} {bytes}"))
    };
    // A log that nobody takes does not stop the server.
    let _ = writeln!(io::stderr(), "{line}");
}
