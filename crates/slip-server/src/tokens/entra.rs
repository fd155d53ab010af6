//! Tokens of Microsoft Entra: for an application, by its secret or by another issuer's word, or for the machine this runs on.

use super::call::{Question, escaped};
use super::{Fresh, Pass, Trouble};
use crate::clock;
use crate::config::{Entra as Conf, EntraWho, Proof};

pub struct Entra {
    conf: Conf,
}

impl Entra {
    pub fn new(conf: Conf) -> Entra {
        Entra { conf }
    }

    pub async fn fetch(&self) -> Result<Fresh, Trouble> {
        let Conf { authority, scope, who } = &self.conf;
        let (question, issuer, advice) = match who {
            EntraWho::Application { tenant, id, proof } => {
                let mut fields =
                    vec![("grant_type", "client_credentials"), ("client_id", id.as_str()), ("scope", scope)];
                let token;
                match proof {
                    Proof::Secret(secret) => fields.push(("client_secret", secret.expose())),
                    Proof::File(path) => {
                        // Read each time: whoever keeps it fresh writes it anew.
                        token = std::fs::read_to_string(path).map_err(|e| {
                            let says = "its file with a federated token cannot be read: check `federated_token_file`";
                            Trouble::new(says).detailed(format!("{}: {e}", path.display()))
                        })?;
                        fields
                            .push(("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
                        fields.push(("client_assertion", token.trim()));
                    }
                }
                let url = format!("{authority}/{tenant}/oauth2/v2.0/token");
                let advice = "check `tenant`, `client_id` and `client_secret` under `entra`";
                (Question::form(url, &fields), "Microsoft Entra", advice)
            }
            EntraWho::Machine { id } => {
                // The older kind of question, which names what the token is for without the newer suffix.
                let resource = escaped(scope.strip_suffix("/.default").unwrap_or(scope));
                let which = id.as_ref().map(|id| format!("&client_id={}", escaped(id))).unwrap_or_default();
                let path = "/metadata/identity/oauth2/token?api-version=2018-02-01";
                let url = format!("{authority}{path}&resource={resource}{which}");
                let advice = "does this machine have a managed identity?";
                (Question::get(url).header("metadata", "true").of_metadata(), "Azure's metadata service", advice)
            }
        };
        let answer =
            question.ask().await.map_err(|why| Trouble::new(format!("{issuer} cannot be asked")).detailed(why))?;
        let token = answer.token(issuer, advice)?;
        let expires = Some(clock::unix_ms().saturating_add(token.seconds().saturating_mul(1000)));
        Ok(Fresh { pass: Pass::bearer(&token.access_token)?, expires })
    }
}
