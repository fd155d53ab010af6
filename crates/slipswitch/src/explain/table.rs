//! A decision for people: who would be tried, in which order, and why not the others.

use serde_json::Value;
use std::io::{Result, Write};

pub fn write(out: &mut impl Write, told: &Value) -> Result<()> {
    head(out, told)?;
    let endpoints = told["endpoints"].as_array().map(Vec::as_slice).unwrap_or_default();
    let (may, not): (Vec<&Value>, Vec<&Value>) = endpoints.iter().partition(|e| e["verdict"] != "refused");
    if !may.is_empty() {
        writeln!(
            out,
            "\n  #   {:<28} {:>6}  {:>11} = {:>10} + {:>10} + {:>10}  {:>5} {:>7} {:>6} {:>4}",
            "endpoint", "first", "score", "price", "waiting", "failing", "odds", "ttft", "tok/s", "busy"
        )?;
    }
    for one in may {
        row(out, one)?;
    }
    if !not.is_empty() {
        writeln!(out, "\n  refused")?;
    }
    for one in not {
        writeln!(out, "      {:<28} {}", text(&one["endpoint"]), because(one))?;
    }
    tail(out, told)
}

fn head(out: &mut impl Write, told: &Value) -> Result<()> {
    for asked in each(&told["asked"]) {
        writeln!(
            out,
            "{:<11} by {} (chosen by: {})",
            text(&asked["name"]),
            text(&asked["strategy"]),
            text(&asked["chosen_by"])
        )?;
    }
    let wants = &told["wants"];
    let mut parts = vec![format!(
        "{}, about {} tokens in and {} out",
        text(&wants["operation"]),
        wants["prompt_tokens"],
        wants["expected_output_tokens"]
    )];
    for flag in ["stream", "tools", "json_object", "json_schema", "reasoning"] {
        if wants[flag] == true {
            parts.push(flag.replace('_', " "));
        }
    }
    parts.extend(each(&wants["media"]).iter().map(|kind| format!("{} in", text(kind))));
    parts.extend(each(&wants["makes"]).iter().map(|kind| format!("{} out", text(kind))));
    writeln!(out, "wants       {}", parts.join(", "))?;
    if told["provider"].is_object() {
        writeln!(out, "provider    {}", told["provider"])?;
    }
    if told["key"].is_object() {
        writeln!(out, "key         {}  {}", text(&told["key"]["name"]), text(&told["key"]["label"]))?;
    }
    for skipped in each(&told["unserved"]) {
        writeln!(out, "skipped     {}", text(skipped))?;
    }
    Ok(())
}

fn row(out: &mut impl Write, one: &Value) -> Result<()> {
    let (live, score) = (&one["live"], &one["score"]);
    let rank = one["rank"].as_u64().map_or_else(|| "-".to_owned(), |rank| rank.to_string());
    let number = |value: &Value, unit: &str| value.as_f64().map_or_else(|| "?".to_owned(), |n| format!("{n:.0}{unit}"));
    let price = match one["price"]["known"] == true {
        true => dollars(&score["price"]),
        false => "?".to_owned(),
    };
    writeln!(
        out,
        "  {rank:<3} {:<28} {:>6}  {:>11} = {price:>10} + {:>10} + {:>10}  {:>5} {:>7} {:>6} {:>4}",
        text(&one["endpoint"]),
        percent(&one["first"]),
        dollars(&score["expected_cost"]),
        dollars(&score["waiting"]),
        dollars(&score["failure"]),
        percent(&live["odds"]),
        number(&live["ttft_ms"], " ms"),
        number(&live["tokens_per_second"], ""),
        number(&live["in_flight"], ""),
    )?;
    let mut notes = Vec::new();
    if one["sticky"] == true {
        notes.push("this conversation was here before".to_owned());
    }
    if let Some(left) = live["cooldown_ms"].as_u64().filter(|left| *left > 0) {
        notes.push(format!("rests for another {:.1} s", left as f64 / 1000.0));
    }
    let why = because(one);
    notes.extend((!why.is_empty()).then_some(why));
    if !notes.is_empty() {
        writeln!(out, "      {:<28} {}", "", notes.join("; "))?;
    }
    Ok(())
}

/// Whether another is asked beside the first.
fn hedge(told: &Value) -> String {
    if told["state"] != "on" {
        return format!("off: {}", text(&told["why"]));
    }
    let share = told["max_share"].as_f64().unwrap_or(0.0) * 100.0;
    let (after, second) = (&told["after_ms"], text(&told["second"]));
    format!("when the first is silent for {after} ms, {second} beside it; for {share} % of the requests at most")
}

/// How urgent it is, and whether it would wait.
fn queue(told: &Value) -> String {
    let longest = told["longest_wait_ms"].as_f64().unwrap_or(0.0) / 1000.0;
    let class = format!("{}, which may wait {longest} s", text(&told["class"]));
    if told["waits"] != true {
        return class;
    }
    let opens = told["opens_in_ms"].as_f64().map_or_else(String::new, |ms| format!(", room in {:.1} s", ms / 1000.0));
    format!("{class}: every account that may serve it is used up{opens}, {} wait already", told["waiting"])
}

fn tail(out: &mut impl Write, told: &Value) -> Result<()> {
    writeln!(out)?;
    if told["no_route"].is_object() {
        let no = &told["no_route"];
        return writeln!(out, "no route    {} {}: {}", no["status"], text(&no["reason"]), text(&no["message"]));
    }
    let expects = &told["expects"];
    let cost =
        if expects["cost_usd"].is_null() { "an unknown price".to_owned() } else { dollars(&expects["cost_usd"]) };
    let first = expects["first_token_ms"].as_f64();
    let first =
        first.map_or_else(|| "nobody was measured yet".to_owned(), |ms| format!("first words after about {ms:.0} ms"));
    writeln!(
        out,
        "expect      {cost}, {first}, the first attempt succeeds in {}",
        percent(&expects["first_attempt_succeeds"])
    )?;
    if told["conversation"]["known"] == true {
        let conversation = &told["conversation"];
        let at = conversation["endpoint"].as_str().unwrap_or("somewhere else");
        writeln!(
            out,
            "stays       at {at}, where {} tokens of it are thought to be cached",
            conversation["cached_tokens"]
        )?;
    }
    writeln!(out, "hedge       {}", hedge(&told["hedge"]))?;
    writeln!(out, "queue       {}", queue(&told["queue"]))?;
    writeln!(out, "cache       {}", text(&told["cache"]))?;
    let dice = told["draws"].as_u64().unwrap_or(0);
    writeln!(
        out,
        "            score: what an answer is likely to cost, waiting and failing counted as money; first: of {dice} draws"
    )
}

fn because(one: &Value) -> String {
    let says = |rule: &Value| format!("{}: {}", text(&rule["rule"]), text(&rule["says"]));
    each(&one["because"]).iter().map(says).collect::<Vec<_>>().join("; ")
}

pub fn each(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

pub fn dollars(value: &Value) -> String {
    value.as_f64().map_or_else(|| "?".to_owned(), |usd| format!("${usd:.6}"))
}

fn percent(value: &Value) -> String {
    match value.as_f64() {
        None => "?".to_owned(),
        Some(share) if share > 0.0 && share < 0.01 => "<1 %".to_owned(),
        Some(share) if share < 1.0 && share > 0.99 => ">99 %".to_owned(),
        Some(share) => format!("{:.0} %", share * 100.0),
    }
}
