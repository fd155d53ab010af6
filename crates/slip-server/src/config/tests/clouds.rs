//! What a cloud needs to be told, what it takes from the environment, and what is said when it lacks something.

use super::*;
use std::path::PathBuf;

/// A title, the configuration, variables, and the first line that is said with the note of the second.
type Row = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str, &'static str);

const BAD: &[Row] = &[
    (
        "a resource nobody named",
        "[providers.azure]\nkey = \"a-key\"\n",
        &[],
        "gw.toml:1:12  providers.azure: `resource` is needed",
        "or set AZURE_RESOURCE_NAME",
    ),
    (
        "no credential at all",
        "[providers.azure]\nresource = \"r\"\n",
        &[],
        "gw.toml:1:12  providers.azure: `key` is needed, or `entra` for a token",
        "",
    ),
    (
        "two credentials",
        "[providers.azure]\nresource = \"r\"\nkey = \"k\"\nentra = { managed_identity = true }\n",
        &[],
        "gw.toml:4:1  providers.azure.entra: a provider has one kind of credential: `entra` or a key",
        "",
    ),
    (
        "half an application",
        "[providers.azure]\nresource = \"r\"\n[providers.azure.entra]\ntenant = \"t\"\n",
        &[],
        "gw.toml:3:18  providers.azure.entra: needed: `client_id`, `client_secret`",
        "or `managed_identity = true` for the identity of the machine",
    ),
    (
        "a misspelt member of it",
        "[providers.azure]\nresource = \"r\"\n[providers.azure.entra]\ntennant = \"t\"\n",
        &[],
        "gw.toml:4:1  providers.azure.entra.tennant: unknown field",
        "did you mean `tenant`?",
    ),
    (
        "a region that is another host",
        "[providers.amazon-bedrock]\nregion = \"x.evil.example/\"\n",
        &[],
        "gw.toml:2:10  providers.amazon-bedrock.region: not a name for `region`: \"x.evil.example/\"",
        "",
    ),
    (
        "a blank of somebody else",
        "[providers.openai]\nkey = \"k\"\nresource = \"r\"\n",
        &[],
        "gw.toml:3:12  providers.openai.resource: this provider does not ask for it: openai",
        "",
    ),
    (
        "the same at a cloud",
        "[providers.azure]\nkey = \"k\"\nresource = \"r\"\nregion = \"r\"\n",
        &[],
        "gw.toml:4:10  providers.azure.region: this provider does not ask for it: azure",
        "it takes resource, endpoint, api_version",
    ),
    (
        "half a key pair",
        "[providers.amazon-bedrock]\nregion = \"us-east-1\"\naws = { access_key_id = \"A\" }\n",
        &[],
        "gw.toml:3:1  providers.amazon-bedrock.aws: `secret_access_key` is needed too",
        "",
    ),
    (
        "one deployment for nobody",
        "[providers.azure]\nresource = \"r\"\nkey = \"k\"\ndeployment = \"d\"\n",
        &[],
        "gw.toml:4:14  providers.azure.deployment: one deployment answers for one model: name it in `models`",
        "several are named in `deployments`",
    ),
    (
        "a file of credentials where none is read",
        "[providers.openai]\nkey = \"k\"\ncredentials_file = \"/f\"\n",
        &[],
        "gw.toml:3:20  providers.openai.credentials_file: this provider does not ask for it: openai",
        "",
    ),
];

