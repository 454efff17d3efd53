//! Names to addresses, through the system's name servers and hosts file.
//!
//! Never does: keep an answer; who asks keeps it, for as long as `ttl` says.

use crate::SetupError;
use base::{BoxFuture, Resolve, ResolveError, Resolved};
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
    ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{Resolver, TokioResolver};
use std::borrow::Cow;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// One question to one server. A resolver nearby answers within 50 ms, a slow recursion within a second.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(2);
/// A whole resolution: two attempts and the search list.
const RESOLUTION_TIMEOUT: Duration = Duration::from_secs(8);
/// Attempts after the first that failed.
const ATTEMPTS: usize = 1;
/// Addresses of one name that are kept. The largest round-robin sets in use have a few dozen.
const ADDRESSES: usize = 256;
/// How long an address literal or a name of the local host may be kept.
const FIXED_TTL: Duration = Duration::from_secs(300);

/// Where the system says which name servers to ask.
const SERVERS_FILE: &str = "/etc/resolv.conf";
/// Where the system keeps names of its own.
const HOSTS_FILE: &str = "/etc/hosts";
/// Who is asked where the system names no server (resolv.conf(5)).
const LOCAL_SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53);

/// When the system's two files were last changed, as far as they exist.
type Marks = [Option<SystemTime>; 2];

/// The system's resolver, which follows changes of its two files, or one with a name server of its own. A
/// name with a dot is asked for as it stands; a single label goes through the system's search list.
pub struct DnsResolve {
    current: Mutex<(Arc<TokioResolver>, Marks)>,
    follows: bool,
}

impl std::fmt::Debug for DnsResolve {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DnsResolve").finish_non_exhaustive()
    }
}

impl DnsResolve {
    /// With the name servers of `/etc/resolv.conf`; without such a file, the one on the local machine.
    ///
    /// # Errors
    /// When the system's configuration cannot be read.
    pub fn system() -> Result<Self, SetupError> {
        let marks = marks();
        let resolver = Arc::new(of_system(marks)?);
        Ok(Self { current: Mutex::new((resolver, marks)), follows: true })
    }

    /// With `server` as the only name server, asked over UDP, and over TCP where UDP does not suffice.
    ///
    /// # Errors
    /// When the resolver cannot be made.
    pub fn with_server(server: SocketAddr) -> Result<Self, SetupError> {
        let resolver = Arc::new(of_server(server)?);
        Ok(Self { current: Mutex::new((resolver, Marks::default())), follows: false })
    }

    /// The resolver of this moment: made anew where the system's files have changed (another network, a VPN).
    fn resolver(&self) -> Arc<TokioResolver> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if self.follows {
            // WHY not asynchronous: two `stat` calls of small local files, and resolutions are rare.
            let marks = marks();
            // A file that is half written cannot be read; the last good state stays until it can.
            if marks != current.1
                && let Ok(resolver) = of_system(marks)
            {
                *current = (Arc::new(resolver), marks);
            }
        }
        Arc::clone(&current.0)
    }

    async fn lookup(&self, name: &str) -> Result<Resolved, ResolveError> {
        if let Some(fixed) = fixed(name) {
            return Ok(Resolved { addresses: fixed, ttl: FIXED_TTL });
        }
        let resolver = self.resolver();
        let name = absolute(name);
        let asked =
            tokio::time::timeout(RESOLUTION_TIMEOUT, resolver.lookup_ip(name.as_ref())).await;
        let answer = match asked {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) if error.is_no_records_found() => return Err(ResolveError::NoAddress),
            Ok(Err(error)) => return Err(ResolveError::Unreachable(error.to_string())),
            Err(_) => return Err(ResolveError::Unreachable("no answer in time".to_owned())),
        };
        let mut addresses: Vec<IpAddr> = answer.iter().take(ADDRESSES).collect();
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.is_empty() {
            return Err(ResolveError::NoAddress);
        }
        // RFC 1035 §3.2.1: the smallest TTL on the way (aliases included) bounds the whole answer.
        let ttl = answer.as_lookup().answers().iter().map(|record| record.ttl).min().unwrap_or(0);
        Ok(Resolved { addresses, ttl: Duration::from_secs(u64::from(ttl)) })
    }
}

impl Resolve for DnsResolve {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Resolved, ResolveError>> {
        Box::pin(self.lookup(name))
    }
}

/// A name with a dot is complete: the system's search list serves single labels only.
///
/// WHY: a wildcard in a searched domain would give a name that does not exist somebody else's address, and
/// that address would be let in.
fn absolute(name: &str) -> Cow<'_, str> {
    if name.contains('.') && !name.ends_with('.') {
        Cow::Owned(format!("{name}."))
    } else {
        Cow::Borrowed(name)
    }
}

fn marks() -> Marks {
    [SERVERS_FILE, HOSTS_FILE].map(|path| fs::metadata(path).and_then(|it| it.modified()).ok())
}

fn of_system(marks: Marks) -> Result<TokioResolver, SetupError> {
    let [Some(_), _] = marks else { return of_server(LOCAL_SERVER) };
    let mut builder = Resolver::builder(TokioRuntimeProvider::default()).map_err(|e| setup(&e))?;
    bounded(builder.options_mut());
    builder.build().map_err(|e| setup(&e))
}

fn of_server(server: SocketAddr) -> Result<TokioResolver, SetupError> {
    let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
    udp.port = server.port();
    tcp.port = server.port();
    let server = NameServerConfig::new(server.ip(), true, vec![udp, tcp]);
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    bounded(builder.options_mut());
    builder.build().map_err(|e| setup(&e))
}

/// Address literals, and the local host's names, which never leave the machine (RFC 6761 §6.3).
fn fixed(name: &str) -> Option<Vec<IpAddr>> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Some(vec![address]);
    }
    let lower = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    (lower == "localhost" || lower.ends_with(".localhost"))
        .then(|| vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)])
}

fn bounded(options: &mut ResolverOpts) {
    options.timeout = QUESTION_TIMEOUT;
    options.attempts = ATTEMPTS;
    options.cache_size = 0;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Always;
}

fn setup(error: &NetError) -> SetupError {
    SetupError::Resolver(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6761_s6_3_localhost_never_leaves_the_machine() {
        for name in ["localhost", "LOCALHOST.", "a.localhost"] {
            assert!(fixed(name).unwrap().iter().all(IpAddr::is_loopback), "{name}");
        }
        assert_eq!(fixed("192.0.2.1").unwrap(), ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(fixed("localhost.example"), None);
        assert_eq!(fixed("notlocalhost"), None);
    }

    #[test]
    fn a_name_with_a_dot_is_complete() {
        let check = |name: &str, expect: &str| assert_eq!(absolute(name), expect);
        check("vpn.example.com", "vpn.example.com.");
        check("vpn.example.com.", "vpn.example.com.");
        check("orders", "orders");
    }

    #[tokio::test]
    async fn a_change_of_the_systems_files_is_followed() {
        let resolve = DnsResolve::system().unwrap();
        let first = resolve.resolver();
        assert!(Arc::ptr_eq(&first, &resolve.resolver()), "nothing has changed");
        resolve.current.lock().unwrap().1 = [Some(SystemTime::UNIX_EPOCH), None];
        let second = resolve.resolver();
        assert!(!Arc::ptr_eq(&first, &second));
        assert!(Arc::ptr_eq(&second, &resolve.resolver()));
    }

    #[tokio::test]
    async fn without_a_file_the_local_server_is_asked() {
        assert!(of_system([None, None]).is_ok());
    }
}
