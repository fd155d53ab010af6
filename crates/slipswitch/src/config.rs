//! Configuration for the commands: the file and the environment are read here, and `slipswitch config …` answered.

use crate::cli;
use crate::discover;
use crate::exit::{Code, Ending};
use crate::ground::catalog;
use crate::serve::default_data_dir;
use slip_providers::{ALL, Provider};
use slip_route::{Declared, Field, ProviderSeat, STRATEGIES};
use slip_server::config::{self, Checked, Facts, Loaded, ProviderKind, Sources};
use slip_server::vitals::Vitals;
use slip_server::world::World;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Load the file (or none), the environment's twins and the defaults.
pub fn load(file: Option<&Path>) -> Result<Checked, Ending> {
    loaded(file).map(|l| l.checked)
}

/// What a configuration comes to, for commands that call nobody: simulated providers need no address.
pub fn quiet_world(file: Option<&Path>) -> Result<World, Ending> {
    let mut conf = load(file)?;
    discover::keys(&mut conf, &crate::env);
    for p in &mut conf.providers {
        if let ProviderKind::Simulated(sim) = &p.kind {
            p.dialect = Some(sim.dialect);
            p.base_urls = vec!["http://127.0.0.1:1".to_owned()];
        }
    }
    World::build(&conf, catalog()?, Arc::new(Vitals::default()))
        .map_err(|e| Ending::new(Code::BadConfig, format!("error: {e}")))
}

/// The demo's own text, without the environment: a demo is the same everywhere.
pub fn from_text(name: &str, text: &str) -> Result<Checked, Ending> {
    build(Some((name, text)), &[]).map(|l| l.checked)
}

fn loaded(file: Option<&Path>) -> Result<Loaded, Ending> {
    let env = environment();
    let Some(path) = file else { return build(None, &env) };
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|e| Ending::new(Code::BadConfig, format!("error: the configuration cannot be read: {name}: {e}")))?;
    build(Some((&name, &text)), &env)
}

fn build(file: Option<(&str, &str)>, env: &[(String, String)]) -> Result<Loaded, Ending> {
    let dir = default_data_dir(&|name| env.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()));
    let sources = Sources {
        file,
        env,
        read: &|path| std::fs::read_to_string(path).ok().map(|text| text.trim_end().to_owned()),
        data_dir: &dir.display().to_string(),
        flags: &[],
    };
    let names = |p: &'static Provider| std::iter::once(&*p.id).chain(p.aliases.iter().map(|alias| &**alias));
    let builtin: Vec<&str> = ALL.iter().flat_map(|p| names(p)).collect();
    let balancers: Vec<&str> = STRATEGIES.iter().map(|s| s.name()).collect();
    let modes: Vec<&str> = slip_sim::modes().iter().map(|(mode, _)| *mode).collect();
    let everything = whole_catalogue()?;
    let facts = Facts {
        builtin: &builtin,
        knows: &|name| everything.resolve(name).is_ok(),
        balancers: &balancers,
        modes: &modes,
        mode: &|text| text.parse::<slip_sim::Mode>().map(|_| ()).map_err(|e| e.to_string()),
    };
    let mut loaded =
        config::load(&sources, &facts).map_err(|problems| Ending::new(Code::BadConfig, problems.to_string()))?;
    by_their_own_names(&mut loaded.checked)?;
    Ok(loaded)
}

/// A provider may be configured under any name people know it by; from here on it has its own.
fn by_their_own_names(conf: &mut Checked) -> Result<(), Ending> {
    let mut known: HashMap<String, String> = HashMap::new();
    for p in &mut conf.providers {
        let written = p.slug.clone();
        if matches!(p.kind, ProviderKind::Builtin)
            && let Some(provider) = slip_providers::by_id(&p.slug)
        {
            p.slug = provider.id.to_string();
        }
        if let Some(other) = known.insert(p.slug.clone(), written.clone()) {
            let says = format!("error: providers.{written}: the same provider as: {other}");
            return Err(Ending::new(Code::BadConfig, says));
        }
    }
    Ok(())
}

/// Every name the catalogue could resolve if every provider were there: what a configuration may refer to.
pub fn whole_catalogue() -> Result<Field, Ending> {
    let seats = ALL
        .iter()
        .map(|p| ProviderSeat {
            slug: p.id.to_string(),
            name: p.title.to_string(),
            dialect: p.dialect,
            ops: slip_ir::Ops::of(slip_ir::Op::ALL),
            policy: slip_route::Policy::default(),
            instances: vec![slip_route::Instance { id: 0, weight: 1 }],
            only_declared: false,
            models: Vec::<Declared>::new(),
        })
        .collect();
    Field::build(catalog()?, seats, Vec::new()).map_err(|e| Ending::new(Code::Failure, format!("error: {e}")))
}

#[allow(clippy::disallowed_methods, reason = "the environment is read by the binary and nobody else")]
fn environment() -> Vec<(String, String)> {
    std::env::vars_os().filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?))).collect()
}

pub fn config(args: &cli::Config) -> Result<(), Ending> {
    match &args.what {
        cli::ConfigWhat::Check { file } => {
            let mut checked = load(Some(file))?;
            let found = discover::keys(&mut checked, &crate::env);
            let found = found.iter().filter(|f| matches!(f, discover::Found::Key { .. })).count();
            let providers = checked.providers.len();
            anstream::println!(
                "{}: fine. {providers} providers ({found} of them from keys in the environment), {} names over several endpoints.",
                file.display(),
                checked.houses.len()
            );
            Ok(())
        }
        cli::ConfigWhat::Schema => {
            print!("{}", config::schema());
            Ok(())
        }
        cli::ConfigWhat::Show { config, effective } => {
            let loaded = loaded(config.as_deref())?;
            match (config, effective) {
                (Some(path), false) => {
                    let text = std::fs::read_to_string(path)
                        .map_err(|e| Ending::new(Code::BadConfig, format!("error: {}: {e}", path.display())))?;
                    print!("{text}");
                }
                _ => print!("{}", loaded.effective()),
            }
            Ok(())
        }
    }
}
