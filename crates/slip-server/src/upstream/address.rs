//! Which addresses may be dialled. Checked on the address itself, after resolution and before connecting, so that no name, redirect
//! or second lookup can lead elsewhere.

use super::{Origin, tcp};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::TcpStream;

/// How far a provider's host may reach. Its base URL comes from the operator's configuration, never from a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Globally routable unicast only: a public name must not lead into our own network.
    Global,
    /// Private and loopback addresses too: the operator wrote a literal address or `localhost`, or set `allow_private`.
    Private,
    /// The machine's metadata service as well. Only what fetches credentials dials so, and only where a configuration asks for it.
    Metadata,
}

impl Reach {
    /// A literal private address is consent: the operator typed it.
    pub fn for_host(host: &str, allow_private: bool) -> Reach {
        let literal = host.parse::<IpAddr>().is_ok() || host == "localhost" || host.ends_with(".localhost");
        if allow_private || literal { Reach::Private } else { Reach::Global }
    }

    pub fn allows(self, ip: IpAddr) -> bool {
        match self {
            Reach::Metadata => is_metadata(ip) || !never(ip),
            _ if never(ip) => false,
            Reach::Private => true,
            Reach::Global => is_global(ip),
        }
    }
}

/// Resolve, filter and connect; the first address that answers wins.
pub async fn dial(origin: &Origin) -> Result<TcpStream, String> {
    let addresses: Vec<SocketAddr> = match origin.host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, origin.port)],
        Err(_) => tokio::net::lookup_host((origin.host.as_str(), origin.port))
            .await
            .map_err(|_| "its name does not resolve".to_owned())?
            .collect(),
    };
    let mut last = "its name has no address".to_owned();
    for address in addresses {
        if !origin.reach.allows(address.ip()) {
            last = "its address is not allowed by the egress policy".to_owned();
            continue;
        }
        match tcp(address).await {
            Ok(stream) => return Ok(stream),
            Err(why) => last = why,
        }
    }
    Err(last)
}

/// Where clouds give a machine its identity: the address all of them share, and those of Amazon's containers.
pub fn is_metadata(ip: IpAddr) -> bool {
    const ALL: [IpAddr; 5] = [
        IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
        IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
        IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    ];
    ALL.contains(&ip)
}

/// Link-local (cloud metadata lives there), unspecified, multicast and broadcast: refused whatever the configuration says.
fn never(ip: IpAddr) -> bool {
    const AWS_METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match ip {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => match embedded(v6) {
            Some(v4) => never(IpAddr::V4(v4)),
            None => v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local() || v6 == AWS_METADATA_V6,
        },
    }
}

/// An IPv4 address hidden in an IPv6 one: mapped, NAT64, 6to4.
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = v6.segments();
    let low = |a: u16, b: u16| Ipv4Addr::new((a >> 8) as u8, a as u8, (b >> 8) as u8, b as u8);
    match s {
        [0, 0, 0, 0, 0, 0xffff, a, b] => Some(low(a, b)),
        [0x64, 0xff9b, 0, 0, 0, 0, a, b] => Some(low(a, b)),
        [0x64, 0xff9b, 1, _, _, _, a, b] => Some(low(a, b)),
        [0x2002, a, b, ..] => Some(low(a, b)),
        _ => None,
    }
}

/// Globally routable unicast, by the IANA special-purpose registries (read 2026-11).
pub fn is_global(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(a == 0
                || a == 10
                || (a == 100 && (64..128).contains(&b))
                || a == 127
                || (a == 169 && b == 254)
                || (a == 172 && (16..32).contains(&b))
                || (a == 192 && b == 0 && (c == 0 || c == 2))
                || (a == 192 && b == 88 && c == 99)
                || (a == 192 && b == 168)
                || (a == 198 && (b == 18 || b == 19))
                || (a == 198 && b == 51 && c == 100)
                || (a == 203 && b == 0 && c == 113)
                || a >= 224)
        }
        IpAddr::V6(v6) => {
            if let Some(v4) = embedded(v6) {
                return is_global(IpAddr::V4(v4));
            }
            let s = v6.segments();
            let outside = s[0] & 0xe000 != 0x2000; // only 2000::/3 is global unicast
            let protocol = s[0] == 0x2001 && s[1] < 0x200; // 2001::/23, Teredo among them
            let documentation = (s[0] == 0x2001 && s[1] == 0xdb8) || (s[0] == 0x3fff && s[1] < 0x1000);
            !(outside || protocol || documentation)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_unicast_is_global() {
        let rows: &[(&str, bool)] = &[
            ("8.8.8.8", true),
            ("1.1.1.1", true),
            ("0.0.0.0", false),
            ("10.1.2.3", false),
            ("100.64.0.1", false),
            ("100.128.0.1", true),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("172.15.0.1", true),
            ("172.16.0.1", false),
            ("172.32.0.1", true),
            ("192.0.0.1", false),
            ("192.0.2.1", false),
            ("192.88.99.1", false),
            ("192.168.1.1", false),
            ("198.18.0.1", false),
            ("198.51.100.1", false),
            ("203.0.113.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("2606:4700::1", true),
            ("::", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:8.8.8.8", true),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b::808:808", true),
            ("2002:7f00:1::", false),
            ("2001::1", false),
            ("2001:db8::1", false),
            ("fc00::1", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
        ];
        for (text, want) in rows {
            let ip: IpAddr = text.parse().expect("an address");
            assert_eq!(is_global(ip), *want, "{text}");
        }
    }

    #[test]
    fn metadata_addresses_are_refused_even_where_private_ones_are_allowed() {
        for (text, want) in [
            ("127.0.0.1", true),
            ("10.0.0.5", true),
            ("::1", true),
            ("169.254.169.254", false),
            ("::ffff:169.254.169.254", false),
            ("fe80::1", false),
            ("fd00:ec2::254", false),
            ("0.0.0.0", false),
        ] {
            let ip: IpAddr = text.parse().expect("an address");
            assert_eq!(Reach::Private.allows(ip), want, "{text}");
        }
        for (text, want) in [
            ("169.254.169.254", true),
            ("169.254.170.2", true),
            ("169.254.169.253", false),
            ("fd00:ec2::254", true),
            ("::ffff:169.254.169.254", false),
            ("127.0.0.1", true),
            ("0.0.0.0", false),
        ] {
            let ip: IpAddr = text.parse().expect("an address");
            assert_eq!(Reach::Metadata.allows(ip), want, "{text}");
        }
        assert_eq!(Reach::for_host("169.254.169.254", true), Reach::Private, "only credentials are fetched from there");
        assert_eq!(Reach::for_host("api.example.com", false), Reach::Global);
        assert_eq!(Reach::for_host("localhost", false), Reach::Private);
        assert_eq!(Reach::for_host("192.168.0.2", false), Reach::Private);
    }
}
