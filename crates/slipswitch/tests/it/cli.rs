//! The command line: what a newcomer types, what a script relies on.

use crate::harness::{Gateway, KEY, binary, run, scratch};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A command that stays up. Dropping it kills it.
struct Up {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Up {
    fn start(args: &[&str], env: &[(&str, &str)]) -> Up {
        let mut command = binary();
        command.args(args).envs(env.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        Up { child, out }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("a line");
        line
    }

    fn json(&mut self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?} {}", self.errors()))
    }

    /// Ask it to stop; its exit code and the rest of what it said.
    fn stop(mut self, signal: &str) -> (Option<i32>, String, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().is_ok_and(|s| s.success()));
        let mut out = String::new();
        let _ = self.out.read_to_string(&mut out);
        let errors = self.errors();
        (self.child.wait().ok().and_then(|s| s.code()), out, errors)
    }

    fn errors(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = stderr.read_to_string(&mut text);
        }
        text
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every file below, read.
fn everything(dir: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { all.extend(everything(&path)) } else { all.extend(std::fs::read(&path).unwrap_or_default()) }
    }
    all
}

fn holds(bytes: &[u8], words: &str) -> bool {
    bytes.windows(words.len()).any(|w| w == words.as_bytes())
}

#[test]
fn the_demo_for_scripts_says_where_it_is_in_one_line() {
    let mut demo =
        Up::start(&["demo", "--json", "--no-tour", "--listen", "127.0.0.1:0", "--key", "sk-my-demo-key"], &[]);
    let said = demo.json();
    assert_eq!((&said["key"], &said["data_dir"]), (&json!("sk-my-demo-key"), &Value::Null));
    let slugs: Vec<&str> =
        said["providers"].as_array().expect("providers").iter().filter_map(|p| p["slug"].as_str()).collect();
    assert_eq!(slugs, ["flaky", "swift", "thrift", "vision"]);
    let (code, _, _) = demo.stop("INT");
    assert_eq!(code, Some(0));
}

#[test]
fn the_line_the_demo_prints_works_as_it_is_pasted() {
    let mut demo = Up::start(&["demo", "--no-tour", "--listen", "127.0.0.1:0"], &[]);
    let mut paste = String::new();
    loop {
        let line = demo.line();
        assert!(!line.is_empty(), "it ended: {}", demo.errors());
        let trimmed = line.trim();
        if trimmed.starts_with("export ") || trimmed.starts_with("curl -N") || trimmed.starts_with("-d ") {
            paste.push_str(&line);
        }
        if trimmed.starts_with("-d ") {
            break;
        }
    }
    if Command::new("curl").arg("--version").output().is_err() {
        println!("skipped: there is no curl here");
        return;
    }
    let done = Command::new("sh").args(["-c", &paste]).output().expect("a shell");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(said.contains("\"content\":\"echo:\"") && said.ends_with("data: [DONE]\n\n"), "{paste}\n{said}");
}

#[test]
fn the_tour_shows_five_steps_measured_by_this_run() {
    let mut demo = Up::start(&["demo", "--listen", "127.0.0.1:0"], &[]);
    let mut said = String::new();
    while !said.contains("Ctrl-C stops") {
        let line = demo.line();
        assert!(!line.is_empty(), "it ended: {said} {}", demo.errors());
        said.push_str(&line);
    }
    for step in 1..=5 {
        assert_eq!(said.lines().filter(|l| l.starts_with(&format!("{step}/5 "))).count(), 1, "{said}");
    }
    let line = |begin: &str| said.lines().find(|l| l.starts_with(begin)).unwrap_or_default();
    assert!(line("1/5").contains("→ swift") && line("1/5").contains(" 200 "), "{said}");
    assert!(line("2/5").contains("→ thrift"), "{said}");
    assert!(
        line("3/5").contains("flaky 503") && line("3/5").contains("→ swift") && line("3/5").contains("2 attempts"),
        "{said}"
    );
    assert!(line("4/5").contains("finish_reason=error"), "{said}");
    assert!(line("5/5").contains("same answer"), "{said}");
    let (code, _, errors) = demo.stop("INT");
    assert_eq!((code, errors.contains("panicked")), (Some(0), false), "{errors}");
}

