//! What is measured, one line each.

/// Who is measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Proxy {
    /// nginx.
    Nginx,
    /// HAProxy.
    Haproxy,
    /// Envoy.
    Envoy,
    /// The gate with ten routes.
    Gate,
    /// The gate with 10,000 routes.
    GateRoutes,
    /// The gate with 100,000 prefixes.
    GatePrefixes,
    /// The gate with a million API keys.
    GateKeys,
}

impl Proxy {
    /// How it is called in the tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Envoy => "Envoy",
            Self::Gate => "Portcullis",
            Self::GateRoutes => "Portcullis, 10,000 routes",
            Self::GatePrefixes => "Portcullis, 100,000 prefixes",
            Self::GateKeys => "Portcullis, 1,000,000 keys",
        }
    }

    /// Whether it is the product.
    pub(crate) fn is_gate(self) -> bool {
        !matches!(self, Self::Nginx | Self::Haproxy | Self::Envoy)
    }
}

/// What a request carries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credential {
    /// Nothing.
    None,
    /// The same ES256 token each time.
    Es256,
    /// The same RS256 token each time.
    Rs256,
    /// Another ES256 token each time.
    Cold,
    /// An API key.
    Key,
    /// An API key of the gate that holds a million.
    KeyOfMany,
}

/// One line of the table.
pub(crate) struct Case {
    /// Who.
    pub(crate) proxy: Proxy,
    /// What, in the table and on the command line.
    pub(crate) what: &'static str,
    /// Where.
    pub(crate) port: u16,
    /// The path.
    pub(crate) path: &'static str,
    /// With what.
    pub(crate) credential: Credential,
    /// Whether latency at the fixed rate is measured too.
    pub(crate) latency: bool,
}

impl Case {
    const fn new(
        proxy: Proxy,
        what: &'static str,
        (port, path): (u16, &'static str),
        credential: Credential,
    ) -> Self {
        Self { proxy, what, port, path, credential, latency: false }
    }

    const fn with_latency(self) -> Self {
        Self { latency: true, ..self }
    }
}

/// All cases. The first is what every ratio refers to.
pub(crate) const CASES: &[Case] = {
    use Credential::{Cold, Es256, Key, KeyOfMany, None, Rs256};
    use Proxy::{Envoy, Gate, GateKeys, GatePrefixes, GateRoutes, Haproxy, Nginx};
    &[
        Case::new(Nginx, "no authentication", (7100, "/x"), None).with_latency(),
        Case::new(Haproxy, "no authentication", (7200, "/x"), None).with_latency(),
        Case::new(Haproxy, "RS256", (7201, "/x"), Rs256),
        Case::new(Haproxy, "ES256", (7202, "/x"), Es256),
        Case::new(Haproxy, "ES256, never the same token", (7202, "/x"), Cold),
        Case::new(Envoy, "no authentication", (7300, "/x"), None),
        Case::new(Envoy, "RS256", (7301, "/x"), Rs256),
        Case::new(Envoy, "ES256", (7301, "/x"), Es256),
        Case::new(Envoy, "RS256, token cache", (7302, "/x"), Rs256),
        Case::new(Envoy, "ES256, token cache", (7302, "/x"), Es256),
        Case::new(Gate, "public route", (7500, "/open/x"), None).with_latency(),
        Case::new(Gate, "ES256 warm", (7500, "/token/x"), Es256).with_latency(),
        Case::new(Gate, "RS256 warm", (7500, "/token/x"), Rs256),
        Case::new(Gate, "ES256 cold, never the same token", (7500, "/token/x"), Cold),
        Case::new(Gate, "API key", (7500, "/key/x"), Key).with_latency(),
        Case::new(Gate, "ES256 warm, signed assertion", (7500, "/signed/x"), Es256),
        Case::new(GateRoutes, "ES256 warm", (7510, "/token/x"), Es256),
        Case::new(GatePrefixes, "ES256 warm", (7520, "/token/x"), Es256),
        Case::new(GateKeys, "API key", (7530, "/key/x"), KeyOfMany),
    ]
};
