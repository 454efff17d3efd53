//! The field names that the gate itself looks at, as one byte each.

use std::fmt;

macro_rules! known {
    ($( $(#[$doc:meta])* $name:ident = $text:literal, )*) => {
        /// A field name that the gate looks at; every other name is [`Known::Other`].
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Known {
            /// A name without a meaning to the gate.
            Other,
            $( #[doc = concat!("`", $text, "`")] $name, )*
        }

        impl Known {
            /// Recognises a name in lower case.
            pub fn of(name: &[u8]) -> Self {
                match name {
                    $( name if name == $text.as_bytes() => Self::$name, )*
                    _ => Self::Other,
                }
            }

            /// The name in lower case; empty for [`Known::Other`].
            pub fn as_str(self) -> &'static str {
                match self {
                    Self::Other => "",
                    $( Self::$name => $text, )*
                }
            }
        }
    };
}

known! {
    Accept = "accept",
    AccessControlRequestHeaders = "access-control-request-headers",
    AccessControlRequestMethod = "access-control-request-method",
    Authorization = "authorization",
    Connection = "connection",
    ContentEncoding = "content-encoding",
    ContentLength = "content-length",
    ContentType = "content-type",
    Cookie = "cookie",
    Date = "date",
    Dpop = "dpop",
    Expect = "expect",
    Forwarded = "forwarded",
    Host = "host",
    Http2Settings = "http2-settings",
    KeepAlive = "keep-alive",
    Location = "location",
    Origin = "origin",
    ProxyAuthenticate = "proxy-authenticate",
    ProxyAuthorization = "proxy-authorization",
    ProxyConnection = "proxy-connection",
    Range = "range",
    SecFetchMode = "sec-fetch-mode",
    SecFetchSite = "sec-fetch-site",
    Server = "server",
    SetCookie = "set-cookie",
    Te = "te",
    Traceparent = "traceparent",
    Tracestate = "tracestate",
    Trailer = "trailer",
    TransferEncoding = "transfer-encoding",
    Upgrade = "upgrade",
    UserAgent = "user-agent",
    Vary = "vary",
    WwwAuthenticate = "www-authenticate",
    XApiKey = "x-api-key",
    XForwardedFor = "x-forwarded-for",
    XForwardedHost = "x-forwarded-host",
    XForwardedProto = "x-forwarded-proto",
    XRealIp = "x-real-ip",
    XRequestId = "x-request-id",
}

impl Known {
    /// Whether the field belongs to one connection and never passes a proxy (RFC 9110 §7.6.1), whatever
    /// `Connection` says. `Content-Length` does pass in meaning, but is written anew with the body's framing.
    pub fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::Http2Settings
                | Self::KeepAlive
                | Self::ProxyAuthenticate
                | Self::ProxyAuthorization
                | Self::ProxyConnection
                | Self::Te
                | Self::TransferEncoding
                | Self::Upgrade
        )
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Other { "(other)" } else { self.as_str() })
    }
}
