//! The list of providers, checked row by row; the catalogue's files have a test of their own below.

mod catalog;

use super::*;
use crate::provider::Spoken;
use slip_ir::Dialect;
use slip_wire::Envelope;
use std::collections::BTreeSet;

/// Files of `src/` that are not providers.
const NOT_PROVIDERS: &[&str] = &["lib.rs", "prelude.rs", "provider.rs", "tests.rs"];

#[test]
fn every_file_of_the_folder_is_in_the_list() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let source = std::fs::read_to_string(folder.join("lib.rs")).unwrap();
    for file in std::fs::read_dir(&folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".rs") || NOT_PROVIDERS.contains(&name.as_str()) {
            continue;
        }
        let module = name.trim_end_matches(".rs");
        let row = format!("&{module}::PROVIDER,");
        assert!(source.contains(&row), "src/{name} is nearly there: add `{row}` to ALL in src/lib.rs");
        let id = module.replace('_', "-");
        assert!(by_id(&id).is_some(), "src/{name} should have the id {id:?}, so that people find it");
    }
}

#[test]
fn every_file_says_what_it_is_and_where_the_docs_are() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for p in ALL {
        let text = std::fs::read_to_string(folder.join(format!("{}.rs", p.id.replace('-', "_")))).unwrap();
        let lines = text.lines().map_while(|l| l.strip_prefix("//!")).map(str::trim);
        let doc = lines.collect::<Vec<_>>().join(" ");
        assert!(
            !p.docs.is_empty() && doc.contains(&*p.docs),
            "the doc comment of {} should name its docs: {}",
            p.id,
            p.docs
        );
        assert!(doc.contains("as of 20"), "the doc comment of {} should date its facts", p.id);
    }
}

