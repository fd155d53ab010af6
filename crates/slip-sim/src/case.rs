//! stub
pub struct Case;
