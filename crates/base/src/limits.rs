//! Named bounds, each with its reason.

use std::time::Duration;

/// Bytes of a request head (request line and all headers) before 431. nginx's default is 32 KiB, Apache's
/// 8 KiB a line; a token with many groups reaches 8 KiB.
pub const REQUEST_HEAD_BYTES: usize = 32 * 1024;
/// Header lines of a request before 431. httparse walks each; browsers send fewer than 40.
pub const REQUEST_HEADERS: usize = 100;
/// Bytes of a request target before 414 (RFC 9112 §3 recommends at least 8000).
pub const REQUEST_TARGET_BYTES: usize = 8 * 1024;
/// Bytes of a credential (token or key) that is looked at. A JWT with 100 group claims has 6 KB.
pub const CREDENTIAL_BYTES: usize = 16 * 1024;
/// Hops that are walked in address headers before the request is refused.
pub const FORWARDED_HOPS: usize = 32;
/// Skew between our clock and an issuer's that is forgiven (RFC 7519 §4.1.4: "a few minutes" at most).
pub const CLOCK_SKEW: Duration = Duration::from_secs(30);
/// The longest that a verified credential stays in the cache.
pub const VERIFIED_TTL: Duration = Duration::from_secs(60);
/// Verified credentials held per shard; at about 600 bytes each this is 6 MB.
pub const VERIFIED_ENTRIES: usize = 10_000;
/// Rejected credentials held per shard.
pub const REJECTED_ENTRIES: usize = 10_000;
/// How often a key set is fetched at most because of a `kid` that it does not hold.
pub const UNKNOWN_KEY_FETCH: Duration = Duration::from_secs(30);
/// Bytes of a key set or metadata document.
pub const DOCUMENT_BYTES: usize = 256 * 1024;
/// Keys of one key set that are read.
pub const KEY_SET_KEYS: usize = 64;
/// Events in one shard's ring. At 20,000 requests a second and a sync every 5 ms there are about 100.
pub const AUDIT_RING: usize = 16 * 1024;
