//! The control plane's addresses: how they are reached, what each serves, and the link of the first administrator.

use super::{Failure, Running, start, text};
use crate::config::{self, Config};
use access::address::{AddressHeader, TrustedProxies};
use authority::Actor;
use authority::oauth::OAuth;
use control::{
    Api, Door, Front, Issuer, Names, Proxies, ProxyHeader, ServerTls, Shutdown, Surface,
};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The page on which the first administrator says who they are.
const FIRST: &str = "/setup?first=1";

/// The listening sockets.
pub(super) struct Ports {
    control: TcpListener,
    admin: Option<TcpListener>,
}

/// Listens on the addresses of the control plane.
///
/// # Errors
/// Which address is taken.
pub(super) async fn listen(config: &Config) -> Result<Ports, Failure> {
    let control = start::control_port(config.server.control).await?;
    let admin = match config.server.admin {
        Some(address) => Some(start::control_port(address).await?),
        None => None,
    };
    Ok(Ports { control, admin })
}

/// TLS and proxies, as the file says.
///
/// # Errors
/// A sentence, when certificate or key cannot be read.
pub(super) fn door(config: &Config) -> Result<Door, Failure> {
    let tls =
        config.server.tls.as_ref().map(|it| ServerTls::read(&it.cert, &it.key)).transpose()?;
    let proxies = config.server.proxies.as_ref().map_or_else(Proxies::default, |it| Proxies {
        trusted: TrustedProxies::new(it.trusted.clone()),
        header: Some(match it.header {
            config::AddressHeader::XForwardedFor => {
                ProxyHeader::Header(AddressHeader::XForwardedFor)
            }
            config::AddressHeader::Forwarded => ProxyHeader::Header(AddressHeader::Forwarded),
            config::AddressHeader::ProxyProtocol => ProxyHeader::Protocol,
        }),
    });
    Ok(Door { tls, proxies: Arc::new(proxies) })
}

impl Ports {
    /// The URLs of the control plane and of its administrators' address.
    ///
    /// # Errors
    /// When the system does not say where it listens.
    pub(super) fn urls(&self, tls: bool) -> Result<(String, Option<String>), Failure> {
        let url = |listener: &TcpListener| {
            let address = listener.local_addr().map_err(text)?;
            let scheme = if tls { "https" } else { "http" };
            Ok::<_, Failure>(format!("{scheme}://{}:{}", shown(address.ip()), address.port()))
        };
        Ok((url(&self.control)?, self.admin.as_ref().map(url).transpose()?))
    }

    /// Serves everything at its place until `stopped`.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub(super) fn serve(
        self,
        running: &Running,
        (config, door): (&Config, watch::Receiver<Door>),
        api: &Api,
        stopped: &Shutdown,
    ) -> Result<Vec<JoinHandle<()>>, Failure> {
        let name = config.authority.name.clone();
        let (oauth, clock) = (running.oauth.clone(), running.clock.clone());
        let issuer =
            Issuer::new(oauth, name, clock, running.node).map_err(text)?.beside(api.clone());
        let (control, admin) = self.urls(config.server.tls.is_some())?;
        let front = |names: Names, surface: Surface, secure: bool| Front {
            secure,
            api: api.clone(),
            issuer: Some(issuer.clone()),
            names,
            surface,
            door: door.clone(),
        };
        let names = Names::new([config.server.public_url.as_str(), control.as_str()]);
        let secure = config.server.public_url.is_https();
        let surface = Surface { authority: true, admin: self.admin.is_none() };
        let serving =
            control::serve_tcp(self.control, front(names, surface, secure), stopped.clone());
        let mut servers = vec![tokio::spawn(serving)];
        if let (Some(listener), Some(own)) = (self.admin, admin) {
            let said = config.server.admin_url.as_ref().map(config::WebUrl::as_str);
            let names = Names::new(said.into_iter().chain([own.as_str()]));
            let surface = Surface { authority: false, admin: true };
            let secure = config.server.admin_url.as_ref().is_some_and(config::WebUrl::is_https);
            let front = front(names, surface, secure);
            let serving = control::serve_tcp(listener, front, stopped.clone());
            servers.push(tokio::spawn(serving));
        }
        Ok(servers)
    }
}

/// An address as people type it.
pub(super) fn shown(ip: IpAddr) -> String {
    match ip {
        ip if ip.is_unspecified() || ip.is_loopback() => "localhost".to_owned(),
        IpAddr::V6(ip) => format!("[{ip}]"),
        ip => ip.to_string(),
    }
}

/// The link on which the first administrator sets up, when somebody sees it and there is nobody yet.
///
/// WHY never off a terminal: what is printed there goes into files and log collectors, and whoever reads it is the
/// administrator.
///
/// # Errors
/// As the store says.
pub(super) async fn first_link(oauth: &OAuth, terminal: bool) -> Result<Option<String>, Failure> {
    if !terminal {
        return Ok(None);
    }
    let user = format!("uid:{}", nix::unistd::geteuid());
    let setup = oauth.bootstrap(&Actor::local(&user)).await.map_err(text)?;
    // The secret stands behind `#`: no browser sends it, no log keeps it.
    Ok(setup.map(|it| format!("{}#{}", oauth.settings().url(FIRST), it.expose())))
}
