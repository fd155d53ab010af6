//! Pictures and sound through the whole house: made, streamed, heard, refused, paid for and broken off.

mod chat;
mod faults;
mod hear;
mod pictures;

use crate::harness::{Gateway, Got, KEY, with};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use slip_sim::{Fault, Sim, SimConfig};

const IMAGES: &str = "/api/v1/images";
const SPEECH: &str = "/api/v1/audio/speech";
const HEAR: &str = "/api/v1/audio/transcriptions";

async fn sim(fault: Option<&str>) -> Sim {
    let fault = fault.map(|mode| Fault::parse(mode).expect("a mode"));
    Sim::start(SimConfig { fault, ..SimConfig::default() }).await.expect("a socket")
}

/// Fifteen dollars for a million characters, six thousandths for a minute, four cents for a picture.
fn provider(name: &str, sim: &Sim) -> String {
    format!(
        "[providers.{name}]\ndialect = \"openai-chat\"\nbase_url = \"{}\"\nkey = \"upstream-key\"\nmodels = [\"lab/one\"]\n\
         price = {{ input = \"0\", output = \"0\", characters = \"15\", second = \"0.0001\", image = \"0.04\" }}\n\n",
        sim.base_url()
    )
}

fn say(over: Value) -> Value {
    with(json!({ "model": "lab/one", "input": "Hello there, how are you?", "voice": "alloy" }), over)
}

const BOUNDARY: &str = "----media-test-boundary";

/// A form as a browser writes it. A file is `name`, `file name` and its bytes.
fn form(fields: &[(&str, &str)], files: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, text) in fields {
        let part = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n");
        out.extend_from_slice(part.as_bytes());
    }
    for (name, file, data) in files {
        let head =
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\n\r\n");
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    out
}

async fn send_form(gateway: &Gateway, path: &str, body: Vec<u8>) -> Got {
    let media_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let headers = [("authorization", &*format!("Bearer {KEY}")), ("content-type", &*media_type)];
    gateway.send(Method::POST, path, &headers, Bytes::from(body)).await
}
