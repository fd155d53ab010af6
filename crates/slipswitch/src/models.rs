//! `slipswitch models`: what is known, what can be used now, and what it costs.

use crate::cli;
use crate::exit::{Code, Ending};
use serde_json::json;
use slip_ir::{Price, Tier};
use slip_route::Endpoint;
use slip_route::field::Listed;
use std::io::Write;
use std::sync::Arc;

pub fn models(args: &cli::Models) -> Result<(), Ending> {
    let world = crate::config::quiet_world(args.config.as_deref())?;
    let filter = args.filter.as_deref().unwrap_or_default().to_lowercase();
    let listed: Vec<Listed<'_>> = world
        .field
        .models()
        .filter(|l| l.model.id.to_lowercase().contains(&filter) || l.model.name.to_lowercase().contains(&filter))
        .collect();
    if listed.is_empty() {
        return Err(Ending::new(Code::NotFound, format!("error: no model matches: {filter}\nhint: slipswitch models")));
    }
    // What a model would cost with a key for one of its providers is worth knowing before there is one.
    let everybody = crate::config::whole_catalogue()?;
    let price = |l: &Listed<'_>| cheapest(l.endpoints).or_else(|| cheapest(everybody.model(&l.model.id)?.endpoints));
    let mut out = std::io::stdout().lock();
    let written = if args.json { as_json(&mut out, &listed) } else { as_table(&mut out, &listed, &price) };
    match written {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Ending::new(Code::Failure, format!("error: {e}"))),
        _ => Ok(()),
    }
}

fn as_json(out: &mut impl Write, listed: &[Listed<'_>]) -> std::io::Result<()> {
    let rows: Vec<_> = listed
        .iter()
        .map(|l| {
            let m = l.model;
            let endpoints: Vec<_> = l
                .endpoints
                .iter()
                .map(|e| {
                    json!({
                        "provider": &*e.provider,
                        "tag": &*e.tag,
                        "upstream": &*e.upstream,
                        "dialect": e.dialect.name(),
                        "context": e.context,
                        "price": e.price.as_ref().map(|p| json!({
                            "input_per_million": p.rates.input.to_million_string(),
                            "output_per_million": p.rates.output.to_million_string(),
                        })),
                    })
                })
                .collect();
            json!({
                "id": &*m.id,
                "canonical": &*m.canonical,
                "name": m.name,
                "context": m.context,
                "input": m.input,
                "output": m.output,
                "parameters": m.params,
                "usable": !l.endpoints.is_empty(),
                "endpoints": endpoints,
                "would_be_served_by": l.absent.iter().map(|p| p.to_string()).collect::<Vec<_>>(),
                "source": m.source,
                "checked": m.checked,
            })
        })
        .collect();
    writeln!(out, "{}", serde_json::Value::from(rows))
}

fn cheapest(endpoints: &[Arc<Endpoint>]) -> Option<Arc<Price>> {
    let standard = endpoints.iter().filter(|e| e.tier == Tier::Standard);
    standard.filter_map(|e| e.price.clone()).min_by_key(|p| p.rates.input.0 + p.rates.output.0)
}

type PriceOf<'a> = &'a dyn Fn(&Listed<'_>) -> Option<Arc<Price>>;

fn as_table(out: &mut impl Write, listed: &[Listed<'_>], price: PriceOf<'_>) -> std::io::Result<()> {
    writeln!(
        out,
        "{:<46} {:>9} {:>9} {:>9}  providers (in brackets: known, no key)",
        "model", "context", "$/M in", "$/M out"
    )?;
    for l in listed {
        let (input, output) = price(l).map_or(("?".to_owned(), "?".to_owned()), |p| {
            (p.rates.input.to_million_string(), p.rates.output.to_million_string())
        });
        let mut names: Vec<String> = Vec::new();
        for e in l.endpoints {
            if !names.iter().any(|n| **n == *e.tag) {
                names.push(e.tag.to_string());
            }
        }
        if !l.absent.is_empty() {
            let absent: Vec<&str> = l.absent.iter().map(|p| &**p).collect();
            names.push(format!("[{}]", absent.join(", ")));
        }
        let context = l.model.context.map_or_else(|| "?".to_owned(), |c| c.to_string());
        writeln!(out, "{:<46} {context:>9} {input:>9} {output:>9}  {}", &*l.model.id, names.join(", "))?;
    }
    Ok(())
}