#[test]
fn the_tour_can_be_interrupted() {
    let mut demo = Up::start(&["demo", "--listen", "127.0.0.1:0"], &[]);
    while !demo.line().starts_with("1/5") {}
    let (code, _, errors) = demo.stop("INT");
    assert_eq!((code, errors.as_str()), (Some(0), ""));
}

#[test]
fn serve_needs_nothing_and_says_what_it_found() {
    let dir = scratch();
    let home = dir.to_str().expect("UTF-8");
    let mut gateway = Up::start(&["serve", "--json", "--listen", "127.0.0.1:0"], &[("HOME", home)]);
    let said = gateway.json();
    assert_eq!(said["data_dir"], format!("{home}/.local/share/slipswitch"));
    let (code, _, errors) = gateway.stop("TERM");
    assert_eq!(code, Some(0), "{errors}");
    for words in [
        "config: none, defaults",
        "127.0.0.1:11434 ollama",
        "not listening",
        "No provider yet",
        "slipswitch demo",
        "Ready in ",
    ] {
        assert!(errors.contains(words), "{words:?} in {errors}");
    }
    let _ = std::fs::remove_dir_all(&dir);
}

#[test]
fn keys_in_the_environment_switch_providers_on_and_never_reach_the_disk() {
    const SECRET: &str = "sk-openai-secret-from-env";
    let dir = scratch();
    let data = dir.join("data");
    let args =
        ["serve", "--json", "--no-probe", "--listen", "127.0.0.1:0", "--data-dir", data.to_str().expect("UTF-8")];
    let env = [("OPENAI_API_KEY", SECRET), ("GEMINI_API_KEY", "another-secret-from-env"), ("XAI_API_KEY", "")];
    let mut gateway = Up::start(&args, &env);
    let said = gateway.json();
    let api = said["api"].as_str().expect("an address").to_owned();
    let list = Command::new("curl").args(["-s", &format!("{api}/providers")]).output();
    let (code, _, errors) = gateway.stop("TERM");
    assert_eq!(code, Some(0), "{errors}");
    for words in ["OPENAI_API_KEY", "GEMINI_API_KEY", "google-ai-studio", "environment; never written to disk"] {
        assert!(errors.contains(words), "{words:?} in {errors}");
    }
    assert!(!errors.contains("xai") && !errors.contains(SECRET), "{errors}");
    if let Ok(list) = list {
        let list: Value = serde_json::from_slice(&list.stdout).expect("JSON");
        let names: Vec<&str> =
            list["data"].as_array().expect("data").iter().filter_map(|p| p["name"].as_str()).collect();
        assert_eq!(names, ["Google AI Studio", "OpenAI"]);
    }
    let written = everything(&dir);
    assert!(!written.is_empty() && !holds(&written, SECRET) && !holds(&written, "another-secret"));
    let _ = std::fs::remove_dir_all(&dir);
}

#[test]
fn the_first_keys_are_made_once_kept_privately_and_stored_as_hashes() {
    let dir = scratch();
    let data = dir.join("data");
    let args =
        ["serve", "--json", "--no-probe", "--listen", "127.0.0.1:0", "--data-dir", data.to_str().expect("UTF-8")];
    let start = || {
        let mut gateway = Up::start(&args, &[]);
        let said = gateway.json();
        let (code, _, errors) = gateway.stop("TERM");
        assert_eq!(code, Some(0), "{errors}");
        (said, errors)
    };
    let (first, errors) = start();
    let (key, management) = (first["key"].as_str().expect("a key"), first["management_key"].as_str().expect("a key"));
    assert!(key.len() > 30 && management.len() > 30 && key != management);
    assert!(!errors.contains(key), "not into a log: {errors}");
    let file = data.join("first-keys");
    let mode = |path: &Path| std::fs::metadata(path).map(|m| m.permissions().mode() & 0o777).ok();
    assert_eq!(mode(&file), Some(0o600));
    assert_eq!(mode(&data), Some(0o700));
    let (second, _) = start();
    assert_eq!(
        (&second["key"], &second["management_key"]),
        (&first["key"], &first["management_key"]),
        "kept, not made again"
    );
    std::fs::remove_file(&file).expect("it was there");
    let (third, _) = start();
    assert_eq!(
        (&third["key"], &third["management_key"]),
        (&Value::Null, &Value::Null),
        "once taken away it is nowhere"
    );
    assert!(!file.exists() && !holds(&everything(&data), key), "only its hash is kept");
    let _ = std::fs::remove_dir_all(&dir);
}

