//! What is refused of values: variables that are not set, files that cannot be read, words and numbers that mean nothing.

use super::Row;

pub const ROWS: &[Row] = &[
    (
        "a hedge after no time, and too often",
        "gw.toml",
        r#"[models."house/a"]
endpoints = ["openai/known"]
hedge = { after = "p94", max_share = 0.5 }
"#,
        &[],
        r#"error: gw.toml:3:19  models."house/a".hedge.after: neither one of p50, p75, p90, p95, p99 nor a duration such as 500ms or 5s: "p94"
  3 | hedge = { after = "p94", max_share = 0.5 }
                        ^^^^^
error: gw.toml:3:38  models."house/a".hedge.max_share: must be between 0.001 and 0.05: 0.5
  3 | hedge = { after = "p94", max_share = 0.5 }
                                           ^^^"#,
    ),
    (
        "a time to wait of nothing, for one provider",
        "gw.toml",
        r#"[providers.openai]
key = "none"
timeouts = { idle = "0s" }
"#,
        &[],
        r#"error: gw.toml:3:21  providers.openai.timeouts.idle: a time to wait is longer than nothing: "0s"
  3 | timeouts = { idle = "0s" }
                          ^^^^"#,
    ),
    (
        "an unset variable",
        "gw.toml",
        r#"[providers.openai]
key = "${OPENAI_API_KEY}"
"#,
        &[],
        r#"error: gw.toml:2:7  providers.openai.key: the environment variable is not set: OPENAI_API_KEY
  2 | key = "${OPENAI_API_KEY}"
            ^^^^^^^^^^^^^^^^^^^ set it, or write ${OPENAI_API_KEY:-default}"#,
    ),
    (
        "an unset variable in a list",
        "gw.yaml",
        r#"models:
  house/a:
    endpoints: ["${UNSET}", "openai/known"]
"#,
        &[],
        r#"error: gw.yaml:3:17  models."house/a".endpoints[0]: the environment variable is not set: UNSET
  3 |     endpoints: ["${UNSET}", "openai/known"]
                      ^^^^^^^^^^ set it, or write ${UNSET:-default}"#,
    ),
    (
        "an unreadable file",
        "gw.toml",
        r#"[providers.openai]
key = "${file:/nowhere}"
"#,
        &[],
        r#"error: gw.toml:2:7  providers.openai.key: cannot read the file: /nowhere
  2 | key = "${file:/nowhere}"
            ^^^^^^^^^^^^^^^^^^"#,
    ),
    (
        "a variable that does not end",
        "gw.toml",
        r#"data_dir = "${HOME"
"#,
        &[],
        r#"error: gw.toml:1:12  data_dir: `${` without its `}`
  1 | data_dir = "${HOME"
                 ^^^^^^^^"#,
    ),
    (
        "a variable with a bad name",
        "gw.toml",
        r#"data_dir = "${MY-HOME}"
"#,
        &[],
        r#"error: gw.toml:1:12  data_dir: not the name of a variable: MY-HOME
  1 | data_dir = "${MY-HOME}"
                 ^^^^^^^^^^^^"#,
    ),
    (
        "a price as a number",
        "gw.toml",
        r#"[providers.openai]
models = [{ id = "openai/x", price = { input = 0.5, output = "1" } }]
"#,
        &[],
        r#"error: gw.toml:2:48  providers.openai.models[0].price.input: expected a string, not a number: 0.5
  2 | models = [{ id = "openai/x", price = { input = 0.5, output = "1" } }]
                                                     ^^^ such as "0.5""#,
    ),
    (
        "a price that is none",
        "gw.yaml",
        r#"providers:
  openai:
    models:
      - id: openai/x
        price: { input: "0,5", output: "1" }
"#,
        &[],
        r#"error: gw.yaml:5:25  providers.openai.models[0].price.input: not a price in USD such as "0.5": "0,5"
  5 |         price: { input: "0,5", output: "1" }
                              ^^^^^"#,
    ),
    (
        "half a price",
        "gw.toml",
        r#"[providers.openai]
models = [{ id = "openai/x", price = { input = "0.5" } }]
"#,
        &[],
        r#"error: gw.toml:2:30  providers.openai.models[0].price: a price needs `output`; write "0" for nothing
  2 | models = [{ id = "openai/x", price = { input = "0.5" } }]
                                   ^^^^^"#,
    ),
    (
        "a model twice, and one without a name",
        "gw.toml",
        r#"[providers.openai]
models = ["openai/x", 5, "openai/x", { context = 5 }, "a b"]
"#,
        &[],
        r#"error: gw.toml:2:23  providers.openai.models[1]: expected a string or a table, not a whole number: 5
  2 | models = ["openai/x", 5, "openai/x", { context = 5 }, "a b"]
                            ^
error: gw.toml:2:26  providers.openai.models[2]: named twice: openai/x
  2 | models = ["openai/x", 5, "openai/x", { context = 5 }, "a b"]
                               ^^^^^^^^^^
error: gw.toml:2:38  providers.openai.models[3]: a model needs its `id`
  2 | models = ["openai/x", 5, "openai/x", { context = 5 }, "a b"]
                                           ^^^^^^^^^^^^^^^
error: gw.toml:2:55  providers.openai.models[4]: not the name of a model: "a b"
  2 | models = ["openai/x", 5, "openai/x", { context = 5 }, "a b"]
                                                            ^^^^^"#,
    ),
    (
        "a modality nobody knows",
        "gw.toml",
        r#"[providers.openai]
models = [{ id = "openai/x", input = ["text", "smell"] }]
"#,
        &[],
        r#"error: gw.toml:2:47  providers.openai.models[0].input[1]: unknown value: "smell"
  2 | models = [{ id = "openai/x", input = ["text", "smell"] }]
                                                    ^^^^^^^ known: text, image, audio, video, file, embeddings, rerank, moderation, speech, transcription"#,
    ),
    (
        "a misspelt fault",
        "gw.toml",
        r#"[providers.sim]
kind = "simulated"
dialect = "gemini"
models = ["sim/a"]
fault = { mode = "stats:503", rate = 2 }
"#,
        &[],
        r#"error: gw.toml:5:18  providers.sim.fault.mode: unknown fault mode: "stats:503"
  5 | fault = { mode = "stats:503", rate = 2 }
                       ^^^^^^^^^^^ did you mean `status`?
error: gw.toml:5:38  providers.sim.fault.rate: must be between 0 and 1: 2
  5 | fault = { mode = "stats:503", rate = 2 }
                                           ^"#,
    ),
    (
        "a fault written wrong",
        "gw.toml",
        r#"[providers.sim]
kind = "simulated"
dialect = "gemini"
models = ["sim/a"]
fault = { mode = "status:teapot" }
"#,
        &[],
        r#"error: gw.toml:5:18  providers.sim.fault.mode: not a mode: status:teapot
  5 | fault = { mode = "status:teapot" }
                       ^^^^^^^^^^^^^^^"#,
    ),
    (
        "a simulated provider with little",
        "gw.yaml",
        "providers:\n  sim:\n    kind: simulated\n",
        &[],
        "error: gw.yaml:2:3  providers.sim: a simulated provider needs `dialect` and `models`\n  2 |   sim:\n        ^^^",
    ),
    (
        "a real provider with a simulated one's members",
        "gw.toml",
        r#"[providers.openai]
ttft = "50ms"
"#,
        &[],
        r#"error: gw.toml:2:8  providers.openai.ttft: only for a simulated provider
  2 | ttft = "50ms"
             ^^^^^^ add `kind = "simulated"`?"#,
    ),
    (
        "a kind nobody knows",
        "gw.toml",
        r#"[providers.sim]
kind = "simulatd"
"#,
        &[],
        r#"error: gw.toml:2:8  providers.sim.kind: unknown value: "simulatd"
  2 | kind = "simulatd"
             ^^^^^^^^^^ did you mean `simulated`?"#,
    ),
    (
        "an endpoint nobody declares",
        "gw.toml",
        r#"[providers.openai]
models = ["openai/one"]
[models."house/fast"]
endpoints = ["openai/ome", "openai/known"]
"#,
        &[],
        r#"error: gw.toml:4:14  models."house/fast".endpoints[0]: no provider declares this model, and the catalogue has none: openai/ome
  4 | endpoints = ["openai/ome", "openai/known"]
                   ^^^^^^^^^^^^ did you mean `openai/one`?"#,
    ),
    (
        "a name over a name",
        "gw.yaml",
        "models:\n  house/a: { endpoints: [openai/known] }\n  house/b: { endpoints: [house/a] }\n",
        &[],
        r#"error: gw.yaml:3:26  models."house/b".endpoints[0]: no provider declares this model, and the catalogue has none: house/a
  3 |   house/b: { endpoints: [house/a] }
                               ^^^^^^^ a name under [models] cannot stand for another"#,
    ),
    (
        "no endpoints",
        "gw.toml",
        r#"[models."house/fast"]
load_balancer = "round-robin"
"#,
        &[],
        r#"error: gw.toml:1:9  models."house/fast": at least one of `endpoints` is needed
  1 | [models."house/fast"]
              ^^^^^^^^^^^^"#,
    ),
    (
        "a misspelt balancer",
        "gw.toml",
        r#"[models."house/fast"]
endpoints = ["openai/known"]
load_balancer = "round-robbin"
"#,
        &[],
        r#"error: gw.toml:3:17  models."house/fast".load_balancer: unknown load balancer: "round-robbin"
  3 | load_balancer = "round-robbin"
                      ^^^^^^^^^^^^^^ did you mean `round-robin`?"#,
    ),
    (
        "what hangs on a refused list is not held against its author",
        "gw.toml",
        r#"[providers.openai]
modls = ["openai/x"]
[models."house/fast"]
endpoints = ["openai/x"]
"#,
        &[],
        r#"error: gw.toml:2:1  providers.openai.modls: unknown field
  2 | modls = ["openai/x"]
      ^^^^^ did you mean `models`?"#,
    ),
    (
        "all that is wrong is told at once",
        "gw.toml",
        r#"listen = 1
lisen = 2
[limits]
body = "x"
[providers.lab]
dialect = "x"
"#,
        &[],
        r#"error: gw.toml:1:10  listen: expected a string, not a whole number: 1
  1 | listen = 1
               ^ such as "127.0.0.1:8484"
error: gw.toml:2:1  lisen: unknown field
  2 | lisen = 2
      ^^^^^ did you mean `listen`?
error: gw.toml:4:8  limits.body: not a size such as 32MiB, 64KiB or 1000B: "x"
  4 | body = "x"
             ^^^
error: gw.toml:6:11  providers.lab.dialect: unknown value: "x"
  6 | dialect = "x"
                ^^^ known: {dialects}"#,
    ),
    (
        "toml that does not parse",
        "gw.toml",
        r#"listen = "127.0.0.1:8484"
[providers.openai]
key = "sk-proj-1234567890
plomb = = true
"#,
        &[],
        r#"error: gw.toml:3:26  invalid basic string, expected `"`
  3 | key =********************
                               ^
error: gw.toml:4:1  providers.openai.plomb: unknown field
  4 | plomb = = true
      ^^^^^
error: gw.toml:4:9  extra `=`, expected nothing
  4 | plomb = = true
              ^
error: gw.toml:4:11  unexpected key or value, expected newline, `#`
  4 | plomb = = true
                ^"#,
    ),
    (
        "toml with a member twice",
        "gw.toml",
        "probe = true\nprobe = false\n",
        &[],
        "error: gw.toml:2:1  duplicate key\n  2 | probe = false\n      ^^^^^",
    ),
    (
        "yaml that does not parse",
        "gw.yaml",
        r#"providers:
  openai:
    key: "sk-proj-1234567890
"#,
        &[],
        "error: gw.yaml:4:1  invalid indentation in multiline quoted scalar\n  4 | \n      ^",
    ),
    (
        "yaml with a member twice",
        "gw.yaml",
        "probe: true\nprobe: false\n",
        &[],
        "error: gw.yaml:2:1  duplicate mapping key: probe\n  2 | probe: false\n      ^^^^^",
    ),
    (
        "yaml that is not a table",
        "gw.yaml",
        "- a\n- b\n",
        &[],
        "error: gw.yaml:1:1  a configuration is a table of members\n  1 | - a\n      ^",
    ),
    (
        "a suffix nobody knows",
        "gw.ini",
        "listen=1\n",
        &[],
        "error: a configuration ends in .toml, .yaml, .yml or .json: gw.ini",
    ),
    (
        "a long line is shown around the place",
        "gw.toml",
        r#"[providers.openai]
models = ["openai/model-number-00", "openai/model-number-01", "openai/model-number-02", "openai/model-number-03", "openai/model-number-04", "openai/model-number-05", "openai/model-number-06", "openai/model-number-07", 5]
"#,
        &[],
        r#"error: gw.toml:2:219  providers.openai.models[8]: expected a string or a table, not a whole number: 5
  2 | r-05", "openai/model-number-06", "openai/model-number-07", 5]
                                                                 ^"#,
    ),
    (
        "characters are counted, not bytes",
        "gw.toml",
        r#"[providers.openai]
"tïtlé" = "ö"
"#,
        &[],
        r#"error: gw.toml:2:1  providers.openai."tïtlé": unknown field
  2 | "tïtlé" = "ö"
      ^^^^^^^"#,
    ),
    (
        "a misspelt variable",
        "gw.toml",
        "",
        &[("SLIPSWITCH__LISTNE", "x")],
        "error: SLIPSWITCH__LISTNE  listne: unknown field\n       did you mean `listen`?",
    ),
    (
        "a bad value in a variable",
        "gw.toml",
        "",
        &[
            ("SLIPSWITCH__LIMITS__MAX_CONCURRENT", "many"),
            ("SLIPSWITCH__PROVIDERS__OPENAI__KEYS__0__WEIGHT", "-1"),
            ("SLIPSWITCH__PROVIDERS__OPENAI__KEYS__0__KEY", "k"),
            ("SLIPSWITCH____A", "b"),
        ],
        r#"error: SLIPSWITCH____A  not the name of a configuration value
error: SLIPSWITCH__LIMITS__MAX_CONCURRENT  limits.max_concurrent: expected a whole number, not a string: "many"
error: SLIPSWITCH__PROVIDERS__OPENAI__KEYS__0__WEIGHT  providers.openai.keys[0].weight: must be between 1 and 10000: -1"#,
    ),
];
