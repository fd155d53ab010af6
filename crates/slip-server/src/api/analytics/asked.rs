//! The question: read, checked, and turned into which sums are looked at.

use super::words::{Dimension, GRANULARITIES, METRICS, Metric, OPERATORS};
use crate::api::fields::{Fields, bad};
use crate::api::shown;
use crate::flow::read;
use http::HeaderMap;
use hyper::body::Incoming;
use serde_json::Value;
use slip_ir::Fault;
use slip_store::{Between, By, Grain};

/// OpenRouter's numbers: dimensions and filters of a question, rows of an answer.
const DIMENSIONS: usize = 2;
const FILTERS: usize = 20;
const ROWS: usize = 1000;
const MOST_ROWS: usize = 10_000;
/// Values of one filter.
const VALUES: usize = 1000;
/// Days that can be looked at: by the hour, and else.
const HOURLY_DAYS: i64 = 31;
const DAYS: i64 = 366;
/// Those that are, if nothing is said.
const USUAL_DAYS: i64 = 7;
const BODY: u64 = 1 << 20;

const KNOWN: [&str; 8] =
    ["metrics", "dimensions", "granularity", "time_range", "filters", "order_by", "limit", "group_limit"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    Hour,
    Day,
    Week,
    Month,
}

impl Bucket {
    pub const fn name(self) -> &'static str {
        match self {
            Bucket::Hour => "hour",
            Bucket::Day => "day",
            Bucket::Week => "week",
            Bucket::Month => "month",
        }
    }
}

pub enum Field {
    Date,
    /// The number of the dimension.
    Dimension(usize),
    Metric(&'static Metric),
}

pub struct Filter {
    dimension: Dimension,
    operator: &'static str,
    values: Vec<String>,
    include_unset: bool,
}

impl Filter {
    pub fn takes(&self, by: &By) -> bool {
        let have = self.dimension.of(by);
        if have.is_empty() && matches!(self.operator, "in" | "not_in") {
            return self.include_unset;
        }
        let listed = || self.values.iter().any(|value| value == have);
        let first = self.values.first().map_or("", String::as_str);
        match self.operator {
            "eq" | "in" => listed(),
            "neq" | "not_in" => !listed(),
            "gt" => have > first,
            "gte" => have >= first,
            "lt" => have < first,
            _ => have <= first,
        }
    }

    /// The one value it asks for.
    fn only(&self, dimension: Dimension) -> Option<String> {
        let one = self.dimension == dimension && self.operator == "eq";
        self.values.first().filter(|value| one && !value.is_empty()).cloned()
    }
}

pub struct Asked {
    pub metrics: Vec<&'static Metric>,
    pub dimensions: Vec<Dimension>,
    pub bucket: Option<Bucket>,
    pub filters: Vec<Filter>,
    pub order_by: Field,
    pub descending: bool,
    pub limit: usize,
    pub group_limit: Option<usize>,
    pub between: Between,
    pub warnings: Vec<String>,
}

impl Asked {
    pub async fn read(headers: &HeaderMap, body: Incoming, now_ms: i64) -> Result<Asked, Fault> {
        Asked::of(&read::bytes(headers, body, BODY).await?, now_ms)
    }