#[test]
fn a_fixed_key_is_the_only_key() {
    let gateway = Gateway::start("probe = false\n");
    assert!(!gateway.dir.join("data/first-keys").exists());
    assert!(!holds(&everything(&gateway.dir.join("data")), KEY));
    let short = run(
        &["serve", "--no-probe", "--listen", "127.0.0.1:0", "--data-dir", "/nonexistent"],
        &[("SLIPSWITCH_KEY", "x")],
    );
    assert_ne!(short.code, Some(0));
}

#[test]
fn a_key_given_by_the_environment_ends_the_one_before() {
    let dir = scratch();
    let data = dir.join("data");
    let args =
        ["serve", "--json", "--no-probe", "--listen", "127.0.0.1:0", "--data-dir", data.to_str().expect("UTF-8")];
    let mut made = String::new();
    // Per start: the key given (none: one is made), then keys and the status each gets.
    type Row<'a> = (Option<&'a str>, &'a [(&'a str, &'a str)]);
    let rows: &[Row<'_>] = &[
        (None, &[("made", "200")]),
        (Some("given-key-one"), &[("given-key-one", "200"), ("made", "401")]),
        (Some("given-key-two"), &[("given-key-two", "200"), ("given-key-one", "401"), ("made", "401")]),
        (None, &[("given-key-two", "200"), ("given-key-one", "401"), ("made", "401")]),
    ];
    for (n, (given, tried)) in rows.iter().enumerate() {
        let env: Vec<(&str, &str)> = given.iter().map(|key| ("SLIPSWITCH_KEY", *key)).collect();
        let mut gateway = Up::start(&args, &env);
        let said = gateway.json();
        if n == 0 {
            made = said["key"].as_str().expect("a key").to_owned();
        }
        for (key, want) in *tried {
            let bearer = format!("Authorization: Bearer {}", if *key == "made" { &made } else { *key });
            let url = format!("{}/key", said["api"].as_str().expect("an address"));
            let status = Command::new("curl")
                .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", &bearer, &url])
                .output();
            assert_eq!(String::from_utf8_lossy(&status.expect("curl runs").stdout), *want, "start {n}: {key}");
        }
        let (code, _, errors) = gateway.stop("TERM");
        assert_eq!(code, Some(0), "{errors}");
        let written = everything(&data);
        assert!(!holds(&written, "given-key"), "start {n}: a given key is nobody's to write down");
        assert_eq!(holds(&written, &made), n == 0, "start {n}: and the one it replaced is not kept");
    }
    let same = [("SLIPSWITCH_KEY", "one-key-for-all"), ("SLIPSWITCH_MANAGEMENT_KEY", "one-key-for-all")];
    let said = run(&args, &same);
    assert_eq!(said.code, Some(78), "{}", said.err);
    let _ = std::fs::remove_dir_all(&dir);
}

#[test]
fn a_configuration_with_mistakes_is_told_with_its_places_and_exits_78() {
    let dir = scratch();
    let file = dir.join("gw.yaml");
    std::fs::write(&file, "timeouts:\n  idle: 5s\n  tottal: 600s\n").expect("a file");
    let name = file.to_str().expect("UTF-8");
    let want = format!(
        "error: {name}:3:3  timeouts.tottal: unknown field\n  3 |   tottal: 600s\n        ^^^^^^ did you mean `total`?\n"
    );
    for args in [vec!["serve", "-c", name], vec!["config", "check", name], vec!["models", "-c", name]] {
        let said = run(&args, &[]);
        assert_eq!((said.code, said.out.as_str()), (Some(78), ""), "{args:?}: {}", said.err);
        assert!(said.err.starts_with(&want), "{args:?}: {}", said.err);
        assert!(
            said.err.contains("hint: slipswitch config check ") && said.err.ends_with("exit 78\n"),
            "{args:?}: {}",
            said.err
        );
    }
    let missing = run(&["serve", "-c", "/nonexistent/gw.toml"], &[]);
    assert_eq!(missing.code, Some(78), "{}", missing.err);
    let _ = std::fs::remove_dir_all(&dir);
}

