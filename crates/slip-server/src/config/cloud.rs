//! The rules for clouds: what fills the blanks of their addresses, and where credentials come from that are more than a key.

use super::Env;
use super::check::{Checker, is_model_name};
use super::checked::{Aws, AwsKeys, Credential, Entra, EntraWho, Google, ModelConf, Proof, ProviderKind, Secret};
use super::raw;
use super::tree::{Path, quoted};
use super::words;
use slip_providers::{Issuer, Provider};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where Microsoft gives out tokens, for the public cloud.
const AUTHORITY: &str = "https://login.microsoftonline.com";
/// Azure's metadata service. The address is the same on every machine, and reached by nobody else.
const AZURE_METADATA: &str = "http://169.254.169.254";
const GOOGLE_METADATA: &str = "metadata.google.internal";
const COGNITIVE: &str = "https://cognitiveservices.azure.com/.default";
/// Longer than any name of a resource, region or project.
const MAX_WORD: usize = 100;

/// What a cloud needs beside what every provider needs.
#[derive(Default)]
pub(super) struct Cloud {
    pub blanks: BTreeMap<String, String>,
    pub credential: Option<Credential>,
}

impl Checker<'_> {
    pub(super) fn cloud(
        &mut self,
        path: &Path,
        slug: &str,
        raw: &raw::Provider,
        kind: &ProviderKind,
        keyless: bool,
    ) -> Option<Cloud> {
        let known = match kind {
            ProviderKind::Builtin => slip_providers::by_id(slug),
            _ => None,
        };
        let before = self.problems();
        let blanks = self.blanks(path, slug, raw, known);
        if self.problems() > before {
            return None;
        }
        let elsewhere = raw.base_url.is_some() || raw.base_urls.is_some();
        if let Some(provider) = known
            && let Err(unfilled) = provider.clone().fill(&|name| blanks.get(name).cloned(), elsewhere, !keyless)
        {
            let hint = (!unfilled.env.is_empty()).then(|| format!("or set {}", unfilled.env.join(" or ")));
            self.missing(path, format!("`{}` is needed", unfilled.name), hint);
            return None;
        }
        let credential = self.credential(path, raw, known, &blanks, keyless)?;
        Some(Cloud { blanks, credential })
    }

    /// What is written, or else what the environment says. Not both halves of an address: a resource in the file is not overruled
    /// by an endpoint in the environment.
    fn blanks(
        &mut self,
        path: &Path,
        slug: &str,
        raw: &raw::Provider,
        known: Option<&Provider>,
    ) -> BTreeMap<String, String> {
        let members = [
            ("resource", &raw.resource),
            ("endpoint", &raw.endpoint),
            ("api_version", &raw.api_version),
            ("region", &raw.region),
            ("project", &raw.project),
            ("location", &raw.location),
        ];
        let mut blanks = BTreeMap::new();
        for (name, value) in members {
            let Some(value) = value else { continue };
            let at = path.key(name);
            let taken = known.is_some_and(|p| p.blank(name).is_some()) || name == "region" && raw.aws.is_some();
            if !taken {
                let asked: Vec<&str> = known.iter().flat_map(|p| p.blanks.iter()).map(|blank| &*blank.name).collect();
                let note = (!asked.is_empty()).then(|| format!("it takes {}", asked.join(", ")));
                self.bad(&at, format!("this provider does not ask for it: {slug}"), note);
            } else if let Some(value) = self.read(&at, Some(value), |text| word(name, text)) {
                blanks.insert(name.to_owned(), value);
            }
        }
        if raw.credentials_file.is_some() && known.and_then(|p| p.issuer.as_ref()) != Some(&Issuer::Google) {
            self.bad(&path.key("credentials_file"), format!("this provider does not ask for it: {slug}"), None);
        }
        if let Some(provider) = known {
            from_environment(provider, self.env, &mut blanks);
        }
        blanks
    }

    fn credential(
        &mut self,
        path: &Path,
        raw: &raw::Provider,
        known: Option<&Provider>,
        blanks: &BTreeMap<String, String>,
        keyless: bool,
    ) -> Option<Option<Credential>> {
        let issuer = known.and_then(|p| p.issuer.as_ref());
        let written = [
            ("aws", raw.aws.is_some()),
            ("entra", raw.entra.is_some()),
            ("credentials_file", raw.credentials_file.is_some()),
        ];
        let written: Vec<&str> = written.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
        if let Some(first) = written.first().filter(|_| !keyless || written.len() > 1) {
            let rest = if keyless { format!("`{}`", written[1..].join("`, `")) } else { "a key".to_owned() };
            self.bad(&path.key(first), format!("a provider has one kind of credential: `{first}` or {rest}"), None);
            return None;
        }
        if let Some(aws) = &raw.aws {
            return Some(Some(Credential::Aws(self.aws(path, aws, issuer, blanks)?)));
        }
        if let Some(entra) = &raw.entra {
            return Some(Some(Credential::Entra(self.entra(&path.key("entra"), entra, issuer)?)));
        }
        if !keyless {
            return Some(None);
        }
        Some(match issuer {
            Some(Issuer::Aws { .. }) if raw.key.is_none() => {
                Some(Credential::Aws(self.aws(path, &raw::Aws::default(), issuer, blanks)?))
            }
            Some(Issuer::Google) if raw.key.is_none() => {
                Some(Credential::Google(google_from(raw.credentials_file.as_deref(), self.env)))
            }
            Some(Issuer::Entra { .. }) if raw.key.is_none() && raw.keys.is_none() => {
                self.missing(path, "`key` is needed, or `entra` for a token", None);
                return None;
            }
            _ => None,
        })
    }

    fn aws(
        &mut self,
        path: &Path,
        raw: &raw::Aws,
        issuer: Option<&Issuer>,
        blanks: &BTreeMap<String, String>,
    ) -> Option<Aws> {
        let at = path.key("aws");
        let Some(region) = blanks.get("region").cloned() else {
            self.missing(path, "`region` is needed to sign requests", None);
            return None;
        };
        let own = match issuer {
            Some(Issuer::Aws { service }) => service.to_string(),
            _ => "bedrock".to_owned(),
        };
        let service = match &raw.service {
            Some(service) => self.read(&at.key("service"), Some(service), |text| word("service", text))?,
            None => own,
        };
        let keys = match (&raw.access_key_id, &raw.secret_access_key) {
            (Some(id), Some(secret)) => {
                if raw.profile.is_some() {
                    self.bad(&at.key("profile"), "give a profile or the keys themselves, not both", None);
                    return None;
                }
                let session = raw.session_token.as_ref().filter(|t| !t.is_empty()).map(Secret::new);
                AwsKeys::Fixed { id: id.clone(), secret: Secret::new(secret), session }
            }
            (None, None) if raw.session_token.is_none() => AwsKeys::Chain { profile: raw.profile.clone() },
            (id, _) => {
                let lacks = if id.is_none() { "access_key_id" } else { "secret_access_key" };
                self.missing(&at, format!("`{lacks}` is needed too"), None);
                return None;
            }
        };
        Some(Aws { region, service, keys })
    }

    fn entra(&mut self, at: &Path, raw: &raw::Entra, issuer: Option<&Issuer>) -> Option<Entra> {
        let machine = raw.managed_identity == Some(true);
        let authority = match &raw.authority {
            Some(url) => self.read(&at.key("authority"), Some(url), words::base_url)?,
            None => if machine { AZURE_METADATA } else { AUTHORITY }.to_owned(),
        };
        let scope = match (&raw.scope, issuer) {
            (Some(scope), _) => scope.clone(),
            (None, Some(Issuer::Entra { scope })) => scope.to_string(),
            (None, _) => COGNITIVE.to_owned(),
        };
        let named = |name: &str, value: &Option<String>| value.clone().filter(|v| !v.is_empty()).ok_or(name.to_owned());
        let who = if machine {
            let others = [
                ("tenant", raw.tenant.is_some()),
                ("client_secret", raw.client_secret.is_some()),
                ("federated_token_file", raw.federated_token_file.is_some()),
            ];
            for (name, given) in others {
                if given {
                    self.bad(&at.key(name), "a managed identity has none", None);
                    return None;
                }
            }
            EntraWho::Machine { id: raw.client_id.clone() }
        } else {
            let tenant = named("tenant", &raw.tenant);
            let id = named("client_id", &raw.client_id);
            let proof = match &raw.federated_token_file {
                Some(_) if raw.client_secret.is_some() => {
                    self.bad(&at.key("federated_token_file"), "give it or `client_secret`, not both", None);
                    return None;
                }
                Some(file) => Ok(Proof::File(PathBuf::from(file))),
                None => named("client_secret", &raw.client_secret).map(|secret| Proof::Secret(Secret::new(secret))),
            };
            match (tenant, id, proof) {
                (Ok(tenant), Ok(id), Ok(proof)) => {
                    let tenant = self.read(&at.key("tenant"), Some(&tenant), |text| word("tenant", text))?;
                    EntraWho::Application { tenant, id, proof }
                }
                (tenant, id, proof) => {
                    let lacks: Vec<String> =
                        [tenant.err(), id.err(), proof.err()].into_iter().flatten().map(|n| format!("`{n}`")).collect();
                    let hint = Some("or `managed_identity = true` for the identity of the machine".to_owned());
                    self.missing(at, format!("needed: {}", lacks.join(", ")), hint);
                    return None;
                }
            }
        };
        Some(Entra { authority, scope, who })
    }

    /// Whether only what is declared is served: a resource has the deployments its owner made.
    pub(super) fn deployments(
        &mut self,
        path: &Path,
        slug: &str,
        raw: &raw::Provider,
        models: &mut Vec<ModelConf>,
    ) -> bool {
        let resource = slip_providers::by_id(slug).is_some_and(|p| p.blank("resource").is_some());
        if !resource {
            for (name, given) in
                [("deployment", raw.deployment.is_some()), ("deployments", !raw.deployments.is_empty())]
            {
                if given {
                    let hint = Some("a model's own name at a server is its `upstream`".into());
                    self.bad(&path.key(name), format!("this provider does not ask for it: {slug}"), hint);
                }
            }
            return false;
        }
        for (id, deployment) in &raw.deployments {
            let at = path.key("deployments").key(id);
            if !is_model_name(id) {
                self.bad_name(&at, "not the name of a model");
            } else if !is_model_name(deployment) {
                self.bad(&at, format!("not the name of a deployment: {}", quoted(deployment)), None);
            } else if models.iter().any(|model| model.id == *id) {
                self.bad(&at, format!("named twice: {id}"), None);
            } else {
                models.push(ModelConf::named(id, deployment));
            }
        }
        if let Some(deployment) = &raw.deployment {
            let at = path.key("deployment");
            let alone = models.len() == 1;
            match models.first_mut().filter(|_| alone) {
                Some(model) => model.upstream.clone_from(deployment),
                None => self.bad(&at, "one deployment answers for one model: name it in `models`", {
                    Some("several are named in `deployments`".into())
                }),
            }
        }
        !models.is_empty()
    }
}

