//! stub
pub struct LoadPlan;
pub struct LoadReport;
