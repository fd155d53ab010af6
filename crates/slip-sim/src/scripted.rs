//! stub
pub struct Script;
pub struct Scripted;
