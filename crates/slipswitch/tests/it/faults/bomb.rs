//! An answer that is small on the wire and enormous once unpacked: it is not unpacked.

use super::{ask, sim};
use crate::harness::{Gateway, provider};
use slip_ir::Dialect;
use slip_sim::{Script, Scripted};

/// What the bomb unpacks to, and the most that the gateway may grow by while it is thrown at it.
const UNPACKED: usize = 512 * 1024 * 1024;
const ROOM_KB: u64 = 96 * 1024;

/// Bits in deflate's order.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn bit(&mut self, bit: bool) {
        if self.used == 0 {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut().filter(|_| bit) {
            *last |= 1 << self.used;
        }
        self.used = (self.used + 1) % 8;
    }

    /// A Huffman code, which begins with its highest bit.
    fn code(&mut self, code: u16, length: u32) {
        (0..length).rev().for_each(|at| self.bit(code >> at & 1 == 1));
    }

    /// A byte below 144 in the fixed code.
    fn literal(&mut self, byte: u8) {
        self.code(0x30 + u16::from(byte), 8);
    }
}

/// `before`, then so many times the last byte of it that all is as long as [`UNPACKED`] at least, then `after`: as gzip, valid to the
/// last byte of its checksum.
fn bomb(before: &str, after: &str) -> Vec<u8> {
    // 258 bytes more of the last one: eight of these are thirteen whole bytes.
    const MATCH: usize = 258;
    let mut bits = Bits::default();
    [true, true, false].into_iter().for_each(|bit| bits.bit(bit));
    before.bytes().for_each(|byte| bits.literal(byte));
    let matches = UNPACKED.div_ceil(MATCH);
    let mut left = matches;
    let one = |bits: &mut Bits| {
        bits.code(0xc5, 8);
        bits.code(0, 5);
    };
    while left > 0 && bits.used != 0 {
        one(&mut bits);
        left -= 1;
    }
    let mut eight = Bits::default();
    (0..8).for_each(|_| one(&mut eight));
    for _ in 0..left / 8 {
        bits.bytes.extend_from_slice(&eight.bytes);
    }
    (0..left % 8).for_each(|_| one(&mut bits));
    after.bytes().for_each(|byte| bits.literal(byte));
    bits.code(0, 7);

    let (mut sum, repeated) = (crc32fast::Hasher::new(), before.as_bytes().last().copied().unwrap_or(b' '));
    sum.update(before.as_bytes());
    let piece = vec![repeated; MATCH * 4096];
    let mut whole = crc32fast::Hasher::new();
    whole.update(&piece);
    for _ in 0..matches / 4096 {
        sum.combine(&whole);
    }
    sum.update(&piece[..matches % 4096 * MATCH]);
    sum.update(after.as_bytes());
    let length = before.len() + matches * MATCH + after.len();
    let mut out = b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec();
    out.extend_from_slice(&bits.bytes);
    out.extend_from_slice(&sum.finalize().to_le_bytes());
    out.extend_from_slice(&(length as u32).to_le_bytes());
    out
}

/// The most memory it ever had.
fn peak_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_gzip_bomb_is_passed_over_unopened() {
    let whole = bomb(
        r#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"a"#,
        r#""},"finish_reason":"stop"}]}"#,
    );
    let stream = bomb("data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a", "\"}}]}\n\n");
    for packed in [&whole, &stream] {
        assert!(packed.len() * 100 < UNPACKED && packed.len() > 1024 * 1024, "{}", packed.len());
    }
    let (upstream, good) = (Scripted::start().await.expect("a socket"), sim(Dialect::OpenAiChat, None).await);
    let models = ["lab/one", "lab/two", "lab/three", "lab/four"];
    let config = provider("bad", Dialect::OpenAiChat, &upstream.base_url(), &models)
        + &provider("good", Dialect::OpenAiChat, &good.base_url(), &models);
    let gateway = Gateway::start(&config);
    assert_eq!(
        gateway
            .chat(&crate::harness::with(ask("lab/one", false), serde_json::json!({ "provider": { "only": ["good"] } })))
            .await
            .status,
        200
    );
    let before = peak_kb(gateway.pid());
    let kinds = [("application/json", &whole, false), ("application/json", &whole, true)];
    let kinds = kinds.into_iter().chain([("text/event-stream", &stream, true), ("text/event-stream", &stream, false)]);
    for (model, (kind, packed, streamed)) in models.iter().zip(kinds) {
        upstream.push(Script::new(200, kind, packed.clone()).header("content-encoding", "gzip"));
        let got = gateway.chat(&ask(model, streamed)).await;
        assert_eq!(
            (got.status, got.header("x-provider-name")),
            (200, "good"),
            "{kind}, stream {streamed}: {}",
            got.text()
        );
        let record = gateway.record(&got).await;
        assert_eq!(record["provider_responses"][0]["error"], "upstream_failed", "{kind}, stream {streamed}: {record}");
        let asked = upstream.journal().last().expect("a request");
        assert!(asked.header("accept-encoding").is_none_or(|v| v == "identity"), "nobody asked for it packed");
    }
    let grown = peak_kb(gateway.pid()).saturating_sub(before);
    assert!(grown < ROOM_KB, "it grew by {grown} kB");
    gateway.is_well("a gzip bomb").await;
}

/// What is thrown is a bomb: whoever unpacks it gets all of it, and its checksum is right.
#[test]
fn the_bomb_would_go_off() {
    let packed = bomb("a", "b");
    let path = crate::harness::scratch().join("bomb.gz");
    std::fs::write(&path, &packed).expect("a file");
    let tested = std::process::Command::new("gzip").args(["-t"]).arg(&path).status();
    let _ = std::fs::remove_dir_all(path.parent().expect("a directory"));
    // A machine without gzip has nothing to try it with.
    assert!(tested.map_or(true, |status| status.success()));
}
