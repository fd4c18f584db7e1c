//! From a host's name to a TCP connection, over IPv6 or IPv4, whichever works first (RFC 8305).

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::sleep;

use super::url::{Origin, is_local};
use crate::{FetchErrorKind, RedirectRefused, Trouble, WrongAnswer};

/// How long one address is tried alone before the next is tried, too.
const HEAD_START: Duration = Duration::from_millis(250);

/// Which addresses may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Everywhere,
    /// Not this machine, not its link: a public server has sent us.
    Outwards,
}

/// Connects to `origin`.
pub(crate) async fn dial(origin: &Origin, reach: Reach) -> Result<TcpStream, FetchErrorKind> {
    let resolved = lookup_host((origin.host.as_str(), origin.port)).await;
    let addresses = resolved.map_err(|error| FetchErrorKind::Network(Trouble::Resolve(error)))?;
    let addresses = interleave(addresses);
    if reach == Reach::Outwards && addresses.iter().any(|address| is_local(address.ip())) {
        return Err(FetchErrorKind::Wrong(WrongAnswer::Redirect(RedirectRefused::Inwards)));
    }
    let tcp = first_of(addresses.into_iter().map(TcpStream::connect), HEAD_START).await;
    let tcp = tcp.map_err(|error| FetchErrorKind::Network(Trouble::Connect(error)))?;
    // Requests are small and their answers awaited. Where it cannot be set, all is only a little slower.
    let _ = tcp.set_nodelay(true);
    Ok(tcp)
}

/// Both families in turn, beginning with the one that the system prefers.
fn interleave(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut first = Vec::new();
    let mut second = Vec::new();
    for address in addresses {
        let is_first = first.first().is_none_or(|other: &SocketAddr| other.is_ipv6() == address.is_ipv6());
        if is_first { first.push(address) } else { second.push(address) }
    }
    let mut second = second.into_iter();
    let mut turns = Vec::new();
    for address in first {
        turns.push(address);
        turns.extend(second.next());
    }
    turns.extend(second);
    turns
}

/// The first of `attempts` that succeeds. Each is started when one before it has failed, or when the last has had
/// its head start; none is given up for the next.
async fn first_of<F, T>(mut attempts: impl Iterator<Item = F>, head_start: Duration) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut running: Vec<Pin<Box<F>>> = Vec::new();
    let mut error = io::Error::new(io::ErrorKind::NotFound, "no address");
    loop {
        let next = attempts.next();
        let is_last = next.is_none();
        running.extend(next.map(Box::pin));
        if running.is_empty() {
            return Err(error);
        }
        let mut timer = pin!(sleep(head_start));
        let step = poll_fn(|cx| {
            for at in 0..running.len() {
                if let Poll::Ready(result) = running[at].as_mut().poll(cx) {
                    drop(running.swap_remove(at));
                    return Poll::Ready(Some(result));
                }
            }
            if is_last { Poll::Pending } else { timer.as_mut().poll(cx).map(|()| None) }
        });
        match step.await {
            Some(Ok(connected)) => return Ok(connected),
            Some(Err(failed)) => error = failed,
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let addresses = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"];
        let [a6, b6, c6, a4, b4]: [SocketAddr; 5] = addresses.map(|text| text.parse().expect("an address"));
        assert_eq!(interleave([a6, b6, c6, a4].into_iter()), [a6, a4, b6, c6]);
        assert_eq!(interleave([a4, a6, b4].into_iter()), [a4, a6, b4]);
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime")
            .block_on(future)
    }

    /// Succeeds after an even time, fails after an odd one, and takes for ever if it is zero.
    async fn attempt(millis: u64) -> io::Result<u64> {
        if millis == 0 {
            std::future::pending::<()>().await;
        }
        sleep(Duration::from_millis(millis)).await;
        if millis.is_multiple_of(2) { Ok(millis) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
    }

    #[test]
    fn an_address_that_never_answers_does_not_keep_the_next_from_being_tried() {
        let head_start = Duration::from_millis(10);
        assert_eq!(run(first_of([0, 0, 2].into_iter().map(attempt), head_start)).expect("connected"), 2);
    }

    #[test]
    fn a_failure_starts_the_next_at_once_and_all_failures_are_one() {
        let head_start = Duration::from_hours(1);
        assert_eq!(run(first_of([1, 3, 4].into_iter().map(attempt), head_start)).expect("connected"), 4);
        let error = run(first_of([1, 3].into_iter().map(attempt), head_start)).expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        run(first_of([0; 0].into_iter().map(attempt), head_start)).expect_err("nothing to try");
    }
}