#[test]
fn what_is_taken_exits_69_and_what_is_mistyped_2() {
    let gateway = Gateway::start("probe = false\n");
    let dir = scratch();
    let (taken, data) = (gateway.address.to_string(), dir.join("data"));
    let port = run(&["serve", "--no-probe", "--listen", &taken, "--data-dir", data.to_str().expect("UTF-8")], &[]);
    assert_eq!(port.code, Some(69), "{}", port.err);
    assert!(
        port.err.contains(&format!("error: cannot listen on {taken}")) && port.err.contains("hint: "),
        "{}",
        port.err
    );
    let demo = run(&["demo", "--no-tour", "--listen", &taken], &[]);
    assert_eq!(demo.code, Some(69), "{}", demo.err);
    let used = gateway.dir.join("data");
    let lock =
        run(&["serve", "--no-probe", "--listen", "127.0.0.1:0", "--data-dir", used.to_str().expect("UTF-8")], &[]);
    assert_eq!(lock.code, Some(69), "{}", lock.err);
    assert!(lock.err.contains(&format!("in use by process {}", gateway.pid())), "{}", lock.err);
    for args in [&["serve", "--lissten"][..], &["dance"], &[], &["serve", "--listen", "nowhere"]] {
        assert_eq!(run(args, &[]).code, Some(2), "{args:?}");
    }
    let version = run(&["--version"], &[]);
    assert_eq!((version.code, version.out), (Some(0), format!("slipswitch {}\n", env!("CARGO_PKG_VERSION"))));
    let _ = std::fs::remove_dir_all(&dir);
}

#[test]
fn the_configuration_can_be_checked_described_and_shown() {
    let dir = scratch();
    let file = dir.join("gw.toml");
    let text = "[providers.lab]\ndialect = \"openai-chat\"\nbase_url = \"http://127.0.0.1:9/v1\"\nkey = \"${LAB_KEY}\"\nmodels = [\"lab/one\"]\n";
    std::fs::write(&file, text).expect("a file");
    let name = file.to_str().expect("UTF-8");
    let key = ("LAB_KEY", "lab-secret-0123456789");
    let check = run(&["config", "check", name], &[key]);
    assert_eq!((check.code, check.out.contains("fine. 1 providers")), (Some(0), true), "{}{}", check.out, check.err);
    let unset = run(&["config", "check", name], &[]);
    assert_eq!((unset.code, unset.err.contains("LAB_KEY")), (Some(78), true), "{}", unset.err);
    let schema = run(&["config", "schema"], &[]);
    let schema: Value = serde_json::from_str(&schema.out).expect("JSON");
    assert!(schema["properties"]["providers"].is_object() && schema["properties"]["timeouts"].is_object());
    assert_eq!(run(&["config", "show", "-c", name], &[key]).out, text);
    let twins = [
        key,
        ("SLIPSWITCH__TIMEOUTS__IDLE", "9s"),
        ("SLIPSWITCH__LIMITS__MAX_CONCURRENT", "7"),
        ("SLIPSWITCH__PROVIDERS__LAB__TITLE", "The Lab"),
        ("SLIPSWITCH__PROVIDERS__OPENAI__KEY", "openai-secret-0123456789"),
    ];
    let shown = run(&["config", "show", "--effective", "-c", name], &twins);
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    for line in [
        "idle = \"9s\"  # SLIPSWITCH__TIMEOUTS__IDLE",
        "max_concurrent = 7  # SLIPSWITCH__LIMITS__MAX_CONCURRENT",
        "title = \"The Lab\"  # SLIPSWITCH__PROVIDERS__LAB__TITLE",
        "total = \"600s\"  # default",
        "[providers.openai]",
    ] {
        assert!(shown.out.lines().any(|l| l == line), "{line:?} in {}", shown.out);
    }
    assert!(!shown.out.contains("secret"), "{}", shown.out);
    let bad = run(&["config", "check", name], &[key, ("SLIPSWITCH__TIMEOUTS__IDEL", "9s")]);
    assert_eq!((bad.code, bad.err.contains("SLIPSWITCH__TIMEOUTS__IDEL")), (Some(78), true), "{}", bad.err);
    let _ = std::fs::remove_dir_all(&dir);
}