    pub fn of(body: &[u8], now_ms: i64) -> Result<Asked, Fault> {
        let fields = Fields::of(body, &KNOWN)?;
        let metrics = fields.texts("metrics")?.unwrap_or_default();
        if metrics.is_empty() {
            return Err(bad("metrics", "`metrics` is needed: a list of at least one; /api/v1/analytics/meta has them"));
        }
        let metrics = metrics.iter().map(|name| metric("metrics", name)).collect::<Result<Vec<_>, _>>()?;
        let dimensions = fields.texts("dimensions")?.unwrap_or_default();
        if dimensions.len() > DIMENSIONS {
            return Err(bad("dimensions", format!("`dimensions` can be at most {DIMENSIONS}")));
        }
        let dimensions = dimensions.iter().map(|name| dimension("dimensions", name)).collect::<Result<Vec<_>, _>>()?;
        let bucket = bucket(&fields)?;
        let filters = filters(&fields)?;
        let (order_by, descending) = order(&fields, &metrics, &dimensions, bucket)?;
        let rows = |name: &str| -> Result<Option<usize>, Fault> {
            Ok(fields.count(name, MOST_ROWS as u64)?.value().and_then(|n| usize::try_from(n).ok()))
        };
        let group_limit = rows("group_limit")?;
        // Of a series by dimensions each has all of its time.
        let series = bucket.is_some() && !dimensions.is_empty() && group_limit.is_none();
        let limit = rows("limit")?.unwrap_or(if series { MOST_ROWS } else { ROWS });
        let mut warnings = Vec::new();
        for value in filters.iter().filter(|f| f.dimension == Dimension::Key).flat_map(|f| &f.values) {
            if value.len() != 64 || !value.bytes().all(|b| b.is_ascii_hexdigit()) {
                warnings.push(format!("no key has this hash, so that nothing is of it: {}", shown(value)));
            }
        }
        let mut between = range(&fields, bucket, now_ms, &mut warnings)?;
        between.key_hash = filters.iter().find_map(|filter| filter.only(Dimension::Key));
        between.workspace = filters.iter().find_map(|filter| filter.only(Dimension::Workspace));
        Ok(Asked { metrics, dimensions, bucket, filters, order_by, descending, limit, group_limit, between, warnings })
    }
}

/// A word that is not one of these, and which was probably meant.
fn no_such(param: &str, what: &str, name: &str, known: Vec<&str>) -> Fault {
    let likeness = |known: &str| strsim::jaro_winkler(name, known);
    let near = known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let near = near.filter(|near| likeness(near) > 0.8 && *near != name);
    let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    bad(param, format!("no such {what}: {}{hint} (known: {})", shown(name), known.join(", ")))
}

fn metric(param: &str, name: &str) -> Result<&'static Metric, Fault> {
    let known = || METRICS.iter().map(|metric| metric.name).collect();
    METRICS.iter().find(|metric| metric.name == name).ok_or_else(|| no_such(param, "metric", name, known()))
}

fn dimension(param: &str, name: &str) -> Result<Dimension, Fault> {
    let known = || Dimension::ALL.iter().map(|dimension| dimension.name()).collect();
    let found = Dimension::ALL.into_iter().find(|dimension| dimension.name() == name);
    found.ok_or_else(|| no_such(param, "dimension", name, known()))
}

fn bucket(fields: &Fields) -> Result<Option<Bucket>, Fault> {
    let Some(name) = fields.text("granularity")?.value() else { return Ok(None) };
    let all = [Bucket::Hour, Bucket::Day, Bucket::Week, Bucket::Month];
    let known = || GRANULARITIES.iter().map(|(name, _)| *name).collect();
    let found = all.into_iter().find(|bucket| bucket.name() == name);
    found.map(Some).ok_or_else(|| no_such("granularity", "granularity", &name, known()))
}

fn filters(fields: &Fields) -> Result<Vec<Filter>, Fault> {
    let Some(list) = fields.raw("filters") else { return Ok(Vec::new()) };
    let list = list.as_array().filter(|list| list.len() <= FILTERS);
    let list = list.ok_or_else(|| bad("filters", format!("`filters` must be a list of at most {FILTERS}")))?;
    list.iter().map(filter).collect()
}

fn filter(value: &Value) -> Result<Filter, Fault> {
    let said = Fields::within("filters", value, &["field", "operator", "value", "include_unset"])?;
    let need = |name: &str| -> Result<String, Fault> {
        said.text(name)?.value().ok_or_else(|| bad("filters", format!("a filter needs `{name}`")))
    };
    let dimension = dimension("filters", &need("field")?)?;
    let operator = need("operator")?;
    let known = || OPERATORS.iter().map(|(name, _)| *name).collect();
    let found = OPERATORS.iter().find(|(name, _)| *name == operator);
    let (operator, kind) = *found.ok_or_else(|| no_such("filters", "operator", &operator, known()))?;
    let scalar = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let values: Option<Vec<String>> = match (kind, said.raw("value")) {
        ("array", Some(Value::Array(values))) if values.len() <= VALUES => values.iter().map(scalar).collect(),
        ("scalar", Some(value)) => scalar(value).map(|value| vec![value]),
        _ => None,
    };
    let takes = if kind == "array" { format!("a list of at most {VALUES} texts") } else { "one value".to_owned() };
    let values = values.ok_or_else(|| bad("filters", format!("the operator `{operator}` takes {takes} as `value`")))?;
    let include_unset = said.flag("include_unset")?;
    if include_unset.is_some() && kind != "array" {
        return Err(bad("filters", "`include_unset` goes with the operators in and not_in only"));
    }
    Ok(Filter { dimension, operator, values, include_unset: include_unset.unwrap_or_default() })
}

