//! stub
pub struct Canned;
pub struct CannedConfig;
