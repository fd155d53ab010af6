//! What a recorded provider said, asked for twice: the second time it is told from what was kept, and says the same.

use super::*;

/// So many recordings must have been told again, where all of them are here.
const ENOUGH: usize = 200;

#[tokio::test]
async fn what_a_recorded_provider_said_is_told_again_as_it_was() {
    let Some(cases) = recorded() else { return };
    let all = cases.len();
    let replay = Arc::new(Replay::start(cases.clone(), ReplayConfig::default()).await.expect("a replayed upstream"));
    let (mut again, mut legs, mut once, mut wrong) = (0, 0, Vec::new(), Vec::new());
    for group in groups(cases) {
        let mut config = "[cache]\nenabled = true\ntool_calls = true\n\n".to_owned();
        group.iter().for_each(|(slug, case)| config.push_str(&provider(slug, case, &replay)));
        let gateway = Arc::new(Gateway::start(&config));
        for (_, case) in &group {
            let model = model(case);
            let bed = Bed { gateway: gateway.clone(), case: case.clone(), model, replay: replay.clone() };
            let mut told = false;
            for leg in bed.legs() {
                let name =
                    format!("{} as {} {}", case.id, leg.surface.name(), if leg.stream { "streamed" } else { "whole" });
                let before = replay.journal().total();
                let (first, second) = (bed.send(&leg).await, bed.send(&leg).await);
                if second.header("x-openrouter-cache-status") != "HIT" {
                    let finish = bed.said().choices.values().next().and_then(|choice| choice.finish.clone());
                    once.push(format!("{name}: {} {finish:?}", first.status));
                    continue;
                }
                (told, legs) = (true, legs + 1);
                let asked = replay.journal().total() - before;
                if first.header("x-openrouter-cache-status") == "MISS" && asked != 1 {
                    wrong.push(format!("{name}: {asked} were asked"));
                }
                let heard = |got: &Got| {
                    let parts = if leg.stream { leg.surface.values(&got.body) } else { vec![got.json()] };
                    let mut said = leg.surface.read(&parts);
                    if let Some(usage) = &mut said.usage {
                        usage.cost = None;
                    }
                    let old = first.header("x-generation-id");
                    // A tool call that had no id got one of ours, made from the reply's.
                    let tail = |id: &str| id.rsplit('-').next().unwrap_or_default().to_owned();
                    format!("{said:#?}").replace(&tail(old), &tail(second.header("x-generation-id")))
                };
                let (one, two) = (heard(&first), heard(&second));
                if one != two {
                    let at = one.lines().zip(two.lines()).find(|(a, b)| a != b);
                    wrong.push(format!("{name}: {at:?}"));
                }
                let cost = second.text();
                let priced = cost.match_indices("\"cost\":").any(|(at, _)| {
                    let number: String =
                        cost[at + 7..].chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
                    number.parse::<f64>().is_ok_and(|cost| cost > 0.0)
                });
                if priced {
                    wrong.push(format!("{name}: it costs something: {cost:.2000}"));
                }
            }
            again += usize::from(told);
        }
    }
    once.iter().for_each(|name| println!("not kept: {name}"));
    println!("{again} of {all} recordings were told again, on {legs} legs; {} legs were not kept", once.len());
    wrong.iter().for_each(|name| println!("wrong: {name}"));
    assert!(wrong.is_empty(), "{} were told otherwise; see the list above", wrong.len());
    assert!(again >= ENOUGH.min(all / 2), "{again} of {all}");
}