fn order(
    fields: &Fields,
    metrics: &[&'static Metric],
    dimensions: &[Dimension],
    bucket: Option<Bucket>,
) -> Result<(Field, bool), Fault> {
    let Some(value) = fields.raw("order_by") else {
        let first = metrics.first().copied().map_or(Field::Date, Field::Metric);
        return Ok((if bucket.is_some() { Field::Date } else { first }, true));
    };
    let said = Fields::within("order_by", value, &["field", "direction"])?;
    let name = said.text("field")?.value().unwrap_or_default();
    let descending = match said.text("direction")?.value().as_deref() {
        Some("asc") => false,
        Some("desc") => true,
        _ => return Err(bad("order_by", "`order_by.direction` must be asc or desc")),
    };
    let metric = metrics.iter().copied().chain(METRICS.first()).find(|metric| metric.name == name);
    let field = match (metric, dimensions.iter().position(|dimension| dimension.name() == name)) {
        (Some(metric), _) => Field::Metric(metric),
        (None, Some(n)) => Field::Dimension(n),
        (None, None) if name == "date" && bucket.is_some() => Field::Date,
        _ => {
            let says = "`order_by.field` must be one of the metrics or dimensions asked for, request_count, or with a granularity date";
            return Err(bad("order_by", says));
        }
    };
    Ok((field, descending))
}

/// Which sums are looked at: those of days where days will do. What is kept is by the hour, so that a range is widened to that.
fn range(fields: &Fields, bucket: Option<Bucket>, now_ms: i64, warnings: &mut Vec<String>) -> Result<Between, Fault> {
    let (hour, day) = (Grain::Hour.ms(), Grain::Day.ms());
    let (start, end) = match fields.raw("time_range") {
        None => (now_ms - USUAL_DAYS * day, now_ms),
        Some(value) => {
            let said = Fields::within("time_range", value, &["start", "end"])?;
            let need = |name: &str| -> Result<i64, Fault> {
                said.moment(name)?.value().ok_or_else(|| bad("time_range", format!("`time_range` needs `{name}`")))
            };
            (need("start")?, need("end")?)
        }
    };
    if start >= end {
        return Err(bad("time_range", "`time_range` begins after it ends"));
    }
    // What is to come has no sums.
    let whole = |ms: i64| ms.rem_euclid(day) == 0 || ms >= now_ms;
    let days = (end - start).div_euclid(day) + i64::from((end - start).rem_euclid(day) > 0);
    let fine = bucket == Some(Bucket::Hour) || days <= HOURLY_DAYS && !(whole(start) && whole(end));
    let most = if bucket == Some(Bucket::Hour) { HOURLY_DAYS } else { DAYS };
    if days > most {
        let by = if bucket == Some(Bucket::Hour) { " by the hour" } else { "" };
        return Err(bad("time_range", format!("`time_range` can be at most {most} days{by}")));
    }
    let (grain, unit, name) = if fine { (Grain::Hour, hour, "hours") } else { (Grain::Day, day, "days") };
    let said = fields.raw("time_range").is_some();
    if said && (start.rem_euclid(unit) != 0 || end.rem_euclid(unit) != 0 && end < now_ms) {
        warnings.push(format!("sums are kept by whole {name}, so that the range was widened to them"));
    }
    let (from, to) = (start.div_euclid(unit), end.div_euclid(unit) + i64::from(end.rem_euclid(unit) != 0));
    Ok(Between { grain, from, to, key_hash: None, workspace: None })
}