#[test]
fn what_a_cloud_lacks_is_told_at_its_place() {
    let mut wrong = Vec::new();
    for (title, text, env, first, note) in BAD {
        let said = load_with(Some(("gw.toml", text)), env).expect_err(title).to_string();
        let noted = said.lines().any(|l| l.trim_start().starts_with('^') && l.ends_with(note));
        if said.lines().next() != Some(format!("error: {first}").as_str()) || !noted {
            wrong.push(format!("{title}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn one(text: &str, env: &[(&str, &str)]) -> ProviderConf {
    let loaded = load_with(Some(("gw.toml", text)), env).unwrap_or_else(|e| panic!("{text}: {e}"));
    loaded.checked.providers.into_iter().next().expect("a provider")
}

fn filled(conf: &ProviderConf) -> Vec<(&str, &str)> {
    conf.blanks.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn the_environment_completes_an_address_and_never_redirects_it() {
    let endpoint = ("AZURE_OPENAI_ENDPOINT", "https://other.openai.azure.com/");
    let written =
        one("[providers.azure]\nresource = \"r\"\nkey = \"k\"\n", &[endpoint, ("AZURE_API_VERSION", "2024-10-21")]);
    assert_eq!(filled(&written), [("api_version", "2024-10-21"), ("resource", "r")]);
    let unwritten = one("[providers.azure]\nkey = \"k\"\n", &[endpoint]);
    assert_eq!(filled(&unwritten), [("endpoint", "https://other.openai.azure.com")]);
    let pasted = one("[providers.azure]\nendpoint = \"https://r.openai.azure.com/openai/v1/\"\nkey = \"k\"\n", &[]);
    assert_eq!(filled(&pasted), [("endpoint", "https://r.openai.azure.com")]);
    let twin = one("[providers.azure]\nkey = \"k\"\n", &[("SLIPSWITCH__PROVIDERS__AZURE__RESOURCE", "twin")]);
    assert_eq!(filled(&twin), [("resource", "twin")]);
}

#[test]
fn a_cloud_without_a_key_has_the_credential_of_its_issuer() {
    let bedrock = one("[providers.amazon-bedrock]\n", &[("AWS_DEFAULT_REGION", "eu-west-1")]);
    let Some(Credential::Aws(aws)) = &bedrock.credential else { panic!("{bedrock:?}") };
    assert_eq!((aws.region.as_str(), aws.service.as_str()), ("eu-west-1", "bedrock"));
    assert_eq!(aws.keys, AwsKeys::Chain { profile: None });
    let keyed = one("[providers.amazon-bedrock]\nregion = \"us-east-1\"\nkey = \"${LAB_KEY}\"\n", &[]);
    assert_eq!((keyed.credential, keyed.keys.len()), (None, 1));
    let vertex = "[providers.google-vertex]\nproject = \"p\"\n";
    let google = |env: &[(&str, &str)]| match one(vertex, env).credential {
        Some(Credential::Google(google)) => google,
        other => panic!("{other:?}"),
    };
    let gcloud = PathBuf::from("/h/.config/gcloud/application_default_credentials.json");
    assert_eq!(google(&[("HOME", "/h")]).own, Some(gcloud));
    assert_eq!(google(&[("GOOGLE_APPLICATION_CREDENTIALS", "/f.json")]).file, Some(PathBuf::from("/f.json")));
    assert_eq!(google(&[]).metadata, "metadata.google.internal");
}

#[test]
fn deployments_are_all_that_a_resource_serves() {
    let text = "[providers.azure]\nresource = \"r\"\nkey = \"k\"\ndeployments = { \"openai/known\" = \"prod-4o\" }\n";
    let several = one(text, &[]);
    assert_eq!(
        several.models.iter().map(|m| (&*m.id, &*m.upstream)).collect::<Vec<_>>(),
        [("openai/known", "prod-4o")]
    );
    assert!(several.only_declared);
    let single = one("[providers.azure]\nresource = \"r\"\nkey = \"k\"\nmodels = [\"m\"]\ndeployment = \"d\"\n", &[]);
    assert_eq!(single.models[0].upstream, "d");
    assert!(!one("[providers.azure]\nresource = \"r\"\nkey = \"k\"\n", &[]).only_declared);
}

#[test]
fn secrets_of_clouds_are_masked_wherever_a_configuration_is_shown() {
    let text = "[providers.azure]\nresource = \"r\"\n[providers.azure.entra]\ntenant = \"t\"\nclient_id = \"i\"\n\
                client_secret = \"the-client-secret-0123456789\"\n[providers.amazon-bedrock]\nregion = \"us-east-1\"\n\
                [providers.amazon-bedrock.aws]\naccess_key_id = \"A\"\nsecret_access_key = \"the-aws-secret-0123456789\"\n\
                session_token = \"the-session-token-0123456789\"\n";
    let loaded = load_with(Some(("gw.toml", text)), &[]).unwrap_or_else(|e| panic!("{e}"));
    let shown = format!("{}{loaded:?}", loaded.effective());
    for secret in ["client-secret-0", "aws-secret-0", "session-token-0"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let broken = format!("{text}nonsense = 1\n");
    let said = load_with(Some(("gw.toml", &broken)), &[]).expect_err("a misspelling").to_string();
    assert!(!said.contains("0123456789"), "{said}");
}
