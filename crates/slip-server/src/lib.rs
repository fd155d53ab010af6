//! The gateway itself: HTTP in, HTTP out, and the journey between.
//!
//! Start reading at [`flow`]: the nine verbs of a request on one screen. [`world`] is what one configuration came to, [`serve`] the
//! listeners. There is no SQL here and no dialect.

pub mod api;
pub mod body;
pub mod cache;
pub mod clock;
pub mod config;
pub mod contents;
pub mod decisions;
pub mod files;
pub mod flow;
mod fnv;
pub mod leasing;
pub mod listing;
pub mod probing;
pub mod queue;
pub mod refreshing;
pub mod routes;
pub mod serve;
pub mod sticky;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod tokens;
pub mod upstream;
pub mod vitals;
pub mod world;

use arc_swap::ArcSwap;
use cache::Cache;
use contents::Contents;
use queue::door::Door;
use slip_store::{Key, Ledger, Masters, Place, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use sticky::Conversations;
use telemetry::Telemetry;
use vitals::Vitals;
use world::World;

/// What outlives a configuration: the store, the health of endpoints, the counters. One per process.
pub struct App {
    world: ArcSwap<World>,
    pub store: Store,
    pub ledger: Ledger,
    pub vitals: Arc<Vitals>,
    pub telemetry: Telemetry,
    /// What was asked and answered, where a key wants it kept.
    pub contents: Contents,
    /// Answers that are given again.
    pub cache: Cache,
    /// Where conversations were before.
    pub conversations: Conversations,
    /// Who guessed wrong when an app was signed in.
    pub tries: api::sign_in::Tries,
    /// Counts requests; round robin takes turns by it.
    pub turn: AtomicU64,
    /// Requests whose record is open.
    pub in_flight: AtomicUsize,
    /// Where others wait when those are as many as may be.
    pub door: Door,
    /// No new requests.
    pub draining: AtomicBool,
    /// The drain is over: streams that still run are ended.
    pub cut: AtomicBool,
}

impl App {
    pub fn new(place: Place, vitals: Arc<Vitals>, world: World) -> Result<Arc<App>, slip_store::Error> {
        App::with(place, None, vitals, world)
    }

    /// With master keys that are given; else they are kept in the place.
    pub fn with(
        place: Place,
        masters: Option<Masters>,
        vitals: Arc<Vitals>,
        mut world: World,
    ) -> Result<Arc<App>, slip_store::Error> {
        world.wake(None);
        let mut telemetry = Telemetry::default();
        telemetry.lines(&vitals.lines);
        let door = Door::new(vitals.lines.clone());
        door.set(world.limits.max_concurrent, world.limits.queue);
        let store = Store::open_with(place, masters, world.durable, Some(telemetry.observer()))?;
        store.cap_instance(world.limits.caps);
        let cache = Cache::new(world.cache.memory, world.cache.largest);
        Ok(Arc::new(App {
            cache,
            world: ArcSwap::from_pointee(world),
            ledger: store.ledger(),
            contents: Contents::new(store.clone()),
            store,
            vitals,
            telemetry,
            conversations: Conversations::default(),
            tries: api::sign_in::Tries::default(),
            turn: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            door,
            draining: AtomicBool::new(false),
            cut: AtomicBool::new(false),
        }))
    }

    /// The configuration in force. A request asks once and keeps it to its end.
    pub fn world(&self) -> Arc<World> {
        self.world.load_full()
    }

    /// The same as whoever asks with this key sees it: with the keys its workspace has at providers.
    pub fn world_of(&self, key: Option<&Arc<Key>>) -> Arc<World> {
        let world = self.world();
        let Some(key) = key else { return world };
        let directory = self.store.directory().now();
        if directory.provider_keys().is_empty() {
            return world;
        }
        world.outfitted(&directory, &self.store.vault(), &key.workspace)
    }

    /// Put another configuration in force, for requests from now on.
    pub fn replace(&self, mut world: World) {
        world.wake(Some(&self.world()));
        self.store.cap_instance(world.limits.caps);
        self.door.set(world.limits.max_concurrent, world.limits.queue);
        self.world.store(Arc::new(world));
    }
}
