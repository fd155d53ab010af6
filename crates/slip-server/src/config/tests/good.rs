//! What is understood, and how it is shown.

use super::*;
use slip_ir::{Dialect, MediaKind, Nano, Usage};
use slip_quota::line::Terms;
use slip_quota::{Cap, Caps, Reset};
use std::time::Duration;

/// Every member of the format, in TOML.
const FULL: &str = r#"
listen = "0.0.0.0:9090"
data_dir = "/var/lib/slipswitch"
probe = false
drain_timeout = "30s"
log = "debug"

[timeouts]
connect = "1s"
first_content = "1m"

[limits]
body = "1MiB"
daily_usd = "50.5"

[providers.openai]
keys = [{ key = "${LAB_KEY}", weight = 3 }, { key = "${file:/run/secrets/lab}" }]

[providers.lab]
title = "The Lab"
dialect = "anthropic"
base_urls = ["http://10.0.0.1:9000/v1/", "http://10.0.0.2:9000/v1"]
key = "none"
allow_private = true
headers = { X-Team = "blue-team-0123456789" }
price = { input = "1", output = "2" }
timeouts = { first_content = "2m", idle = "90s" }
models = [
  "lab/one",
  { id = "lab/two", upstream = "two-v1", name = "Two", context = 32768, max_output = 1024, input = ["text", "image"], params = ["tools"], quantization = "fp8", price = { input = "0.5", output = "1.5", cache_read = "0.05" } },
]

[providers.sim]
kind = "simulated"
dialect = "openai-chat"
models = ["sim/echo"]
ttft = "50ms"
tokens_per_second = 100
fault = { mode = "status:503", rate = 0.3 }

[models."house/fast"]
endpoints = ["lab/one", "sim/echo", "openai/known"]
load_balancer = "round-robin"
timeouts = { connect = "500ms", first_content = "5s", idle = "20s", total = "60s" }
hedge = { after = "p90", max_share = 0.01 }
continue_streams = true
"#;

/// The same in YAML.
const FULL_YAML: &str = r#"
listen: 0.0.0.0:9090
data_dir: /var/lib/slipswitch
probe: false
drain_timeout: 30s
log: debug
timeouts: { connect: 1s, first_content: 1m }
limits:
  body: 1MiB
  daily_usd: "50.5"
providers:
  openai:
    keys:
      - { key: "${LAB_KEY}", weight: 3 }
      - key: ${file:/run/secrets/lab}
  lab:
    title: The Lab
    dialect: anthropic
    base_urls: ["http://10.0.0.1:9000/v1/", "http://10.0.0.2:9000/v1"]
    key: none
    allow_private: true
    headers: { X-Team: blue-team-0123456789 }
    price: { input: "1", output: "2" }
    timeouts: { first_content: 2m, idle: 90s }
    models:
      - lab/one
      - id: lab/two
        upstream: two-v1
        name: Two
        context: 32768
        max_output: 1024
        input: [text, image]
        params: [tools]
        quantization: fp8
        price: { input: "0.5", output: "1.5", cache_read: "0.05" }
  sim:
    kind: simulated
    dialect: openai-chat
    models: [sim/echo]
    ttft: 50ms
    tokens_per_second: 100
    fault: { mode: "status:503", rate: 0.3 }
models:
  house/fast:
    endpoints: [lab/one, sim/echo, openai/known]
    load_balancer: round-robin
    timeouts: { connect: 500ms, first_content: 5s, idle: 20s, total: 60s }
    hedge: { after: p90, max_share: 0.01 }
    continue_streams: true
"#;

