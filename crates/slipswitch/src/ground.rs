//! From a checked configuration to a world: simulated providers are started here and given their addresses.

use crate::exit::{Code, Ending};
use crate::record::Recording;
use slip_route::Catalog;
use slip_server::config::{Checked, ProviderConf, ProviderKind, Secret, SimConf};
use slip_server::vitals::Vitals;
use slip_server::world::World;
use slip_sim::{Fault, Sim, SimConfig};
use std::collections::HashMap;
use std::sync::Arc;

/// A configuration whose simulated providers are up. Dropping it stops them.
pub struct Ground {
    conf: Checked,
    sims: HashMap<String, Sim>,
    recording: Option<Arc<Recording>>,
}

impl Ground {
    pub async fn prepare(mut conf: Checked) -> Result<Ground, Ending> {
        let mut sims = HashMap::new();
        for p in &mut conf.providers {
            if let ProviderKind::Simulated(sim) = &p.kind {
                let running = Sim::start(config(p, sim)?).await.map_err(|e| {
                    Ending::new(Code::Unavailable, format!("error: providers.{}: could not be simulated: {e}", p.slug))
                })?;
                p.base_urls = vec![running.base_url()];
                p.dialect = Some(sim.dialect);
                if p.keys.is_empty() {
                    p.keys = vec![(Secret::new("simulated"), 1)];
                }
                sims.insert(p.slug.clone(), running);
            }
        }
        Ok(Ground { conf, sims, recording: None })
    }

    pub fn conf(&self) -> &Checked {
        &self.conf
    }

    pub fn sim(&self, slug: &str) -> Option<&Sim> {
        self.sims.get(slug)
    }

    /// What passes to and from its providers is recorded.
    pub fn recorded_by(self, recording: Option<Arc<Recording>>) -> Ground {
        Ground { recording, ..self }
    }

    pub fn recording(&self) -> Option<Arc<Recording>> {
        self.recording.clone()
    }

    pub fn world(&self, vitals: Arc<Vitals>) -> Result<World, Ending> {
        let catalog = catalog()?;
        let mut world = World::build(&self.conf, catalog, vitals)
            .map_err(|e| Ending::new(Code::BadConfig, format!("error: {e}")))?;
        if let Some(recording) = &self.recording {
            recording.adopt(&self.conf, &mut world)?;
        }
        Ok(world)
    }
}

pub fn catalog() -> Result<&'static Catalog, Ending> {
    Catalog::embedded()
        .map_err(|e| Ending::new(Code::Failure, format!("error: the catalogue inside this binary is broken: {e}")))
}

fn config(p: &ProviderConf, sim: &SimConf) -> Result<SimConfig, Ending> {
    let fault = match &sim.fault {
        None => None,
        Some((mode, rate)) => {
            Some(mode.parse().map(|mode| Fault { mode, rate: *rate }).map_err(|e: anyhow::Error| {
                Ending::new(Code::BadConfig, format!("error: providers.{}.fault.mode: {e}", p.slug))
            })?)
        }
    };
    Ok(SimConfig {
        name: p.slug.clone(),
        dialect: sim.dialect,
        models: Vec::new(),
        ttft: sim.ttft.unwrap_or_default(),
        tokens_per_second: sim.tokens_per_second.unwrap_or_default(),
        fault,
        ..SimConfig::default()
    })
}
