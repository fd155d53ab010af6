//! What is refused, and in which words.

use super::*;

/// A title, the file's name and text, variables, and everything that is said but the closing hint.
type Row = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

const ROWS: &[Row] = &[
    (
        "a misspelt member of a provider",
        "gw.toml",
        r#"[providers.lab]
dialct = "openai-chat"
base_url = "http://a/v1"
"#,
        &[],
        "",
    ),
    (
        "the same in yaml",
        "gw.yaml",
        "providers:\n  lab:\n    dialct: openai-chat\n    base_url: http://a/v1\n",
        &[],
        "",
    ),
    (
        "the same in json",
        "gw.json",
        r#"{
  "providers": { "lab": { "dialct": "openai-chat", "base_url": "http://a/v1" } }
}
"#,
        &[],
        "",
    ),
    (
        "an unknown section",
        "gw.toml",
        "[budgets.team]\nlimit = 5\n",
        &[],
        "",
    ),
    (
        "a misspelt section",
        "gw.yaml",
        "timeout:\n  idle: 5s\n",
        &[],
        "",
    ),
    (
        "a member far from any other name",
        "gw.toml",
        r#"[timeouts]
zzz = "1s"
"#,
        &[],
        "",
    ),
    (
        "a well-known name for the key hides its value",
        "gw.toml",
        r#"[providers.openai]
api_key = "sk-proj-1234567890"
"#,
        &[],
        "",
    ),
    (
        "a slip of the pen in the key hides its value",
        "gw.yaml",
        "providers:\n  openai: { kye: sk-proj-1234567890 }\n",
        &[],
        "",
    ),
    (
        "a number for an address",
        "gw.toml",
        "listen = 8484\n",
        &[],
        "",
    ),
    (
        "a bad address",
        "gw.yaml",
        "listen: localhost:8484\n",
        &[],
        "",
    ),
    (
        "a number for a duration",
        "gw.yaml",
        "timeouts:\n  idle: 5\n",
        &[],
        "",
    ),
    (
        "a bad duration",
        "gw.toml",
        r#"[timeouts]
idle = "5 parsecs"
"#,
        &[],
        "",
    ),
    (
        "no time to wait",
        "gw.toml",
        r#"[timeouts]
connect = "0s"
"#,
        &[],
        "",
    ),
    (
        "a bad size",
        "gw.toml",
        r#"[limits]
body = "32 potatoes"
"#,
        &[],
        "",
    ),
    (
        "a number out of range",
        "gw.toml",
        "[limits]\nmax_concurrent = 0\n",
        &[],
        "",
    ),
    (
        "a string for a number",
        "gw.yaml",
        "limits: { max_concurrent: many }\n",
        &[],
        "",
    ),
    (
        "a string for a flag",
        "gw.toml",
        r#"probe = "yes"
"#,
        &[],
        "",
    ),
    (
        "yaml's other booleans are strings",
        "gw.yaml",
        "probe: yes\n",
        &[],
        "",
    ),
    (
        "a list for a table",
        "gw.toml",
        "providers = []\n",
        &[],
        "",
    ),
    (
        "a string for a provider",
        "gw.yaml",
        "providers:\n  openai: sk-proj-1234567890\n",
        &[],
        "",
    ),
    (
        "a word outside a closed list",
        "gw.toml",
        r#"log = "verbos"
"#,
        &[],
        "",
    ),
    (
        "a misspelt dialect",
        "gw.toml",
        r#"[providers.lab]
dialect = "openai_chat"
base_url = "http://a/v1"
"#,
        &[],
        "",
    ),
    (
        "a dialect nobody knows",
        "gw.yaml",
        r#"providers:
  lab: { dialect: soap, base_url: "http://a" }
"#,
        &[],
        "",
    ),
    (
        "a misspelt built-in provider",
        "gw.toml",
        r#"[providers.opnai]
key = "${LAB_KEY}"
"#,
        &[],
        "",
    ),
    (
        "a declared provider without a URL",
        "gw.yaml",
        "providers:\n  lab:\n    dialect: gemini\n",
        &[],
        "",
    ),
    (
        "a bad name of a provider",
        "gw.toml",
        r#"[providers."My Lab"]
dialect = "gemini"
base_url = "http://a"
"#,
        &[],
        "",
    ),
    (
        "a URL without a scheme",
        "gw.toml",
        r#"[providers.lab]
dialect = "gemini"
base_url = "localhost:9000"
"#,
        &[],
        "",
    ),
    (
        "a credential in a URL",
        "gw.toml",
        r#"[providers.openai]
base_url = "https://me:secret@a.b/v1"
"#,
        &[],
        "",
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
        "",
    ),
    (
        "a key with a space",
        "gw.toml",
        r#"[providers.openai]
key = "two words"
"#,
        &[],
        "",
    ),
    (
        "a key that is a number",
        "gw.yaml",
        "providers:\n  openai:\n    key: 1234567890\n",
        &[],
        "",
    ),
    (
        "a bad header",
        "gw.yaml",
        r#"providers:
  openai:
    headers: { "x y": a, Host: b, x-c: "\u00e9\n" }
"#,
        &[],
        "",
    ),
    (
        "an unset variable",
        "gw.toml",
        r#"[providers.openai]
key = "${OPENAI_API_KEY}"
"#,
        &[],
        "",
    ),
    (
        "an unset variable in a list",
        "gw.yaml",
        r#"models:
  house/a:
    endpoints: ["${UNSET}", "openai/known"]
"#,
        &[],
        "",
    ),
    (
        "an unreadable file",
        "gw.toml",
        r#"[providers.openai]
key = "${file:/nowhere}"
"#,
        &[],
        "",
    ),
    (
        "a variable that does not end",
        "gw.toml",
        r#"data_dir = "${HOME"
"#,
        &[],
        "",
    ),
    (
        "a variable with a bad name",
        "gw.toml",
        r#"data_dir = "${MY-HOME}"
"#,
        &[],
        "",
    ),
    (
        "a price as a number",
        "gw.toml",
        r#"[providers.openai]
models = [{ id = "openai/x", price = { input = 0.5, output = "1" } }]
"#,
        &[],
        "",
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
        "",
    ),
    (
        "half a price",
        "gw.toml",
        r#"[providers.openai]
models = [{ id = "openai/x", price = { input = "0.5" } }]
"#,
        &[],
        "",
    ),
    (
        "a model twice, and one without a name",
        "gw.toml",
        r#"[providers.openai]
models = ["openai/x", 5, "openai/x", { context = 5 }, "a b"]
"#,
        &[],
        "",
    ),
    (
        "a modality nobody knows",
        "gw.toml",
        r#"[providers.openai]
models = [{ id = "openai/x", input = ["text", "smell"] }]
"#,
        &[],
        "",
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
        "",
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
        "",
    ),
    (
        "a simulated provider with little",
        "gw.yaml",
        "providers:\n  sim:\n    kind: simulated\n",
        &[],
        "",
    ),
    (
        "a real provider with a simulated one's members",
        "gw.toml",
        r#"[providers.openai]
ttft = "50ms"
"#,
        &[],
        "",
    ),
    (
        "a kind nobody knows",
        "gw.toml",
        r#"[providers.sim]
kind = "simulatd"
"#,
        &[],
        "",
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
        "",
    ),
    (
        "a name over a name",
        "gw.yaml",
        "models:\n  house/a: { endpoints: [openai/known] }\n  house/b: { endpoints: [house/a] }\n",
        &[],
        "",
    ),
    (
        "no endpoints",
        "gw.toml",
        r#"[models."house/fast"]
load_balancer = "round-robin"
"#,
        &[],
        "",
    ),
    (
        "a misspelt balancer",
        "gw.toml",
        r#"[models."house/fast"]
endpoints = ["openai/known"]
load_balancer = "round-robbin"
"#,
        &[],
        "",
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
        "",
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
        "",
    ),
    (
        "toml that does not parse",
        "gw.toml",
        r#"listen = "127.0.0.1:8484"
[providers.openai]
key = "sk-proj-1234567890
probe = = true
"#,
        &[],
        "",
    ),
    (
        "toml with a member twice",
        "gw.toml",
        "probe = true\nprobe = false\n",
        &[],
        "",
    ),
    (
        "yaml that does not parse",
        "gw.yaml",
        r#"providers:
  openai:
    key: "sk-proj-1234567890
"#,
        &[],
        "",
    ),
    (
        "yaml with a member twice",
        "gw.yaml",
        "probe: true\nprobe: false\n",
        &[],
        "",
    ),
    (
        "yaml that is not a table",
        "gw.yaml",
        "- a\n- b\n",
        &[],
        "",
    ),
    (
        "a suffix nobody knows",
        "gw.ini",
        "listen=1\n",
        &[],
        "",
    ),
    (
        "a long line is shown around the place",
        "gw.toml",
        r#"[providers.openai]
models = ["openai/model-number-00", "openai/model-number-01", "openai/model-number-02", "openai/model-number-03", "openai/model-number-04", "openai/model-number-05", "openai/model-number-06", "openai/model-number-07", 5]
"#,
        &[],
        "",
    ),
    (
        "characters are counted, not bytes",
        "gw.toml",
        r#"[providers.openai]
"tïtlé" = "ö"
"#,
        &[],
        "",
    ),
    (
        "a misspelt variable",
        "gw.toml",
        "",
        &[("SLIPSWITCH__LISTNE", "x")],
        "",
    ),
    (
        "a bad value in a variable",
        "gw.toml",
        "",
        &[("SLIPSWITCH__LIMITS__MAX_CONCURRENT", "many"), ("SLIPSWITCH__PROVIDERS__OPENAI__KEYS__0__WEIGHT", "-1"), ("SLIPSWITCH__PROVIDERS__OPENAI__KEYS__0__KEY", "k"), ("SLIPSWITCH____A", "b")],
        "",
    ),
];

#[test]
fn dump() {
    for (_, name, text, env, _) in ROWS {
        let said = load_with(Some((name, text)), env).err().map(|problems| problems.to_string()).unwrap_or("GOOD".into());
        println!("\u{1}{}", said.rsplit_once("hint:").map_or(said.as_str(), |(a, _)| a).trim_end());
    }
    println!("\u{1}");
}
#[test]
fn eff() {
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
    println!("\u{2}{}\u{2}", load_with(Some(("gw.toml", file)), &env).unwrap_or_else(|e| panic!("{e}")).effective());
}
