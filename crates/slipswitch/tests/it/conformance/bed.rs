//! What the matrix is walked on: one gateway, and of each dialect a sound provider, one that dies in mid-stream and one that is busy.

use super::spell;
use crate::harness::Gateway;
use slip_ir::Dialect;
use slip_sim::{Entry, Fault, Journal, Sim, SimConfig};
use std::time::Duration;

/// The credential of every provider.
pub const SECRET: &str = "upstream-secret-77ab";
/// Seconds after which a busy provider wants to be asked again.
pub const AGAIN: u64 = 7;
/// USD per million tokens.
pub const PRICE: (f64, f64) = (2.0, 8.0);
/// A provider has written its entry once it has written its answer; this is for a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// How the provider does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Well,
    /// An error after five tokens.
    Dies,
    /// Too many requests.
    Busy,
}

impl Health {
    const ALL: [Health; 3] = [Health::Well, Health::Dies, Health::Busy];

    fn name(self) -> &'static str {
        match self {
            Health::Well => "well",
            Health::Dies => "dies",
            Health::Busy => "busy",
        }
    }

    fn fault(self) -> Option<Fault> {
        let mode = match self {
            Health::Well => return None,
            Health::Dies => "error:5".to_owned(),
            Health::Busy => format!("status:429:{AGAIN}"),
        };
        Some(Fault::parse(&mode).expect("a fault"))
    }
}

pub struct Bed {
    pub gateway: Gateway,
    sims: Vec<(Dialect, Health, Sim)>,
}

impl Bed {
    pub async fn start() -> Bed {
        let mut sims = Vec::new();
        let mut config = String::new();
        for (dialect, health) in Dialect::ALL.into_iter().flat_map(|d| Health::ALL.map(|h| (d, h))) {
            let (name, key) = (format!("{}-{dialect}", health.name()), Some(SECRET.to_owned()));
            let fault = health.fault();
            let sim = SimConfig { name: name.clone(), dialect, key, fault, ..SimConfig::default() };
            let sim = Sim::start(sim).await.expect("a simulated provider");
            let (base, model) = (sim.base_url(), model(dialect, health));
            let (upstream, (input, output)) = (spell::upstream_model(dialect), PRICE);
            config += &format!(
                "[providers.{name}]\ndialect = \"{dialect}\"\nbase_url = \"{base}\"\nkey = \"{SECRET}\"\nallow_private = true\n\
                 price = {{ input = \"{input}\", output = \"{output}\" }}\n\
                 models = [{{ id = \"{model}\", upstream = \"{upstream}\", input = [\"text\", \"image\", \"file\"] }}]\n\n"
            );
            sims.push((dialect, health, sim));
        }
        Bed { gateway: Gateway::start(&config), sims }
    }

    fn journal(&self, dialect: Dialect) -> &Journal {
        let sound = self.sims.iter().find(|(d, h, _)| *d == dialect && *h == Health::Well);
        sound.map(|(_, _, sim)| sim.journal()).expect("every dialect has a sound provider")
    }

    /// What reached the sound provider of this dialect last, once it is through with it.
    pub async fn last(&self, dialect: Dialect) -> Option<Entry> {
        let through = |entries: &[Entry]| entries.last().is_some_and(|e| e.finished.is_some());
        self.journal(dialect).wait_until(PATIENCE, through).await.pop()
    }
}

/// Its name in the gateway.
pub fn model(dialect: Dialect, health: Health) -> String {
    format!("{}/{dialect}", health.name())
}
