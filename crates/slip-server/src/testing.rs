//! What tests of this crate begin with.

use crate::App;
use crate::config::{Facts, Sources, load};
use crate::vitals::Vitals;
use crate::world::World;
use slip_route::Catalog;
use slip_store::Place;
use std::sync::Arc;

/// By the configuration that nobody has said anything in: no provider, a store in memory.
pub fn app() -> Arc<App> {
    let facts = Facts { builtin: &[], knows: &|_| false, balancers: &[], modes: &[], mode: &|_| Ok(()) };
    let sources = Sources { file: None, env: &[], read: &|_| None, data_dir: "unused", flags: &[] };
    let conf = load(&sources, &facts).expect("the defaults are a configuration").checked;
    let vitals = Arc::new(Vitals::default());
    let world = World::build(&conf, Catalog::embedded().expect("embedded"), vitals.clone()).expect("an empty world");
    App::new(Place::Memory, vitals, world).expect("a store in memory")
}
