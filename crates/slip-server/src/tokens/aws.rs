//! The credentials of an AWS account, from where every AWS tool looks for them: environment, shared files, web identity, container,
//! machine. Amazon's own crate knows the places; whatever it asks over the network goes through `upstream.rs`.
//!
//! That crate reads the environment and the shared files itself. It is only made when a configuration asks for it.

use super::call::Question;
use super::{Fresh, Pass, Trouble};
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderName, HeaderValue, Method};
use std::error::Error;
use std::time::{Duration, UNIX_EPOCH};

/// Of a chain of errors no more is logged.
const MAX_DETAIL: usize = 600;

pub struct Chain {
    region: String,
    profile: Option<String>,
}

impl Chain {
    pub fn new(region: &str, profile: Option<&str>) -> Chain {
        Chain { region: region.to_owned(), profile: profile.map(str::to_owned) }
    }

    pub async fn fetch(&self) -> Result<Fresh, Trouble> {
        // Made anew each time: it remembers the files it has read, which somebody may have written since.
        let keys = self.make().await.provide_credentials().await.map_err(|e| {
            let says =
                "none of the places where AWS credentials are kept gave any (environment, profile, container, machine)";
            Trouble::new(says).detailed(told(&e))
        })?;
        let expires = keys
            .expiry()
            .map(|end| end.duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)));
        Ok(Fresh { pass: Pass::Aws(keys), expires })
    }

    async fn make(&self) -> DefaultCredentialsChain {
        let region = Region::new(self.region.clone());
        let conf = ProviderConfig::without_region()
            .with_region(Some(region.clone()))
            .with_behavior_version(Some(BehaviorVersion::latest()))
            .with_http_client(Dial::default());
        let mut chain = DefaultCredentialsChain::builder().configure(conf).region(region);
        if let Some(profile) = &self.profile {
            chain = chain.profile_name(profile);
        }
        chain.build().await
    }
}

/// An error with its causes, shortened.
fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(one) = cause {
        if text.len() > MAX_DETAIL {
            break;
        }
        text = format!("{text}: {one}");
        cause = one.source();
    }
    text.chars().filter(|c| !c.is_control()).take(MAX_DETAIL).collect()
}

/// The network as Amazon's crates see it.
#[derive(Clone, Debug, Default)]
struct Dial {
    connect: Option<Duration>,
    read: Option<Duration>,
}

impl HttpClient for Dial {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Dial { connect: settings.connect_timeout(), read: settings.read_timeout() })
    }
}

impl HttpConnector for Dial {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (connect, read) = (self.connect, self.read);
        HttpConnectorFuture::new(async move {
            let mut question = question(&request).map_err(|why| ConnectorError::user(why.into()))?;
            question.connect = connect.unwrap_or(question.connect);
            question.patience = read.unwrap_or(question.patience);
            let answer = question.ask().await.map_err(|why| ConnectorError::io(why.into()))?;
            let status = answer.status.try_into().map_err(|e| ConnectorError::other(Box::new(e), None))?;
            let mut response = HttpResponse::new(status, SdkBody::from(answer.body));
            for (name, value) in &answer.headers {
                if let Ok(value) = value.to_str() {
                    response.headers_mut().append(name.as_str().to_owned(), value.to_owned());
                }
            }
            Ok(response)
        })
    }
}

fn question(request: &HttpRequest) -> Result<Question, String> {
    let method: Method = request.method().parse().map_err(|_| "not a method".to_owned())?;
    let body = request.body().bytes().ok_or("a body that is a stream is not sent")?;
    let mut headers = Vec::new();
    for (name, value) in request.headers() {
        let name: HeaderName = name.parse().map_err(|_| "not a header name".to_owned())?;
        // The connection says these itself.
        if name != HOST && name != CONTENT_LENGTH {
            headers.push((name, HeaderValue::try_from(value).map_err(|_| "not a header value".to_owned())?));
        }
    }
    Ok(Question { method, headers, body: Bytes::copy_from_slice(body), ..Question::get(request.uri().to_owned()) })
}
