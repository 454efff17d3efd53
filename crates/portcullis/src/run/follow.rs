//! Following the store: changes into the gate's state, outbox rows into the ledger, dead nodes' rows adopted.

use super::own;
use super::state::{Loaded, State};
use audit::Ledger;
use authority::oauth::OAuth;
use authority::{Outbox, Snapshots};
use base::{Clock, NodeId, code};
use control::Health;
use std::sync::Arc;
use std::time::Duration;
use store::{Applied, Contact, Follower, Mourner, Step, Store};

/// Rows that the drainer takes at once.
const ROWS: u32 = 512;
/// How long the drainer waits for a signal before it looks again.
const LOOK: Duration = Duration::from_millis(250);
/// How long it waits after an error.
const AGAIN: Duration = Duration::from_millis(500);
/// How often a node says that it lives.
const BEAT: Duration = Duration::from_secs(5);
/// How often rows that nobody needs are swept away.
const SWEEP: Duration = Duration::from_secs(60);
/// Keys that ended no longer ago are kept, so that their holders are told why.
const ENDED: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often it is asked whether the feed is lost.
const WATCH: Duration = Duration::from_millis(250);

/// Loads all keys, blocks and entries.
///
/// # Errors
/// A sentence, when the store does not answer.
pub(super) async fn load(
    store: &Store,
    clock: &Arc<dyn Clock>,
) -> Result<(Loaded, Follower), String> {
    let mut loaded = Loaded::default();
    let cursor = store
        .load(clock.now().minus(ENDED), &mut loaded)
        .await
        .map_err(|error| error.to_string())?;
    Ok((loaded, Follower::new(store.clone(), clock.clone(), cursor)))
}

async fn reload(
    store: &Store,
    clock: &Arc<dyn Clock>,
    oauth: &OAuth,
) -> Result<(Loaded, Follower), String> {
    // The place in the feed comes first: what changes meanwhile is heard of again.
    let loaded = load(store, clock).await?;
    oauth.start().await.map_err(|error| error.to_string())?;
    Ok(loaded)
}

/// Applies the feed for as long as the node runs.
pub(super) async fn feed(
    store: Store,
    mut follower: Follower,
    (state, applied, oauth): (Arc<State>, Arc<Applied>, Arc<OAuth>),
    (clock, contact): (Arc<dyn Clock>, Arc<std::sync::Mutex<Contact>>),
) {
    let mut lost = false;
    loop {
        // What the authority could not take up (the store fell silent in between) makes it load everything again.
        if !lost {
            lost = match follower.next().await {
                Step::Changes(batch) => {
                    state.apply(&batch.changes);
                    let taken = own::changed(&oauth, &state, &batch.changes).await;
                    if taken.is_ok() {
                        applied.mark(&batch);
                    }
                    taken.is_err()
                }
                Step::Lost => true,
            };
            continue;
        }
        let loading = applied.loading();
        match reload(&store, &clock, &oauth).await {
            Ok((loaded, next)) => {
                own::hand_over_keys(&oauth, &state);
                state.reload(loaded);
                applied.loaded(&loading);
                follower = next;
                *contact.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
                    follower.contact();
                lost = false;
            }
            Err(why) => {
                tracing::error!(why, "the state cannot be loaded again");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// Refuses everything once the feed has been lost for longer than `limit`; tells the authority how old its news are.
pub(super) async fn watch(
    (state, oauth): (Arc<State>, Arc<OAuth>),
    clock: Arc<dyn Clock>,
    contact: Arc<std::sync::Mutex<Contact>>,
    (limit, health, ready): (Duration, Arc<Health>, control::Up),
) {
    let mut stale = false;
    loop {
        tokio::time::sleep(WATCH).await;
        state.expire(clock.now());
        let age = {
            let contact = contact.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            contact.age(clock.monotonic())
        };
        oauth.heard(age);
        let now_stale = age > limit;
        if now_stale != stale {
            stale = now_stale;
            state.stale(stale);
            if stale {
                tracing::error!(?age, "the state cannot be followed: requests are refused");
                health.unready(code::STATE_STALE.as_str());
            } else {
                tracing::info!("the state is followed again");
                health.ready(ready.clone());
            }
        }
    }
}

/// Takes outbox rows to the ledger, once each.
pub(super) async fn drain(store: Store, ledger: Arc<Ledger>, node: NodeId, clock: Arc<dyn Clock>) {
    let mut seen = 0;
    loop {
        let rows = match store.take(node, ROWS).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(%error, "the outbox cannot be read");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        if rows.is_empty() {
            seen = store.wait_for_rows(seen, LOOK).await;
            continue;
        }
        let ids: Vec<_> = rows.iter().map(|row| row.event.id).collect();
        let events = rows.into_iter().map(|row| row.event).collect();
        // INVARIANT: a row is done only once the ledger has it on disk; the ledger knows ids that come twice.
        if let Err(error) = ledger.append_synced(events).await {
            tracing::error!(%error, "the ledger takes no administrative records");
            tokio::time::sleep(AGAIN).await;
            continue;
        }
        if let Err(error) = store.mark_done(ids, clock.now()).await {
            tracing::warn!(%error, "outbox rows cannot be marked; they will be offered again");
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// Says that this node lives, adopts rows of nodes that do not, sweeps.
pub(super) async fn live(store: Store, node: NodeId, clock: Arc<dyn Clock>) {
    use authority::NodeStore;
    let mut mourner = Mourner::new();
    let mut round = 0u64;
    loop {
        if let Err(error) = store.beat(node, clock.now()).await {
            tracing::warn!(%error, "no sign of life could be left");
        }
        if let Err(error) = mourner.round(&store, node, clock.monotonic()).await {
            tracing::warn!(%error, "rows of other nodes cannot be looked at");
        }
        if round.is_multiple_of(SWEEP.as_secs() / BEAT.as_secs())
            && let Err(error) = store.sweep(clock.now()).await
        {
            tracing::warn!(%error, "the store cannot be swept");
        }
        round += 1;
        tokio::time::sleep(BEAT).await;
    }
}
