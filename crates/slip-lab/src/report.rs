//! The tables, as Markdown: one of our default against the best of the others, one a scenario with everybody, one of the targets.

use crate::policies::Entry;
use crate::scenario::Scenario;
use crate::tally::{Figure, Runs};
use std::fmt::Write;

/// What is within this of the best is as good.
const AS_GOOD: f64 = 1.05;

/// A scenario and how everybody did in it.
pub struct Chapter {
    pub scenario: &'static Scenario,
    pub rows: Vec<(Entry, Runs)>,
}

pub struct Report {
    pub chapters: Vec<Chapter>,
    /// Percent of prompt tokens that one provider alone would have reused.
    pub alone: f64,
    /// The strategy that stands for us.
    pub default: &'static str,
    pub seeds: u64,
    /// Where the traffic comes from, for people.
    pub traffic: String,
}

impl Report {
    /// `all`: with a table a scenario.
    pub fn markdown(&self, all: bool) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "Traffic: {}. Mean of {} seeds.\n", self.traffic, self.seeds);
        self.summary(&mut text);
        self.targets(&mut text);
        for chapter in self.chapters.iter().filter(|_| all) {
            self.chapter(chapter, &mut text);
        }
        text
    }

    fn default_of<'a>(&self, chapter: &'a Chapter) -> Option<&'a Runs> {
        chapter.rows.iter().find(|(e, _)| e.ours && e.name == self.default).map(|(_, runs)| runs)
    }

    fn summary(&self, text: &mut String) {
        let _ = writeln!(text, "### `{}` beside the best of each scenario\n", self.default);
        let _ = writeln!(
            text,
            "| scenario | score | best of the others | its score | we are | success | first try | first content, p50 / p99 | $ / 1,000 |"
        );
        let _ = writeln!(text, "|---|---:|---|---:|---|---:|---:|---:|---:|");
        for chapter in &self.chapters {
            let Some(own) = self.default_of(chapter) else { continue };
            let score = own.mean(Figure::Score);
            let others = chapter.rows.iter().filter(|(e, _)| !(e.ours && e.name == self.default));
            let best = others.min_by(|a, b| a.1.mean(Figure::Score).total_cmp(&b.1.mean(Figure::Score)));
            let (name, other) = best.map_or(("–".to_owned(), f64::NAN), |(e, r)| (title(e), r.mean(Figure::Score)));
            let _ = writeln!(
                text,
                "| {} | {score:.3} | {name} | {other:.3} | {} | {} | {} | {:.2} / {:.2} s | {:.3} |",
                chapter.scenario.name,
                standing(score, other),
                percent(own.mean(Figure::Success)),
                percent(own.mean(Figure::FirstTry)),
                own.mean(Figure::FirstP50),
                own.mean(Figure::FirstP99),
                own.mean(Figure::Cost),
            );
        }
        text.push('\n');
    }

    fn targets(&self, text: &mut String) {
        let _ = writeln!(text, "### Targets of `{}`\n", self.default);
        let _ = writeln!(text, "| target | worst where it applies | |\n|---|---|---|");
        let worst = |figure: Figure, high_is_bad: bool, applies: &dyn Fn(&Scenario) -> bool| {
            let of = |c: &Chapter| Some((c.scenario.name, self.default_of(c)?.mean(figure)));
            let found = self.chapters.iter().filter(|c| applies(c.scenario)).filter_map(of);
            let sign = if high_is_bad { 1.0 } else { -1.0 };
            found.filter(|(_, v)| !v.is_nan()).max_by(|a, b| (a.1 * sign).total_cmp(&(b.1 * sign)))
        };
        let everywhere = |_: &Scenario| true;
        // What breaks off after its first content nobody can mend, and slow recovery is not to be trusted at once.
        let sound = |s: &Scenario| s.name != "broken";
        let limited = |s: &Scenario| matches!(s.name, "limits" | "mixed, busy");
        let outages = |s: &Scenario| matches!(s.name, "outage" | "mixed" | "mixed, busy" | "quiet" | "slow recovery");
        let back = |s: &Scenario| matches!(s.name, "outage" | "mixed" | "mixed, busy" | "hanging");
        let mut row = |target: &str, found: Option<(&str, f64)>, met: &dyn Fn(f64) -> bool, unit: &str| {
            let Some((scenario, value)) = found else { return };
            let word = if met(value) { "met" } else { "**missed**" };
            let _ = writeln!(text, "| {target} | {value:.2}{unit} ({scenario}) | {word} |");
        };
        row("success ≥ 99.99 %, \"broken\" apart", worst(Figure::Success, false, &sound), &|v| v >= 99.99, " %");
        row("first try ≥ 98.5 %", worst(Figure::FirstTry, false, &everywhere), &|v| v >= 98.5, " %");
        row("429 < 1 % of calls near the limits", worst(Figure::Limited, true, &limited), &|v| v < 1.0, " %");
        // Either will do: what comes of it in tries, in a busy place, or in seconds.
        let slowest = self.chapters.iter().filter(|c| outages(c.scenario)).filter_map(|c| {
            let runs = self.default_of(c)?;
            let (tries, seconds) = (runs.mean(Figure::LeftTries), runs.mean(Figure::LeftSeconds));
            Some((c.scenario.name, (tries / 3.0).min(seconds / 2.0) * 3.0))
        });
        let slowest = slowest.max_by(|a, b| a.1.total_cmp(&b.1));
        row("an outage left after ≤ 3 tries or 2 s (in tries)", slowest, &|v| v <= 3.0, "");
        row("traffic back ≤ 30 s after recovery", worst(Figure::BackSeconds, true, &back), &|v| v <= 30.0, " s");
        let reuse = self.chapters.iter().find(|c| c.scenario.name == "prefixes").and_then(|c| self.default_of(c));
        let kept = reuse.map(|runs| ("prefixes", runs.mean(Figure::Reuse) / self.alone * 100.0));
        row("prefix reuse ≥ 90 % of one provider's", kept, &|v| v >= 90.0, " %");
        for chapter in self.chapters.iter().filter(|c| c.scenario.name.starts_with("mixed")) {
            self.frontier(chapter, text);
        }
        text.push('\n');
    }

    /// Cheaper than whoever is as quick, or quicker than whoever is as cheap.
    fn frontier(&self, chapter: &Chapter, text: &mut String) {
        let of = |name: &str| chapter.rows.iter().find(|(e, _)| !e.ours && e.name == name).map(|(_, runs)| runs);
        let all = (self.default_of(chapter), of("p2c peak-EWMA"), of("OpenRouter's rule"));
        let (Some(own), Some(quick), Some(cheap)) = all else { return };
        let ratio = |other: &Runs, figure: Figure| own.mean(figure) / other.mean(figure) * 100.0;
        let cheaper = [ratio(quick, Figure::FirstP99), ratio(quick, Figure::Cost)];
        let quicker = [ratio(cheap, Figure::Cost), ratio(cheap, Figure::FirstP99)];
        let met = cheaper[0] <= 100.0 && cheaper[1] <= 80.0 || quicker[0] <= 100.0 && quicker[1] <= 60.0;
        let _ = writeln!(
            text,
            "| p99 ≤ p2c's at ≤ 80 % of its $, or $ ≤ OpenRouter's rule's at ≤ 60 % of its p99 | p99 {:.0} %, $ {:.0} % of \
             p2c's; $ {:.0} %, p99 {:.0} % of the rule's ({}) | {} |",
            cheaper[0],
            cheaper[1],
            quicker[0],
            quicker[1],
            chapter.scenario.name,
            if met { "met" } else { "**missed**" }
        );
    }

    fn chapter(&self, chapter: &Chapter, text: &mut String) {
        let scenario = chapter.scenario;
        let (left, reuse) = (has(chapter, Figure::LeftTries), chapter.scenario.name == "prefixes");
        let _ = writeln!(text, "### {}\n\n{}\n", scenario.name, scenario.about);
        let mut head =
            "| policy | success | first try | first content, p50 / p99 | $ / 1,000 | wasted | calls | 429 |".to_owned();
        if left {
            head.push_str(" left after | back after |");
        }
        if reuse {
            head.push_str(" reuse kept |");
        }
        head.push_str(" score |");
        let _ = writeln!(text, "{head}\n|---|{}", "---:|".repeat(head.matches('|').count() - 2));
        let mut rows: Vec<&(Entry, Runs)> = chapter.rows.iter().collect();
        rows.sort_by(|a, b| a.1.mean(Figure::Score).total_cmp(&b.1.mean(Figure::Score)));
        for (entry, runs) in rows {
            let mark = if entry.ours && entry.name == self.default { "**" } else { "" };
            let _ = write!(
                text,
                "| {mark}{}{mark} | {} | {} | {:.2} / {:.2} s | {:.3} | {:.3} | {:.3} | {} |",
                title(entry),
                percent(runs.mean(Figure::Success)),
                percent(runs.mean(Figure::FirstTry)),
                runs.mean(Figure::FirstP50),
                runs.mean(Figure::FirstP99),
                runs.mean(Figure::Cost),
                runs.mean(Figure::Wasted),
                runs.mean(Figure::Calls),
                percent(runs.mean(Figure::Limited)),
            );
            if left {
                let (tries, seconds) = (runs.mean(Figure::LeftTries), runs.mean(Figure::LeftSeconds));
                let _ = match tries.is_nan() {
                    true => write!(text, " – |"),
                    false => write!(text, " {tries:.1}, {seconds:.1} s |"),
                };
                let back = runs.mean(Figure::BackSeconds);
                let _ = if back.is_nan() { write!(text, " – |") } else { write!(text, " {back:.0} s |") };
            }
            if reuse {
                let _ = write!(text, " {} |", percent(runs.mean(Figure::Reuse) / self.alone * 100.0));
            }
            let _ = writeln!(text, " {:.3} ± {:.3} |", runs.mean(Figure::Score), runs.spread(Figure::Score));
        }
        text.push('\n');
    }
}

