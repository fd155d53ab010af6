//! What is refused, and in which words.

mod values;

use super::*;

/// A title, the file's name and text, variables, and everything that is said but the closing hint.
type Row = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

const ROWS: &[Row] = &[
    (
        "an envelope around a dialect that comes in another",
        "gw.toml",
        r#"[providers.lab]
dialect = "openai-chat"
envelope = "invoke-model"
base_url = "http://a/v1"
models = ["a/b"]
"#,
        &[],
        r#"error: gw.toml:3:12  providers.lab.envelope: another dialect comes in this envelope
  3 | envelope = "invoke-model"
                 ^^^^^^^^^^^^^^ add `dialect = "anthropic"`?"#,
    ),
    (
        "a misspelt member of a provider",
        "gw.toml",
        r#"[providers.lab]
dialct = "openai-chat"
base_url = "http://a/v1"
"#,
        &[],
        r#"error: gw.toml:2:1  providers.lab.dialct: unknown field
  2 | dialct = "openai-chat"
      ^^^^^^ did you mean `dialect`?"#,
    ),
    (
        "the same in yaml",
        "gw.yaml",
        "providers:\n  lab:\n    dialct: openai-chat\n    base_url: http://a/v1\n",
        &[],
        "error: gw.yaml:3:5  providers.lab.dialct: unknown field\n  3 |     dialct: openai-chat\n          ^^^^^^ did you mean `dialect`?",
    ),
    (
        "the same in json",
        "gw.json",
        r#"{
  "providers": { "lab": { "dialct": "openai-chat", "base_url": "http://a/v1" } }
}
"#,
        &[],
        r#"error: gw.json:2:27  providers.lab.dialct: unknown field
  2 |   "providers": { "lab": { "dialct": "openai-chat", "base_url": "http://a/v1" } }
                                ^^^^^^^^ did you mean `dialect`?"#,
    ),
    (
        "an unknown section",
        "gw.toml",
        "[budgets.team]\nlimit = 5\n",
        &[],
        "error: gw.toml:1:2  budgets: unknown field\n  1 | [budgets.team]\n       ^^^^^^^ known: cache, data_dir, database_url, decision_log, drain_timeout, durability, fetch, limits, listen, log, master_key_file, models, pepper_file, probe, providers, queue, timeouts",
    ),
    (
        "a misspelt section",
        "gw.yaml",
        "timeout:\n  idle: 5s\n",
        &[],
        "error: gw.yaml:1:1  timeout: unknown field\n  1 | timeout:\n      ^^^^^^^ did you mean `timeouts`?",
    ),
    (
        "a member far from any other name",
        "gw.toml",
        r#"[timeouts]
zzz = "1s"
"#,
        &[],
        r#"error: gw.toml:2:1  timeouts.zzz: unknown field
  2 | zzz = "1s"
      ^^^ known: connect, first_content, head_commit, idle, keepalive, total"#,
    ),
    (
        "a well-known name for the key hides its value",
        "gw.toml",
        r#"[providers.openai]
api_key = "sk-proj-1234567890"
"#,
        &[],
        "error: gw.toml:2:1  providers.openai.api_key: unknown field\n  2 | api_key = ********************\n      ^^^^^^^ did you mean `key`?",
    ),
    (
        "a slip of the pen in the key hides its value",
        "gw.yaml",
        "providers:\n  openai: { kye: sk-proj-1234567890 }\n",
        &[],
        "error: gw.yaml:2:13  providers.openai.kye: unknown field\n  2 |   openai: { kye: ****************** }\n                  ^^^ did you mean `key`?",
    ),
    (
        "a number for an address",
        "gw.toml",
        "listen = 8484\n",
        &[],
        r#"error: gw.toml:1:10  listen: expected a string, not a whole number: 8484
  1 | listen = 8484
               ^^^^ such as "127.0.0.1:8484""#,
    ),
    (
        "a bad address",
        "gw.yaml",
        "listen: localhost:8484\n",
        &[],
        r#"error: gw.yaml:1:9  listen: not an address and port such as 127.0.0.1:8484: "localhost:8484"
  1 | listen: localhost:8484
              ^^^^^^^^^^^^^^"#,
    ),
    (
        "a number for a duration",
        "gw.yaml",
        "timeouts:\n  idle: 5\n",
        &[],
        r#"error: gw.yaml:2:9  timeouts.idle: expected a string, not a whole number: 5
  2 |   idle: 5
              ^ such as "60s""#,
    ),
    (
        "a bad duration",
        "gw.toml",
        r#"[timeouts]
idle = "5 parsecs"
"#,
        &[],
        r#"error: gw.toml:2:8  timeouts.idle: not a duration such as 500ms, 5s or 2m: "5 parsecs"
  2 | idle = "5 parsecs"
             ^^^^^^^^^^^"#,
    ),
    (
        "no time to wait",
        "gw.toml",
        r#"[timeouts]
connect = "0s"
"#,
        &[],
        r#"error: gw.toml:2:11  timeouts.connect: a time to wait is longer than nothing: "0s"
  2 | connect = "0s"
                ^^^^"#,
    ),
    (
        "a bad size",
        "gw.toml",
        r#"[limits]
body = "32 potatoes"
"#,
        &[],
        r#"error: gw.toml:2:8  limits.body: not a size such as 32MiB, 64KiB or 1000B: "32 potatoes"
  2 | body = "32 potatoes"
             ^^^^^^^^^^^^^"#,
    ),
    (
        "a number out of range",
        "gw.toml",
        "[limits]\nmax_concurrent = 0\n",
        &[],
        "error: gw.toml:2:18  limits.max_concurrent: must be between 1 and 1000000: 0\n  2 | max_concurrent = 0\n                       ^",
    ),
    (
        "a string for a number",
        "gw.yaml",
        "limits: { max_concurrent: many }\n",
        &[],
        r#"error: gw.yaml:1:27  limits.max_concurrent: expected a whole number, not a string: "many"
  1 | limits: { max_concurrent: many }
                                ^^^^"#,
    ),
    (
        "a string for a flag",
        "gw.toml",
        r#"probe = "yes"
"#,
        &[],
        r#"error: gw.toml:1:9  probe: expected true or false, not a string: "yes"
  1 | probe = "yes"
              ^^^^^"#,
    ),
    (
        "yaml's other booleans are strings",
        "gw.yaml",
        "probe: yes\n",
        &[],
        r#"error: gw.yaml:1:8  probe: expected true or false, not a string: "yes"
  1 | probe: yes
             ^^^"#,
    ),
    (
        "a list for a table",
        "gw.toml",
        "providers = []\n",
        &[],
        "error: gw.toml:1:13  providers: expected a table, not a list\n  1 | providers = []\n                  ^^",
    ),
    (
        "a string for a provider",
        "gw.yaml",
        "providers:\n  openai: sk-proj-1234567890\n",
        &[],
        "error: gw.yaml:2:11  providers.openai: expected a table, not a string\n  2 |   openai: ******************\n                ^^^^^^^^^^^^^^^^^^",
    ),
    (
        "a word outside a closed list",
        "gw.toml",
        r#"log = "verbos"
"#,
        &[],
        r#"error: gw.toml:1:7  log: unknown value: "verbos"
  1 | log = "verbos"
            ^^^^^^^^ known: off, error, warn, info, debug, trace"#,
    ),
    (
        "a misspelt dialect",
        "gw.toml",
        r#"[providers.lab]
dialect = "openai_chat"
base_url = "http://a/v1"
"#,
        &[],
        r#"error: gw.toml:2:11  providers.lab.dialect: unknown value: "openai_chat"
  2 | dialect = "openai_chat"
                ^^^^^^^^^^^^^ did you mean `openai-chat`?"#,
    ),
    (
        "a dialect nobody knows",
        "gw.yaml",
        r#"providers:
  lab: { dialect: soap, base_url: "http://a" }
"#,
        &[],
        r#"error: gw.yaml:2:19  providers.lab.dialect: unknown value: "soap"
  2 |   lab: { dialect: soap, base_url: "http://a" }
                        ^^^^ known: {dialects}"#,
    ),
    (
        "a misspelt built-in provider",
        "gw.toml",
        r#"[providers.opnai]
key = "${LAB_KEY}"
"#,
        &[],
        "error: gw.toml:1:12  providers.opnai: not a built-in provider, so it needs `dialect` and `base_url`: opnai\n  1 | [providers.opnai]\n                 ^^^^^ did you mean `openai`?",
    ),
    (
        "a declared provider without a URL",
        "gw.yaml",
        "providers:\n  lab:\n    dialect: gemini\n",
        &[],
        "error: gw.yaml:2:3  providers.lab: not a built-in provider, so it needs `base_url`: lab\n  2 |   lab:\n        ^^^",
    ),
    (
        "a bad name of a provider",
        "gw.toml",
        r#"[providers."My Lab"]
dialect = "gemini"
base_url = "http://a"
"#,
        &[],
        r#"error: gw.toml:1:12  providers."My Lab": a provider is named in lower-case letters, digits, dots and dashes
  1 | [providers."My Lab"]
                 ^^^^^^^^"#,
    ),
    (
        "a URL without a scheme",
        "gw.toml",
        r#"[providers.lab]
dialect = "gemini"
base_url = "localhost:9000"
"#,
        &[],
        r#"error: gw.toml:3:12  providers.lab.base_url: a base URL begins with http:// or https://: "localhost:9000"
  3 | base_url = "localhost:9000"
                 ^^^^^^^^^^^^^^^^"#,
    ),
    (
        "a credential in a URL",
        "gw.toml",
        r#"[providers.openai]
base_url = "https://me:secret@a.b/v1"
"#,
        &[],
        "error: gw.toml:2:12  providers.openai.base_url: a credential does not belong in a URL; use `key`\n  2 | base_url = **************************\n                 ^^^^^^^^^^^^^^^^^^^^^^^^^^",
    ),
    (
        "two ways to say one thing",
        "gw.toml",
        r#"[providers.openai]
base_url = "http://a"
base_urls = ["http://b", "http://b"]
key = "k"
keys = [{ weight = 2 }]
"#,
        &[],
        r#"error: gw.toml:3:13  providers.openai.base_urls: give `base_url` or `base_urls`, not both
  3 | base_urls = ["http://b", "http://b"]
                  ^^^^^^^^^^^^^^^^^^^^^^^^
error: gw.toml:3:26  providers.openai.base_urls[1]: named twice: http://b
  3 | base_urls = ["http://b", "http://b"]
                               ^^^^^^^^^^
error: gw.toml:5:8  providers.openai.keys: give `key` or `keys`, not both
  5 | keys = [{ weight = 2 }]
             ^^^^^^^^^^^^^^^^
error: gw.toml:5:9  providers.openai.keys[0]: an entry of `keys` needs its `key`
  5 | keys = [{ weight = 2 }]
              ^^^^^^^^^^^^^^"#,
    ),
    (
        "a key with a space",
        "gw.toml",
        r#"[providers.openai]
key = "two words"
"#,
        &[],
        "error: gw.toml:2:7  providers.openai.key: a key has only visible ASCII characters, and no spaces\n  2 | key = ***********\n            ^^^^^^^^^^^",
    ),
    (
        "a key that is a number",
        "gw.yaml",
        "providers:\n  openai:\n    key: 1234567890\n",
        &[],
        "error: gw.yaml:3:10  providers.openai.key: expected a string, not a whole number\n  3 |     key: **********\n               ^^^^^^^^^^ write it in quotes",
    ),
    (
        "a bad header",
        "gw.yaml",
        r#"providers:
  openai:
    headers: { "x y": a, Host: b, x-c: "\u00e9\n" }
"#,
        &[],
        r#"error: gw.yaml:3:16  providers.openai.headers."x y": not the name of a header
  3 |     headers: { "x y": *, Host: *, x-c: ********** }
                     ^^^^^
error: gw.yaml:3:26  providers.openai.headers.Host: this header is set by the connection itself
  3 |     headers: { "x y": *, Host: *, x-c: ********** }
                               ^^^^
error: gw.yaml:3:40  providers.openai.headers.x-c: a header's value is visible ASCII on one line
  3 |     headers: { "x y": *, Host: *, x-c: ********** }
                                             ^^^^^^^^^^"#,
    ),
];

#[test]
fn every_problem_is_told_with_its_place_and_what_was_meant() {
    for (title, name, text, env, want) in ROWS.iter().chain(values::ROWS) {
        let said = load_with(Some((name, text)), env).err().map(|problems| problems.to_string()).unwrap_or_default();
        let hint = format!(
            "hint: slipswitch config check {name}     schema: slipswitch config schema > slipswitch.schema.json"
        );
        let said = said.strip_suffix(&hint).unwrap_or("the hint is missing");
        let want = want.replace("{dialects}", &crate::config::checked::dialects().join(", "));
        assert_eq!(said.trim_end(), want, "{title}:\n{said}");
        assert!(!said.contains("sk-proj"), "a secret is shown");
    }
}
