//! What of the authority's rows is swept away, and when.
//!
//! Each piece is an intention of its own, so that nothing waits long behind it.

use crate::conn::args;
use crate::dialect::{Both, sweeping};
use crate::open::Store;
use authority::PortError;
use authority::oauth::NEWS_KEPT;
use base::UnixMs;
use std::time::Duration;

/// Rows that one intention removes at most: some 1 ms of the one writer, so that no request waits long behind it.
const ROWS: i64 = 100;
/// Intentions for each kind of rows in one sweep: 200,000 rows, more than a minute brings (3,000 refreshes a
/// second).
const ROUNDS: u32 = 2_000;
/// How long things are kept after their end, since clocks of nodes differ, and what a fast one has removed a slow
/// one would take for unused.
const SKEW: Duration = Duration::from_secs(300);
/// How long codes, grants and their refresh tokens are kept after their end: a code that is used again must find
/// the grant as long as tokens of it may live.
const KEPT: Duration = Duration::from_secs(3600);

/// What is removed (or wiped) together, when it ended before a time.
struct Piece {
    sql: &'static [Both],
    kept: Duration,
}

const fn piece(sql: &'static [Both], kept: Duration) -> Piece {
    Piece { sql, kept }
}

/// In this order: a grant goes after what belongs to it.
const PIECES: [Piece; 14] = [
    // A node whose clock is a little behind may still give the child.
    piece(&[WIPE_CHILDREN], Duration::from_secs(2)),
    piece(&[sweeping!("refresh_tokens", "mac", "kept_until < $1")], KEPT),
    piece(&[UNUSED_GRANTS, CODES], KEPT),
    piece(&[sweeping!("grants", "id", "expires_at < $1")], KEPT),
    piece(&[sweeping!("access_tokens", "mac", "expires_at < $1")], SKEW),
    piece(&[sweeping!("pushed", "mac", "expires_at < $1")], SKEW),
    piece(&[sweeping!("devices", "mac", "expires_at < $1")], SKEW),
    piece(&[sweeping!("sessions", "mac", "expires_at < $1")], SKEW),
    piece(&[sweeping!("letters", "mac", "expires_at < $1")], SKEW),
    piece(&[sweeping!("once", "mac", "until < $1")], SKEW),
    piece(&[sweeping!("account_events", "event_id", "at < $1")], NEWS_KEPT),
    piece(&[REVOCATIONS], SKEW),
    piece(&[OF_SUBJECTS], SKEW),
    piece(&[OF_CLIENTS], SKEW),
];

const WIPE_CHILDREN: Both = sweeping!(
    set "child = NULL, child_mac = NULL, wipe_at = NULL",
    "refresh_tokens", "mac", "wipe_at IS NOT NULL AND wipe_at < $1"
);
/// Nothing was ever issued on a grant whose code was not redeemed.
const UNUSED_GRANTS: Both = sweeping!(
    "grants",
    "id",
    "id IN (SELECT grant_id FROM codes WHERE spent_at IS NULL AND expires_at < $1 \
     ORDER BY expires_at LIMIT $2)"
);
const CODES: Both = sweeping!(
    "codes",
    "mac",
    "expires_at < $1 AND (spent_at IS NOT NULL \
     OR NOT EXISTS (SELECT 1 FROM grants g WHERE g.id = codes.grant_id))"
);
const REVOCATIONS: Both =
    sweeping!("revocations", "kind, value", "until < $1 AND kind IN ('token', 'grant', 'session')");
/// It ends grants too, and stays as long as there is one that only it holds dead.
const OF_SUBJECTS: Both = sweeping!(
    "revocations",
    "kind, value",
    "until < $1 AND kind = 'subject' AND NOT EXISTS (SELECT 1 FROM grants g \
     WHERE g.user_id = revocations.value AND g.created_at <= revocations.not_before)"
);
/// As [`OF_SUBJECTS`].
const OF_CLIENTS: Both = sweeping!(
    "revocations",
    "kind, value",
    "until < $1 AND kind = 'client' AND NOT EXISTS (SELECT 1 FROM grants g \
     WHERE g.client_id = revocations.value AND g.created_at <= revocations.not_before)"
);

/// Sweeps once; how many rows.
pub(crate) async fn sweep(store: &Store, now: UnixMs) -> Result<u64, PortError> {
    let mut rows = 0;
    for piece in &PIECES {
        let (sql, before) = (piece.sql, now.minus(piece.kept).0);
        for _ in 0..ROUNDS {
            let round = store.write(Box::new(move |conn| {
                Box::pin(async move {
                    let (mut all, mut last) = (0, 0);
                    for both in sql {
                        last =
                            conn.execute(conn.dialect().words(*both), args![before, ROWS]).await?;
                        all += last;
                    }
                    Ok((all, last))
                })
            }));
            let (all, last) = round.await?;
            rows += all;
            if last < ROWS.unsigned_abs() {
                break;
            }
        }
    }
    Ok(rows)
}