/// A part of an address: it must not lead to another host or path.
fn word(name: &str, text: &str) -> Result<String, String> {
    if name == "endpoint" {
        // People paste what their portal shows, which may go on to the API.
        let url = words::base_url(text)?;
        let bare = ["/openai/v1", "/openai", "/models"].iter().find_map(|path| url.strip_suffix(path));
        return Ok(bare.unwrap_or(&url).to_owned());
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    let fine = !text.is_empty() && text.len() <= MAX_WORD && text.bytes().all(plain) && text.trim_matches('.') == text;
    let host = matches!(name, "resource" | "region" | "location");
    let label = !host || text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if fine && label { Ok(text.to_owned()) } else { Err(format!("not a name for `{name}`: {text:?}")) }
}

/// The blanks that nobody filled, from the environment. An address that is half written is completed, never replaced.
fn from_environment(provider: &Provider, env: Env<'_>, blanks: &mut BTreeMap<String, String>) {
    let placed = blanks.contains_key("resource") || blanks.contains_key("endpoint");
    for blank in provider.blanks.iter() {
        let half = placed && matches!(&*blank.name, "resource" | "endpoint");
        if half || blanks.contains_key(&*blank.name) {
            continue;
        }
        let said = blank.env.iter().find_map(|name| env(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty()));
        if let Some(Ok(value)) = said.map(|text| word(&blank.name, &text)) {
            blanks.insert(blank.name.to_string(), value);
        }
    }
}

/// What the environment says of a provider nobody configured; the error is what it lacks.
pub fn surroundings(
    provider: &Provider,
    keyed: bool,
    env: Env<'_>,
) -> Result<BTreeMap<String, String>, slip_providers::Unfilled> {
    let mut blanks = BTreeMap::new();
    from_environment(provider, env, &mut blanks);
    provider.clone().fill(&|name| blanks.get(name).cloned(), false, keyed)?;
    Ok(blanks)
}

/// Google's application default credentials: which files, and which metadata service.
pub fn google_from(file: Option<&str>, env: Env<'_>) -> Google {
    let set = |name: &str| env(name).filter(|v| !v.trim().is_empty());
    let file = file.map(str::to_owned).or_else(|| set("GOOGLE_APPLICATION_CREDENTIALS"));
    let gcloud = set("CLOUDSDK_CONFIG").or_else(|| Some(format!("{}/.config/gcloud", set("HOME")?)));
    Google {
        file: file.map(PathBuf::from),
        own: gcloud.map(|dir| PathBuf::from(dir).join("application_default_credentials.json")),
        metadata: set("GCE_METADATA_HOST").unwrap_or_else(|| GOOGLE_METADATA.to_owned()),
    }
}
