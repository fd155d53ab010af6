//! One row per rule: what is asked, and who is refused why.

use super::*;
use crate::catalog::Policy;
use crate::field::ProviderSeat;
use crate::testing::{seat, small};
use crate::view::{Board, Calm, Vital, Vitals};
use slip_ir::Raw;

/// Answers a question about `acme/road-1` (alpha, alpha free, beta/turbo) unless another name is given.
struct Case {
    name: &'static str,
    seats: Vec<ProviderSeat>,
    want: Want,
    rules: &'static str,
    allow: Option<Allow>,
}

impl Default for Case {
    fn default() -> Case {
        let mut gamma = seat("gamma", &[3]);
        gamma.policy = Policy { trains: Some(false), retains: None, zdr: false };
        Case {
            name: "acme/road-1",
            seats: vec![seat("alpha", &[1]), seat("beta", &[2]), gamma],
            want: Want::default(),
            rules: "{}",
            allow: None,
        }
    }
}

impl Case {
    fn ask(&self, vitals: &dyn Vitals, test: impl FnOnce(Answer)) {
        let field = Field::build(&small(), self.seats.clone(), vec![]).unwrap();
        let asked: Vec<Resolved> = self.name.split(',').map(|n| field.resolve(n).unwrap()).collect();
        test(eligible(&Question {
            field: &field,
            asked: &asked,
            want: &self.want,
            rules: &Rules::parse(&Raw::parse(self.rules).unwrap()).unwrap(),
            allow: self.allow.as_ref(),
            own: None,
            view: View::of(vitals, 0),
            now_ms: 1_000,
        }));
    }

    /// `eligible` are places in the list; `refused` is `tag: why`, the free endpoint's own refusal left out.
    fn check(self, eligible: &[u32], refused: &[&str]) {
        self.ask(&Calm, |answer| {
            let got: Vec<u32> = answer.candidates.iter().map(|c| c.at).collect();
            let no: Vec<String> = answer
                .refusals
                .iter()
                .filter(|r| r.rule != Rule::Variant)
                .map(|r| format!("{}: {}", r.endpoint.tag, r.rule))
                .collect();
            assert_eq!(
                (got.as_slice(), no.iter().map(String::as_str).collect::<Vec<_>>()),
                (eligible, refused.to_vec())
            );
        });
    }
}

fn rules(rules: &'static str) -> Case {
    Case { rules, ..Case::default() }
}

fn want(want: Want) -> Case {
    Case { want, ..Case::default() }
}

#[test]
fn without_wishes_all_but_the_unasked_variant_may_serve() {
    Case::default().check(&[0, 2], &[]);
    Case { name: "acme/road-1:free", ..Case::default() }.check(
        &[1],
        &[
            "alpha: not a free endpoint, and the name ends in :free",
            "beta/turbo: not a free endpoint, and the name ends in :free",
        ],
    );
    Case { name: "acme/road-1:thinking:online", ..Case::default() }.check(&[0, 2], &[]);
    let mut case = Case::default();
    case.seats[1].instances.clear();
    case.check(&[0], &["beta/turbo: no key or base URL is configured"]);
}

