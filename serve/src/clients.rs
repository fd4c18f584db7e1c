//! How many connections each client has, so that none takes the places of all others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Those who are connected.
#[derive(Debug)]
pub(crate) struct Clients {
    most: usize,
    connections: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection that counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Visit {
    connections: Arc<Mutex<HashMap<IpAddr, usize>>>,
    client: IpAddr,
}

impl Clients {
    /// Nobody yet; each client may have `most` connections.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, connections: Arc::default() }
    }

    /// Counts a connection from `address`; none if there are as many as may be.
    pub(crate) fn admit(&self, address: IpAddr) -> Option<Visit> {
        let client = client(address);
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let count = connections.entry(client).or_default();
        // A count is there because somebody is, so it is never left at zero.
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Visit { connections: Arc::clone(&self.connections), client })
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = connections.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                connections.remove(&self.client);
            }
        }
    }
}

/// Who is behind an address: of IPv6, one client has a whole network of 64 bits.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn each_client_has_as_many_connections_as_may_be_and_leaves_nothing_behind() {
        let clients = Clients::new(2);
        let mut visits: Vec<_> = (0..3).map(|_| clients.admit(address("192.0.2.1"))).collect();
        assert!(visits[0].is_some() && visits[1].is_some() && visits[2].is_none());
        let other = clients.admit(address("192.0.2.2"));
        assert!(other.is_some(), "another client is not concerned");
        drop(visits.swap_remove(0));
        assert!(clients.admit(address("192.0.2.1")).is_some());
        drop((visits, other));
        assert!(clients.connections.lock().expect("nobody panicked").is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_client_and_an_address_of_ipv4_is_the_same_in_both_spellings() {
        let clients = Clients::new(1);
        let _visits = [clients.admit(address("2001:db8::1")), clients.admit(address("192.0.2.1"))];
        assert!(clients.admit(address("2001:db8::ffff:0:0:2")).is_none());
        assert!(clients.admit(address("::ffff:192.0.2.1")).is_none());
        assert!(clients.admit(address("2001:db8:0:1::1")).is_some());
    }
}
