//! AWS's signature, version 4, in headers. The signing itself is Amazon's own crate; here is only which parts of a request it covers.

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign as signed};
use aws_sigv4::sign::v4;
use http::{HeaderName, HeaderValue};
use std::time::SystemTime;

/// Headers to add to a POST of JSON to `url`. Host, content type and body are covered, and the path as it is spelt in the URL,
/// encoded once more, as every service but S3 wants it.
pub fn sign(
    keys: &Credentials,
    region: &str,
    service: &str,
    url: &str,
    body: &[u8],
    now: SystemTime,
) -> Result<Vec<(HeaderName, HeaderValue)>, ()> {
    let identity = keys.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(drop)?
        .into();
    let covered = std::iter::once(("content-type", "application/json"));
    let request = SignableRequest::new("POST", url, covered, SignableBody::Bytes(body)).map_err(drop)?;
    let (instructions, _) = signed(request, &params).map_err(drop)?.into_parts();
    let as_header = |(name, value): (&str, &str)| {
        let mut value = HeaderValue::try_from(value).map_err(drop)?;
        value.set_sensitive(true);
        Ok((HeaderName::try_from(name).map_err(drop)?, value))
    };
    instructions.headers().map(as_header).collect()
}