#[test]
fn providers_answer_to_the_other_names_people_know_them_by() {
    let dir = scratch();
    let file = dir.join("gw.toml");
    std::fs::write(&file, "[providers.gemini]\nkey = \"k-0123456789\"\n[providers.moonshot]\nkey = \"k-0123456789\"\n")
        .expect("a file");
    let name = file.to_str().expect("UTF-8");
    let said = run(&["models", "gemini-2.5-flash", "-c", name, "--json"], &[]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let models: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(
        (&models[0]["usable"], &models[0]["endpoints"][0]["provider"]),
        (&json!(true), &json!("google-ai-studio"))
    );
    let twice = "[providers.gemini]\nkey = \"k-0123456789\"\n[providers.google-ai-studio]\nkey = \"k-0123456789\"\n";
    std::fs::write(&file, twice).expect("a file");
    let said = run(&["config", "check", name], &[]);
    assert_eq!(said.code, Some(78), "{}", said.err);
    assert!(said.err.contains("providers.google-ai-studio: the same provider as: gemini"), "{}", said.err);
    let _ = std::fs::remove_dir_all(&dir);
}

#[test]
fn models_are_listed_for_people_and_for_scripts() {
    let people = run(&["models", "claude-sonnet-4.5"], &[("ANTHROPIC_API_KEY", "x")]);
    assert_eq!(people.code, Some(0), "{}", people.err);
    let line = people.out.lines().find(|l| l.starts_with("anthropic/claude-sonnet-4.5 ")).expect("a line");
    assert!(line.contains("anthropic") && line.contains('3') && line.contains("15"), "{line}");
    let scripts = run(&["models", "--json"], &[("ANTHROPIC_API_KEY", "x")]);
    let all: Value = serde_json::from_str(&scripts.out).expect("JSON");
    let all = all.as_array().expect("a list");
    let usable = |m: &&Value| m["usable"] == true;
    assert!(all.len() > 100 && all.iter().any(|m| usable(&m)) && !all.iter().all(|m| usable(&m)), "{}", all.len());
    let would = all.iter().find(|m| !usable(m)).map(|m| m["would_be_served_by"].as_array().map_or(0, Vec::len));
    assert!(would.is_some_and(|n| n > 0));
    let none = run(&["models", "no-such-model"], &[]);
    assert_eq!((none.code, none.err.contains("no model matches: no-such-model")), (Some(3), true), "{}", none.err);
}

#[tokio::test]
async fn every_member_of_the_configuration_has_its_twin_in_the_environment() {
    let config = "[providers.lab]\nkind = \"simulated\"\ndialect = \"openai-chat\"\nmodels = [\"lab/one\"]\n";
    let env = [("SLIPSWITCH__PROVIDERS__LAB__FAULT__MODE", "status:503"), ("SLIPSWITCH__LIMITS__BODY", "200B")];
    let gateway = Gateway::try_start(config, &env).expect("it starts");
    let body = json!({ "model": "lab/one", "messages": [{ "role": "user", "content": "hi" }] });
    assert_eq!(gateway.chat(&body).await.status, 503);
    let long = json!({ "model": "lab/one", "messages": [{ "role": "user", "content": "x".repeat(300) }] });
    assert_eq!(gateway.chat(&long).await.status, 413);
    let refused = Gateway::try_start(config, &[("SLIPSWITCH__PROVIDERS__LAB__DIALECT", "morse")]);
    assert!(refused.err().is_some_and(|said| said.contains("SLIPSWITCH__PROVIDERS__LAB__DIALECT")));
}
