//! stub
pub struct Replay;
pub struct ReplayConfig;
pub enum Chunking {}