#[test]
fn every_provider_is_well_formed() {
    let mut ids = BTreeSet::new();
    let mut envs = BTreeSet::new();
    let mut ports = BTreeSet::new();
    for built_in in ALL {
        let mut p = (*built_in).clone();
        let id = &built_in.id;
        let example = |name: &str| Some(if name == "endpoint" { "https://host" } else { "a" }.to_owned());
        p.fill(&|name| example(name).filter(|_| name != "api_version"), false, false)
            .or_else(|_| p.fill(&example, false, false))
            .unwrap_or_else(|unfilled| panic!("{id}: nothing fills {}", unfilled.name));
        let slug = |t: &str| {
            !t.is_empty()
                && !t.starts_with('-')
                && !t.ends_with('-')
                && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        for name in [id].into_iter().chain(p.aliases.iter()) {
            assert!(slug(name), "not a slug: {name}");
            assert!(ids.insert(name.clone()), "two providers are called {name}");
        }
        assert!(!p.title.trim().is_empty(), "{id} needs a title");
        assert_eq!(check_base(&p.base), Ok(&*p.base), "{id}");
        let loopback = p.base.starts_with("http://127.0.0.1:");
        assert!(
            p.base.starts_with("https://") || loopback && p.local.is_some(),
            "{id} would send keys in the clear: {}",
            p.base
        );
        assert_eq!(
            p.auth == Auth::None,
            p.key_env.is_empty(),
            "{id}: a key needs an environment name, and the reverse"
        );
        for env in p.key_env.iter() {
            assert!(env.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'), "{id}: {env}");
            assert!(envs.insert(env.clone()), "two providers would take {env}");
            // People have these for other reasons.
            assert!(!["GITHUB_TOKEN", "AWS_ACCESS_KEY_ID"].contains(&&**env), "{id} must not take {env}");
        }
        if let Some(local) = &p.local {
            assert!(ports.insert(local.port), "two local providers are probed on port {}", local.port);
            assert!(p.base.contains(&format!(":{}", local.port)), "{id}: base and port differ");
            assert!(local.probe.starts_with('/'), "{id}: {}", local.probe);
        }
        for (name, value) in p.headers.iter().chain(p.families.iter().flat_map(|family| family.headers.iter())) {
            assert!(http::HeaderName::from_lowercase(name.as_bytes()).is_ok(), "{id}: {name}");
            assert!(http::HeaderValue::from_str(value).is_ok(), "{id}: {value}");
        }
        if let Auth::Header(name) = &p.auth {
            assert!(http::HeaderName::from_lowercase(name.as_bytes()).is_ok(), "{id}: {name}");
        }
        let families = p.families.iter().map(|family| &family.path);
        for path in [&p.path, &p.models_path].into_iter().chain(families).flatten() {
            // A list of models may stand beside the base.
            let path = &std::borrow::Cow::Borrowed(path.strip_prefix("..").unwrap_or(path));
            let path = Spoken { path: Some(path), ..p.spoken(p.dialect, "") }.path("m", true);
            assert!(p.url(None, &path).is_ok(), "{id}: {path}");
        }
        for link in [&p.links.privacy, &p.links.terms, &p.links.status].into_iter().flatten().chain([&p.docs]) {
            assert!(link.starts_with("https://"), "{id}: {link}");
        }
        for country in p.headquarters.iter().chain(p.datacenters.iter()) {
            assert!(country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase()), "{id}: {country}");
        }
        for (status, ..) in p.faults.iter() {
            assert!((400..600).contains(status), "{id}: {status}");
        }
        assert!(!p.policy.zdr || p.policy.retains == Some(false), "{id} keeps nothing and yet may keep something");
        assert!(!(p.quirks.router && p.dialect != slip_ir::Dialect::OpenAiChat), "{id}");
    }
}

#[test]
fn a_provider_is_found_by_its_id_alone() {
    for (id, title) in [("groq", Some("Groq")), ("openai", Some("OpenAI")), ("Groq", None), ("", None)] {
        assert_eq!(by_id(id).map(|p| &*p.title), title, "{id}");
    }
}

#[test]
fn callers_may_write_slug_alias_or_display_name() {
    let rows = [
        ("moonshotai", "moonshotai", true),
        ("moonshotai", "moonshot", true),
        ("moonshotai", "Moonshot AI", true),
        ("google-ai-studio", "google ai studio", true),
        ("groq", "xai", false),
        ("groq", "", false),
    ];
    for (id, name, expected) in rows {
        assert_eq!(by_id(id).unwrap().is_called(name), expected, "{id} {name}");
    }
    assert_eq!(by_id("zhipu").map(|p| &*p.id), Some("z-ai"));
}

#[test]
fn there_are_enough_of_them_to_choose_from() {
    let hosted = ALL.iter().filter(|p| p.local.is_none()).count();
    assert!(hosted >= 27, "{hosted}");
    let local: Vec<&str> = ALL.iter().filter(|p| p.local.is_some()).map(|p| &*p.id).collect();
    assert_eq!(local, ["llamacpp", "lmstudio", "ollama", "sglang", "vllm"]);
}

#[test]
fn urls_are_joined_below_the_base_and_never_climb_out_of_it() {
    let groq = &groq::PROVIDER;
    let rows: &[(Option<&str>, &str, Option<&str>)] = &[
        (None, "/chat/completions", Some("https://api.groq.com/openai/v1/chat/completions")),
        (Some("http://127.0.0.1:9000/v1/"), "/models", Some("http://127.0.0.1:9000/v1/models")),
        (Some("http://[::1]:9000"), "/models?limit=5", Some("http://[::1]:9000/models?limit=5")),
        (None, "chat/completions", None),
        (None, "/models/../admin", None),
        (None, "/models/%2e%2E/admin", None),
        (None, "/models/a b", None),
        (None, "/models/a\r\nx: y", None),
        (None, "/models/a#b", None),
        (Some("api.groq.com"), "/models", None),
        (Some("ftp://api.groq.com"), "/models", None),
        (Some("https://"), "/models", None),
        (Some("https:///v1"), "/models", None),
        (Some("https://a b"), "/models", None),
        (Some("https://host/v1/../x"), "/models", None),
        (Some("https://host/v1?key=k"), "/models", None),
        (Some("https://user:secret@host/v1"), "/models", None),
    ];
    for (base, path, expected) in rows {
        assert_eq!(groq.url(*base, path).ok().as_deref(), *expected, "{base:?} {path}");
    }
}

#[test]
fn a_refused_base_does_not_repeat_its_secret() {
    for base in ["https://user:secret@host/v1", "https://host/v1?key=secret", "https://host#secret"] {
        let told = check_base(base).unwrap_err().to_string();
        assert!(!told.contains("secret"), "{told}");
    }
}

#[test]
fn a_wrapped_provider_has_the_paths_and_the_credential_of_its_cloud() {
    let lab = Provider::declared("lab", slip_ir::Dialect::Anthropic, "https://h").wrapped(&Envelope::INVOKE_MODEL);
    assert_eq!(lab.chat_url(None, "a:1", true).unwrap(), "https://h/model/a%3A1/invoke-with-response-stream");
    assert_eq!(lab.credential("k"), Some(("authorization", "Bearer k".to_owned())));
    assert!(lab.headers.is_empty());
}

#[test]
fn a_declared_provider_has_the_manners_of_its_dialect() {
    let rows = [
        (slip_ir::Dialect::OpenAiChat, "authorization", "Bearer k", 0),
        (slip_ir::Dialect::Anthropic, "x-api-key", "k", 1),
        (slip_ir::Dialect::Gemini, "x-goog-api-key", "k", 0),
    ];
    for (dialect, name, value, headers) in rows {
        let lab = Provider::declared("lab", dialect, "http://127.0.0.1:9000/v1");
        assert_eq!(lab.credential("k"), Some((name, value.to_owned())));
        assert_eq!(lab.headers.len(), headers, "{dialect}");
        assert_eq!(lab.url(None, "/x").as_deref(), Ok("http://127.0.0.1:9000/v1/x"));
    }
    assert_eq!(ollama::PROVIDER.credential("k"), Some(("authorization", "Bearer k".to_owned())));
}

#[test]
fn a_status_of_its_own_is_read_its_own_way() {
    use slip_ir::{FaultKind, Remedy};
    assert_eq!(groq::PROVIDER.fault(498), Some((FaultKind::Overloaded, Remedy::Elsewhere)));
    assert_eq!(groq::PROVIDER.fault(500), None);
}

#[test]
fn a_gap_is_filled_where_a_provider_fills_gaps_and_other_prompts_are_chats() {
    let rows = [
        (&mistral::PROVIDER, true, Dialect::Completions, Some("/fim/completions")),
        (&mistral::PROVIDER, false, Dialect::OpenAiChat, None),
        (&deepseek::PROVIDER, true, Dialect::Completions, Some("/beta/completions")),
        (&deepseek::PROVIDER, false, Dialect::OpenAiChat, None),
        (&vllm::PROVIDER, true, Dialect::Completions, None),
        (&vllm::PROVIDER, false, Dialect::Completions, None),
        (&openai::PROVIDER, true, Dialect::OpenAiChat, None),
        (&ollama::PROVIDER, false, Dialect::Completions, Some("/v1/completions")),
    ];
    for (provider, infill, dialect, path) in rows {
        let spoken = provider.spoken_for(Dialect::Completions, "m", infill);
        assert_eq!((spoken.dialect, spoken.path), (dialect, path), "{} {infill}", provider.id);
    }
}