fn good(name: &str, text: &str) -> Loaded {
    load_with(Some((name, text)), &[]).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn every_member_is_understood() {
    let c = good("gw.toml", FULL).checked;
    assert_eq!((c.listen.to_string().as_str(), c.probe, c.log.as_str()), ("0.0.0.0:9090", false, "debug"));
    assert_eq!((c.data_dir.to_str(), c.drain_timeout), (Some("/var/lib/slipswitch"), Duration::from_secs(30)));
    assert_eq!(
        c.timeouts,
        Timeouts {
            connect: Duration::from_secs(1),
            first_content: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            total: Duration::from_secs(600),
            head_commit: Duration::from_secs(15),
            keepalive: Duration::from_secs(10),
        }
    );
    assert_eq!(
        c.limits,
        Limits {
            body: 1 << 20,
            max_concurrent: 4096,
            lease: Duration::from_secs(60),
            caps: Caps::none().with(Some(Reset::Daily), Cap { limit: Nano(50_500_000_000), include_byok: false }),
            queue: Terms {
                most: [256, 2_048, 2_048],
                longest_ms: [10_000, 300_000, 600_000],
                ages_ms: [i64::MAX, 30_000, 120_000],
                ..Terms::default()
            },
        }
    );

    let [lab, openai, sim] = c.providers.as_slice() else { panic!("three providers: {:?}", c.providers) };
    assert_eq!((openai.slug.as_str(), &openai.kind), ("openai", &ProviderKind::Builtin));
    let keys: Vec<_> = openai.keys.iter().map(|(key, weight)| (key.expose(), *weight)).collect();
    assert_eq!(keys, [("lab-key-0123456789", 3), ("file-key-0123456789", 1)]);

    assert_eq!(
        (lab.title.as_deref(), lab.dialect, &lab.kind),
        (Some("The Lab"), Some(Dialect::Anthropic), &ProviderKind::Declared)
    );
    assert_eq!(lab.base_urls, ["http://10.0.0.1:9000/v1", "http://10.0.0.2:9000/v1"]);
    assert!(lab.keys.is_empty() && lab.allow_private);
    assert_eq!((lab.headers[0].0.as_str(), lab.headers[0].1.expose()), ("x-team", "blue-team-0123456789"));
    let [one, two] = lab.models.as_slice() else { panic!("two models: {:?}", lab.models) };
    assert_eq!((one.id.as_str(), one.upstream.as_str(), one.context), ("lab/one", "lab/one", None));
    let million = Usage { input: 1_000_000, output: 1_000_000, ..Usage::default() };
    let costs = |model: &ModelConf| model.price.as_ref().map(|price| price.cost(&million).total);
    assert_eq!(costs(one), Some(Nano(3_000_000_000)), "the provider's price");
    assert_eq!(costs(two), Some(Nano(2_000_000_000)), "its own");
    assert_eq!(
        (two.upstream.as_str(), two.name.as_deref(), two.context, two.max_output),
        ("two-v1", Some("Two"), Some(32768), Some(1024))
    );
    assert_eq!((two.input.as_deref(), &two.output), (Some(&[MediaKind::Image][..]), &None));
    assert_eq!((two.params.as_deref(), two.quantization.as_deref()), (Some(&["tools".to_owned()][..]), Some("fp8")));

    let expected = SimConf {
        dialect: Dialect::OpenAiChat,
        ttft: Some(Duration::from_millis(50)),
        tokens_per_second: Some(100.0),
        fault: Some(("status:503".into(), 0.3)),
    };
    assert_eq!(sim.kind, ProviderKind::Simulated(expected));
    assert_eq!(costs(&sim.models[0]), None, "an unknown price is not a free one");
    let house = HouseConf {
        name: "house/fast".into(),
        endpoints: ["lab/one", "sim/echo", "openai/known"].map(str::to_owned).to_vec(),
        load_balancer: Some("round-robin".into()),
        patience: Patience {
            connect: Some(Duration::from_millis(500)),
            first_content: Some(Duration::from_secs(5)),
            idle: Some(Duration::from_secs(20)),
            total: Some(Duration::from_secs(60)),
        },
        hedge: Some(Hedge { after: After::Percentile(0.9), share: 10_000, unasked: true }),
        continues: true,
    };
    assert_eq!(c.houses, [house]);
    // The narrower wins, each for what it names.
    let there = c.timeouts.with(lab.patience);
    assert_eq!([there.connect, there.first_content, there.idle].map(|t| t.as_secs()), [1, 120, 90]);
    let here = there.with(c.houses[0].patience);
    assert_eq!([here.first_content, here.idle, here.total, here.keepalive].map(|t| t.as_secs()), [5, 20, 60, 10]);
}

#[test]
fn hedging_is_off_unless_it_is_asked_for_and_has_figures_of_its_own() {
    let rows = [
        ("", None),
        ("hedge = false", None),
        ("hedge = true", Some(Hedge { after: After::Percentile(0.95), share: 20_000, unasked: true })),
        ("hedge = {}", Some(Hedge { after: After::Percentile(0.95), share: 20_000, unasked: true })),
        ("hedge = { unasked = false }", Some(Hedge { after: After::Percentile(0.95), share: 20_000, unasked: false })),
        (
            "hedge = { after = \"2s\", max_share = 0.05 }",
            Some(Hedge { after: After::Fixed(Duration::from_secs(2)), share: 50_000, unasked: true }),
        ),
    ];
    for (text, want) in rows {
        let file = format!("[models.\"house/a\"]\nendpoints = [\"openai/known\"]\n{text}\n");
        assert_eq!(good("gw.toml", &file).checked.houses[0].hedge, want, "{text}");
    }
}

#[test]
fn yaml_and_toml_say_the_same() {
    assert_eq!(good("gw.yaml", FULL_YAML).checked, good("gw.toml", FULL).checked);
    let json = r#"{"providers": {"lab": {"dialect": "gemini", "base_url": "http://a/", "models": ["lab/x"]}}}"#;
    assert_eq!(good("gw.json", json).checked.providers[0].dialect, Some(Dialect::Gemini));
}

#[test]
fn nothing_at_all_is_a_configuration() {
    let nothing = load_with(None, &[]).expect("defaults").checked;
    for (name, text) in
        [("a.toml", ""), ("a.yaml", ""), ("a.yml", "# only a comment\n"), ("a.yaml", "listen:\nproviders:\n")]
    {
        assert_eq!(good(name, text).checked, nothing, "{name}: {text:?}");
    }
    assert_eq!(nothing.listen.to_string(), "127.0.0.1:8484");
    assert!(nothing.providers.is_empty() && nothing.probe);
}

#[test]
fn yaml_anchors_and_merges_work() {
    let text = "
providers:
  a: &a { dialect: openai-chat, base_url: 'http://a/v1', models: [a/x] }
  b:
    <<: *a
    models: [b/x]
";
    let c = good("gw.yaml", text).checked;
    assert_eq!(c.providers[1].base_urls, ["http://a/v1"]);
    assert_eq!(c.providers[1].models[0].id, "b/x");
}

#[test]
fn variables_are_filled_in_where_they_stand() {
    let rows: &[(&str, &str)] = &[
        ("${LAB_KEY}", "lab-key-0123456789"),
        ("a-${NUMBER}-b", "a-7-b"),
        ("${UNSET:-stand-in}", "stand-in"),
        ("${EMPTY:-stand-in}", "stand-in"),
        ("${NUMBER:-stand-in}", "7"),
        ("$${NUMBER}", "${NUMBER}"),
        ("$NUMBER", "$NUMBER"),
        ("${file:/run/secrets/lab}", "file-key-0123456789"),
    ];
    for (text, want) in rows {
        let file = format!("[providers.openai]\nkey = \"{text}\"\n");
        let c = good("gw.toml", &file).checked;
        assert_eq!(c.providers[0].keys[0].0.expose(), *want, "{text}");
    }
    let empty = good("gw.toml", "[providers.openai]\nkey = \"${UNSET:-}\"\n").checked;
    assert!(empty.providers[0].keys.is_empty(), "nothing is no key");
    let number = good("gw.toml", "[limits]\nmax_concurrent = \"${NUMBER}\"\n").checked;
    assert_eq!(number.limits.max_concurrent, 7, "text is read as what is wanted");
}

#[test]
fn the_environment_lies_over_the_file() {
    let file = "
[providers.lab]
dialect = \"openai-chat\"
base_url = \"http://a/v1\"
key = \"${NOT_SET_BUT_OVERRULED}\"
models = [\"lab/one\", \"lab/two\"]
[models.\"house/fast\"]
endpoints = [\"lab/one\"]
";
    let env = [
        ("SLIPSWITCH__LISTEN", "127.0.0.1:0"),
        ("slipswitch__limits__max_concurrent", "5"),
        ("SLIPSWITCH__PROVIDERS__LAB__KEY", "123456789"),
        ("SLIPSWITCH__PROVIDERS__LAB__MODELS__1__ID", "lab/three"),
        ("SLIPSWITCH__PROVIDERS__LAB__MODELS__1__CONTEXT", "10"),
        ("SLIPSWITCH__PROVIDERS__GOOGLE_AI_STUDIO__KEY", "${not-expanded}"),
        ("SLIPSWITCH__MODELS__HOUSE_FAST__ENDPOINTS", "[\"lab/three\"]"),
        ("SLIPSWITCH__MODELS__HOUSE_FAST__ENDPOINTS__1", "openai/known"),
        ("SLIPSWITCH_KEY", "not a twin"),
    ];
    let c = load_with(Some(("gw.toml", file)), &env).unwrap_or_else(|problems| panic!("{problems}")).checked;
    assert_eq!((c.listen.port(), c.limits.max_concurrent), (0, 5));
    let [google, lab] = c.providers.as_slice() else { panic!("two providers: {:?}", c.providers) };
    assert_eq!((google.slug.as_str(), google.keys[0].0.expose()), ("google-ai-studio", "${not-expanded}"));
    assert_eq!(lab.keys[0].0.expose(), "123456789", "a key of digits is a string");
    assert_eq!((lab.models[1].id.as_str(), lab.models[1].context), ("lab/three", Some(10)));
    assert_eq!(c.houses[0].endpoints, ["lab/three", "openai/known"]);
}

#[test]
fn a_flag_outranks_everything() {
    let env = [("SLIPSWITCH__LISTEN".to_owned(), "127.0.0.1:1".to_owned())];
    let facts = Facts { builtin: &[], knows: &|_| false, balancers: &[], modes: &[], mode: &|_| Ok(()) };
    let sources = Sources {
        file: Some(("gw.toml", "listen = \"127.0.0.1:2\"")),
        env: &env,
        read: &|_| None,
        data_dir: "./data",
        flags: &[(&["listen"], "127.0.0.1:3", "--listen"), (&["timeouts", "total"], "9s", "--timeout")],
    };
    let loaded = load(&sources, &facts).expect("good");
    assert_eq!(loaded.checked.listen.port(), 3);
    assert_eq!(loaded.checked.timeouts.total, Duration::from_secs(9));
    assert!(loaded.effective().starts_with("listen = \"127.0.0.1:3\"  # --listen\n"), "{}", loaded.effective());
}

#[test]
fn the_effective_configuration_says_where_each_value_came_from() {
    let file = "
[providers.lab]
dialect = \"openai-chat\"
base_url = \"http://a/v1\"
key = \"${LAB_KEY}\"
headers = { x-a = \"short\" }
models = [{ id = \"lab/one\", price = { input = \"1\", output = \"2\" } }]
[models.\"house/fast\"]
endpoints = [\"lab/one\"]
";
    let env = [("SLIPSWITCH__TIMEOUTS__IDLE", "9s"), ("SLIPSWITCH__PROVIDERS__OPENAI__KEY", "sk-proj-abcdefgh1234")];
    let loaded = load_with(Some(("gw.toml", file)), &env).unwrap_or_else(|problems| panic!("{problems}"));
    let shown = loaded.effective();
    assert_eq!(shown, EFFECTIVE);
    assert!(shown.parse::<toml::Table>().is_ok(), "it is TOML");
    assert!(!format!("{:?}", loaded.checked).contains("lab-key-0123456789"), "nor does debugging print a key");
}

const EFFECTIVE: &str = r#"listen = "127.0.0.1:8484"  # default
data_dir = "./data"  # default
probe = true  # default
drain_timeout = "120s"  # default
log = "info"  # default

[timeouts]
connect = "5s"  # default
first_content = "120s"  # default
idle = "9s"  # SLIPSWITCH__TIMEOUTS__IDLE
total = "600s"  # default
head_commit = "15s"  # default
keepalive = "10s"  # default

[limits]
body = "32MiB"  # default
max_concurrent = 4096  # default
lease = "60s"  # default

[queue.interactive]
length = 256  # default
wait = "10s"  # default

[queue.batch]
length = 2048  # default
wait = "5m"  # default
ages = "30s"  # default

[queue.background]
length = 2048  # default
wait = "10m"  # default
ages = "2m"  # default

[fetch]
allow_private = false  # default

[cache]
enabled = false  # default
allow = true  # default
ttl = "5m"  # default
scope = "key"  # default
tool_calls = false  # default
single_flight = true  # default
pace = "0s"  # default
memory = "256MiB"  # default
largest = "2MiB"  # default

[providers.lab]
dialect = "openai-chat"  # gw.toml:3
base_url = "http://a/v1"  # gw.toml:4
key = "lab…6789"  # gw.toml:5, from ${LAB_KEY}
models = [{ id = "lab/one", price = { input = "1", output = "2" } }]  # gw.toml:7

[providers.lab.headers]
x-a = "…"  # gw.toml:6

[providers.openai]
key = "sk-…1234"  # SLIPSWITCH__PROVIDERS__OPENAI__KEY

[models."house/fast"]
endpoints = ["lab/one"]  # gw.toml:9
"#;

#[test]
fn the_schema_describes_every_member() {
    let schema: serde_json::Value = serde_json::from_str(&schema()).expect("json");
    assert_eq!(schema["properties"]["listen"]["examples"][0], "127.0.0.1:8484");
    assert_eq!(schema["$defs"]["Provider"]["properties"]["dialect"]["enum"][0], "openai-chat");
    assert_eq!(schema["$defs"]["Provider"]["additionalProperties"], false);
    let undescribed: Vec<&str> = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, member)| member["description"].is_null())
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(undescribed, Vec::<&str>::new());
}

#[test]
fn no_cut_and_no_slip_makes_it_panic_or_show_a_key() {
    const SECRET: &str = "sk-proj-0123456789";
    for (name, text) in [("gw.toml", FULL), ("gw.yaml", FULL_YAML)] {
        let text = text.replace("${LAB_KEY}", SECRET).replace("blue-team-0123456789", SECRET);
        // Coprime to the structure of the text, so that every kind of place is met.
        for at in (0..text.len()).step_by(7) {
            let (head, tail) = text.split_at(at);
            let without = tail.get(1..).unwrap_or_default();
            for broken in [head.to_owned(), format!("{head}{without}"), format!("{head}\u{e9}{tail}")] {
                let said = load_with(Some((name, &broken)), &[]).err().map(|p| p.to_string()).unwrap_or_default();
                let shown = said.contains(&SECRET[..12]) || said.contains("roj-01234567");
                assert!(!shown, "{name} cut at {at}:\n{said}");
            }
        }
    }
}

#[test]
fn depth_and_size_are_bounded() {
    let deep = "[".repeat(100_000);
    let wide = "#".repeat(2 << 20);
    let bomb = format!(
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n{}",
        ('b'..='j')
            .map(|c| format!("{c}: &{c} [{}]\n", vec![format!("*{}", (c as u8 - 1) as char); 10].join(", ")))
            .collect::<String>()
    );
    for (name, text) in [
        ("a.toml", format!("a = {deep}")),
        ("a.yaml", deep.clone()),
        ("a.toml", wide.clone()),
        ("a.yaml", wide),
        ("a.yaml", bomb),
    ] {
        let problems = load_with(Some((name, &text)), &[]).expect_err("refused");
        assert!(!problems.list.is_empty(), "{name}");
    }
}