/// Ours are marked, for some have the names of the textbook's.
fn title(entry: &Entry) -> String {
    if entry.ours { format!("`{}`", entry.name) } else { entry.name.to_owned() }
}

fn has(chapter: &Chapter, figure: Figure) -> bool {
    chapter.rows.iter().any(|(_, runs)| !runs.mean(figure).is_nan())
}

fn standing(own: f64, other: f64) -> String {
    let by = (own / other - 1.0) * 100.0;
    match own / other {
        ratio if ratio <= 1.0 => "best".to_owned(),
        ratio if ratio <= AS_GOOD => format!("within 5 % (+{by:.1} %)"),
        _ => format!("**worse** (+{by:.0} %)"),
    }
}

/// As many digits as matter near a hundred.
fn percent(value: f64) -> String {
    if (99.0..100.0).contains(&value) { format!("{value:.2} %") } else { format!("{value:.1} %") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standing_is_best_as_good_or_worse() {
        assert_eq!(standing(1.0, 1.1), "best");
        assert_eq!(standing(1.04, 1.0), "within 5 % (+4.0 %)");
        assert_eq!(standing(1.2, 1.0), "**worse** (+20 %)");
        assert_eq!(
            (percent(99.987), percent(100.0), percent(3.24159)),
            ("99.99 %".into(), "100.0 %".into(), "3.2 %".into())
        );
    }
}