#[test]
fn the_callers_lists_of_providers_are_kept() {
    rules(r#"{"only":["Alpha"]}"#).check(&[0], &["beta/turbo: not in provider.only"]);
    rules(r#"{"only":["beta ai","gamma"]}"#)
        .check(&[2], &["alpha: not in provider.only", "alpha: not in provider.only"]);
    rules(r#"{"only":["beta/turbo"]}"#).check(&[2], &["alpha: not in provider.only", "alpha: not in provider.only"]);
    rules(r#"{"ignore":["beta"]}"#).check(&[0], &["beta/turbo: in provider.ignore"]);
    rules(r#"{"order":["beta"],"allow_fallbacks":true}"#).check(&[0, 2], &[]);
    let no = "alpha: not in provider.order, and provider.allow_fallbacks is false";
    rules(r#"{"order":["beta"],"allow_fallbacks":false}"#).check(&[2], &[no, no]);
}

#[test]
fn a_key_may_use_what_it_was_given() {
    let list = |names: &[&str]| Some(names.iter().map(|n| n.to_string()).collect::<Vec<_>>());
    let case = |models: &[&str], name: &'static str| Case {
        name,
        allow: Some(Allow::new(list(models), None)),
        ..Case::default()
    };
    case(&["acme/Road-1"], "acme/road-1").check(&[0, 2], &[]);
    case(&["acme/road-1"], "road-one:floor").check(&[0, 2], &[]);
    case(&["acme/*"], "acme/road-1").check(&[0, 2], &[]);
    case(&["*"], "acme/road-1").check(&[0, 2], &[]);
    case(&["acme/road-1-20250101"], "acme/road-1").check(&[0, 2], &[]);
    let no = |tag: &str| format!("{tag}: this key may not use the model");
    case(&["acme/road-2"], "acme/road-1").check(&[], &[&no("alpha"), &no("alpha"), &no("beta/turbo")]);
    case(&["acme/ro"], "acme/road-2").check(&[], &["alpha: this key may not use the model"]);
    Case { allow: Some(Allow::new(None, list(&["Beta"]))), ..Case::default() }
        .check(&[2], &["alpha: this key may not use the provider", "alpha: this key may not use the provider"]);
}

#[test]
fn a_guardrail_holds_a_key_to_what_it_says_and_several_to_all_of_them() {
    use crate::guard::{Guard, Names, Zdr};
    let named = |name: &str, guard: Guard| Arc::new(Guard { name: name.into(), ..guard });
    let names = |all: &[&str]| Names::new(all.iter().copied());
    let some = |all: &[&str]| Some(names(all));
    let check = |name: &'static str, guards: &[&Arc<Guard>], eligible: &[u32], refused: &[&str]| {
        let allow = Allow::new(None, None).under(guards.iter().map(|g| Arc::clone(g)).collect());
        let refused: Vec<String> = refused.iter().map(|says| says.replace('|', "the guardrail ")).collect();
        let refused: Vec<&str> = refused.iter().map(String::as_str).collect();
        Case { name, allow: Some(allow), ..Case::default() }.check(eligible, &refused);
    };
    let road = "acme/road-1";
    check(road, &[], &[0, 2], &[]);
    let models = named("m", Guard { allowed_models: some(&["Acme/Road-2", "acme/road-1-2025*"]), ..Guard::default() });
    check(road, &[&models], &[0, 2], &[]);
    check("acme/road-2", &[&models], &[0], &[]);
    check("claude-tiny", &[&models], &[], &["gamma: |\"m\" forbids it: its model is not among those allowed"]);
    let not = named("n", Guard { ignored_models: names(&["anthropic/*"]), ..Guard::default() });
    check("claude-tiny", &[&not], &[], &["gamma: |\"n\" forbids it: its model is ignored"]);
    check("road-one:floor", &[&not], &[0, 2], &[]);
    let free = named("n", Guard { ignored_models: names(&["acme/road-1:free"]), ..Guard::default() });
    check(road, &[&free], &[0, 2], &["alpha: |\"n\" forbids it: its model is ignored"]);
    let providers = named("p", Guard { allowed_providers: some(&["ALPHA ai"]), ..Guard::default() });
    let out = "beta/turbo: |\"p\" forbids it: its provider is not among those allowed";
    check(road, &[&providers], &[0], &[out]);
    let ignored = named("i", Guard { ignored_providers: names(&["beta/turbo"]), ..Guard::default() });
    let gone = "beta/turbo: |\"i\" forbids it: its provider is ignored";
    check(road, &[&ignored], &[0], &[gone]);
    // The first that speaks decides, and either is enough.
    check(road, &[&ignored, &providers], &[0], &[gone]);
    let other = named("o", Guard { allowed_providers: some(&["beta"]), ..Guard::default() });
    let no = "alpha: |\"o\" forbids it: its provider is not among those allowed";
    check(road, &[&other, &providers], &[], &[no, no, out]);
    // Data policy: what is not known is held against an endpoint.
    let zdr = named("z", Guard { zdr: Zdr { other: true, ..Zdr::default() }, ..Guard::default() });
    check(
        road,
        &[&zdr],
        &[0],
        &["alpha: |\"z\" forbids it: no zero data retention", "beta/turbo: |\"z\" forbids it: no zero data retention"],
    );
    check("claude-tiny", &[&zdr], &[0], &[]);
    let zdr = named("z", Guard { zdr: Zdr { anthropic: true, ..Zdr::default() }, ..Guard::default() });
    check("claude-tiny", &[&zdr], &[], &["gamma: |\"z\" forbids it: no zero data retention"]);
    check(road, &[&zdr], &[0, 2], &[]);
    let paid = named("t", Guard { no_paid_training: true, ..Guard::default() });
    check(road, &[&paid], &[0], &["beta/turbo: |\"t\" forbids it: it may train on what it is sent"]);
    let dear = "alpha: not a free endpoint, and the name ends in :free";
    let (dear, turbo) = (dear, "beta/turbo: not a free endpoint, and the name ends in :free");
    let free = named("f", Guard { no_free_training: true, ..Guard::default() });
    check(road, &[&free], &[0, 2], &["alpha: |\"f\" forbids it: it may train on what it is sent"]);
    check(
        "acme/road-1:free",
        &[&free],
        &[],
        &[dear, "alpha: |\"f\" forbids it: it may train on what it is sent", turbo],
    );
    let publish = named("p", Guard { no_free_publication: true, ..Guard::default() });
    check(
        "acme/road-1:free",
        &[&publish],
        &[],
        &[dear, "alpha: |\"p\" forbids it: it may publish what it is sent", turbo],
    );
}

#[test]
fn what_an_endpoint_lacks_is_held_against_it_only_when_known() {
    use MediaKind::{Audio, Image};
    let media = |kind| {
        let mut set = MediaSet::default();
        set.insert(kind);
        set
    };
    want(Want { tools: true, ..Want::default() }).check(&[0], &["beta/turbo: no tool use"]);
    want(Want { media: media(Image), ..Want::default() })
        .check(&[], &["alpha: no image input", "beta/turbo: no image input"]);
    Case {
        name: "acme/road-2",
        want: Want { media: media(Image), image_out: true, ..Want::default() },
        ..Case::default()
    }
    .check(&[0], &[]);
    Case { name: "acme/road-2", want: Want { media: media(Audio), ..Want::default() }, ..Case::default() }
        .check(&[], &["alpha: no audio input"]);
    Case { name: "acme/road-2", want: Want { audio_out: true, ..Want::default() }, ..Case::default() }
        .check(&[], &["alpha: no audio output"]);
    want(Want { prompt_tokens: 8_193, ..Want::default() })
        .check(&[0], &["beta/turbo: its maximum context length is 8192 tokens, and the prompt has about 8193"]);
    want(Want { prompt_tokens: 8_192, max_tokens: Some(1_025), ..Want::default() })
        .check(&[0], &["beta/turbo: it writes at most 1024 tokens, and max_tokens is 1025"]);
    let everything = Want {
        tools: true,
        media: media(Audio),
        image_out: true,
        prompt_tokens: 10_000_000,
        max_tokens: Some(10_000_000),
        params: vec!["tools", "seed"],
        ..Want::default()
    };
    Case { name: "beta/unheard-of", want: everything.clone(), ..Case::default() }.check(&[0], &[]);
    Case { name: "beta/unheard-of", want: everything, rules: r#"{"require_parameters":true}"#, ..Case::default() }
        .check(&[], &["beta: provider.require_parameters is true, and it is not known to support seed, tools"]);
}

#[test]
fn required_parameters_are_named_when_they_miss() {
    let params = |params: &[&'static str]| Case {
        want: Want { params: params.to_vec(), ..Want::default() },
        rules: r#"{"require_parameters":true}"#,
        ..Case::default()
    };
    params(&["temperature", "max_completion_tokens", "user"]).check(&[0, 2], &[]);
    params(&["seed", "temperature", "response_format"]).check(
        &[0],
        &["beta/turbo: provider.require_parameters is true, and it is not known to support seed, response_format"],
    );
}

#[test]
fn data_policies_are_kept_strictly() {
    let keeps = "it may keep prompts or train on them, and provider.data_collection is deny";
    rules(r#"{"data_collection":"deny"}"#).check(&[0], &[&format!("beta/turbo: {keeps}")]);
    rules(r#"{"zdr":true}"#).check(&[0], &["beta/turbo: no zero data retention, and provider.zdr is true"]);
    Case { name: "claude-tiny", rules: r#"{"data_collection":"deny"}"#, ..Case::default() }
        .check(&[], &[&format!("gamma: {keeps}")]);
}

#[test]
fn quantizations_and_prices_are_kept() {
    rules(r#"{"quantizations":["fp8"]}"#).check(&[2], &["alpha: its quantization is not in provider.quantizations"]);
    rules(r#"{"quantizations":["bf16","fp8"]}"#).check(&[0, 2], &[]);
    Case { name: "acme/road-2", rules: r#"{"quantizations":["unknown"]}"#, ..Case::default() }.check(&[0], &[]);
    rules(r#"{"max_price":{"prompt":1,"completion":"2"}}"#).check(&[0, 2], &[]);
    rules(r#"{"max_price":{"prompt":0.999999}}"#).check(&[2], &["alpha: dearer than provider.max_price.prompt"]);
    rules(r#"{"max_price":{"completion":1}}"#).check(&[2], &["alpha: dearer than provider.max_price.completion"]);
    Case { name: "beta/x", rules: r#"{"max_price":{"prompt":1000}}"#, ..Case::default() }
        .check(&[], &["beta: its price is not known, and provider.max_price is set"]);
    Case {
        want: Want { prompt_tokens: 100_001, ..Want::default() },
        rules: r#"{"max_price":{"prompt":1}}"#,
        ..Case::default()
    }
    .check(
        &[],
        &[
            "alpha: dearer than provider.max_price.prompt",
            "beta/turbo: its maximum context length is 8192 tokens, and the prompt has about 100001",
        ],
    );
}

#[test]
fn some_are_not_refused_but_come_last() {
    let demoted = |case: Case, vital: Vital, want: &[&str]| {
        let field = Field::build(&small(), case.seats.clone(), vec![]).unwrap();
        let key = field.model("acme/road-1").unwrap().endpoints[0].key;
        let board = Board([((key, 1), vital)].into());
        case.ask(&board, |answer| {
            let got: Vec<_> = answer.demoted.iter().map(|r| format!("{}: {}", r.endpoint.tag, r.rule.name())).collect();
            assert_eq!(got, want);
        });
    };
    let cooling = |until| Vital { cooldown_until_ms: until, ..Vital::default() };
    demoted(Case::default(), cooling(1_001), &["alpha: cooldown"]);
    demoted(Case::default(), cooling(1_000), &[]);
    let measured = Vital { ttft_ms: Some(1_500), tokens_per_second: Some(40), ..Vital::default() };
    demoted(rules(r#"{"preferred_max_latency":1}"#), measured, &["alpha: slow"]);
    demoted(rules(r#"{"preferred_max_latency":2,"preferred_min_throughput":{"p90":40}}"#), measured, &[]);
    demoted(rules(r#"{"preferred_min_throughput":41}"#), measured, &["alpha: slow"]);
    demoted(rules(r#"{"preferred_min_throughput":41,"order":["alpha"]}"#), measured, &[]);
    let sealed = |format: &str| Case {
        name: "acme/road-2,anthropic/claude-tiny-4.5",
        want: Want { sealed: vec![format.to_owned()], ..Want::default() },
        ..Case::default()
    };
    demoted(sealed(format::ANTHROPIC), Vital::default(), &["alpha: sealed_reasoning"]);
    demoted(sealed(format::UNKNOWN), Vital::default(), &[]);
}

#[test]
fn an_endpoint_of_two_names_stands_once() {
    Case { name: "acme/road-1,alpha/road-one,acme/road-1", ..Case::default() }.check(&[0, 2], &[]);
}

#[test]
fn a_pool_is_as_well_as_its_warmest_instance() {
    let mut case = Case::default();
    case.seats[1].instances.push(crate::Instance { id: 9, weight: 3 });
    let field = Field::build(&small(), case.seats.clone(), vec![]).unwrap();
    let key = field.model("acme/road-1").unwrap().endpoints[2].key;
    let cold = Vital { cooldown_until_ms: 5_000, failing: true, ..Vital::default() };
    let warm = Vital { ttft_ms: Some(30), failing: true, ..Vital::default() };
    case.ask(&Board([((key, 2), cold), ((key, 9), warm)].into()), |answer| {
        let beta = answer.candidates.iter().find(|c| c.at == 2).unwrap();
        assert!(!beta.cooled() && beta.live.failing);
        assert_eq!((beta.weight, beta.live.ttft_ms), (4, Some(30)));
    });
    case.ask(&Board([((key, 2), cold), ((key, 9), cold)].into()), |answer| {
        assert!(answer.candidates.iter().find(|c| c.at == 2).unwrap().cooled());
    });
}

#[test]
fn the_estimate_is_of_this_request() {
    let price = crate::testing::price("1", "2");
    let rows = [
        (Want { prompt_tokens: 1_000, ..Want::default() }, 1_000_000 + 512 * 2_000),
        (Want { prompt_tokens: 1_000, max_tokens: Some(10), ..Want::default() }, 1_000_000 + 10 * 2_000),
        (Want { max_tokens: Some(100_000), n: 3, ..Want::default() }, 3 * 512 * 2_000),
        (Want { prompt_tokens: u64::MAX, ..Want::default() }, i64::MAX),
    ];
    for (want, nano) in rows {
        assert_eq!(estimate(&price, &want), Nano(nano), "{want:?}");
    }
}
