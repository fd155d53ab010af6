//! What is wrong with a configuration, and how it is told: the place, the path, the word, and what was probably meant.

use super::tree::{Origin, Path};
use super::veil::Veil;
use std::fmt;

/// A line longer than this is shown around the place.
const MAX_SHOWN: usize = 120;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub origin: Origin,
    /// Empty for a problem of syntax.
    pub path: Path,
    /// What is wrong, the word last.
    pub what: String,
    /// What to do, beside the caret.
    pub note: Option<String>,
}

impl Problem {
    pub fn new(origin: Origin, path: Path, what: impl Into<String>) -> Problem {
        Problem { origin, path, what: what.into(), note: None }
    }

    pub fn note(mut self, note: impl Into<String>) -> Problem {
        self.note = Some(note.into());
        self
    }

    pub fn maybe_note(mut self, note: Option<String>) -> Problem {
        self.note = self.note.or(note);
        self
    }
}

/// Everything that is wrong, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// Name of the file, where there is one.
    pub name: Option<String>,
    text: String,
    veil: Box<Veil>,
    pub list: Vec<Problem>,
}

impl Problems {
    pub fn new(file: Option<(&str, &str)>, veil: Veil, mut list: Vec<Problem>) -> Problems {
        list.sort_by_key(|problem| match &problem.origin {
            Origin::File(span) => span.start,
            _ => usize::MAX,
        });
        let (name, text) = file.unzip();
        Problems {
            name: name.map(str::to_owned),
            text: text.unwrap_or_default().to_owned(),
            veil: Box::new(veil),
            list,
        }
    }

    /// Line (from 1), column in characters (from 1) and the text of the line with its start.
    fn place(&self, at: usize) -> (usize, usize, usize, &str) {
        let at = floor(&self.text, at);
        let (before, after) = self.text.split_at(at);
        let start = before.rfind('\n').map_or(0, |n| n + 1);
        let end = after.find('\n').map_or(self.text.len(), |n| at + n);
        let line = &self.text[start..end];
        (before.matches('\n').count() + 1, before[start..].chars().count() + 1, start, line.trim_end_matches('\r'))
    }

    fn shown(&self, start: usize, line: &str) -> String {
        let mut shown = String::with_capacity(line.len());
        for (at, c) in line.char_indices() {
            let hidden = self.veil.covers(start + at);
            // Tabs and control characters would move the caret away from its word.
            shown.push(if hidden {
                '*'
            } else if c.is_control() {
                ' '
            } else {
                c
            });
        }
        shown
    }

    fn one(&self, problem: &Problem, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if problem.path.0.is_empty() {
            problem.what.clone()
        } else {
            format!("{}: {}", problem.path, problem.what)
        };
        let span = match (&problem.origin, &self.name) {
            (Origin::File(span), Some(_)) => span,
            (Origin::Env(name) | Origin::Flag(name), _) => {
                writeln!(f, "error: {name}  {what}")?;
                return note_alone(problem, f);
            }
            _ => {
                writeln!(f, "error: {what}")?;
                return note_alone(problem, f);
            }
        };
        let (line_number, column, start, line) = self.place(span.start);
        writeln!(f, "error: {}:{line_number}:{column}  {what}", self.name.as_deref().unwrap_or_default())?;

        let length = self.text.get(floor(&self.text, span.start)..floor(&self.text, span.end)).unwrap_or("");
        let length = length.lines().next().unwrap_or("").trim_end().chars().count();
        let shown: Vec<char> = self.shown(start, line).chars().collect();
        let skip = if column > MAX_SHOWN * 3 / 4 { column - MAX_SHOWN / 2 } else { 0 };
        let window: String = shown.iter().skip(skip).take(MAX_SHOWN).collect();
        let carets = length.clamp(1, (MAX_SHOWN + skip).saturating_sub(column - 1).max(1));
        let gutter = format!("  {line_number} | ");
        writeln!(f, "{gutter}{}", window.trim_end())?;
        let indent = gutter.chars().count() + column - 1 - skip;
        let note = problem.note.as_deref().map(|note| format!(" {note}")).unwrap_or_default();
        writeln!(f, "{}{}{note}", " ".repeat(indent), "^".repeat(carets))
    }
}

fn note_alone(problem: &Problem, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    problem.note.as_deref().map_or(Ok(()), |note| writeln!(f, "       {note}"))
}

/// The last character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            self.one(problem, f)?;
        }
        if let Some(name) = &self.name {
            write!(
                f,
                "hint: slipswitch config check {name}     schema: slipswitch config schema > slipswitch.schema.json"
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The known word nearest to `word`, if it is near enough to be what was meant.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = word.to_lowercase();
    // One slip per three letters, one at least: beyond that a guess annoys.
    let reach = (word.chars().count() / 3).max(1);
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= reach)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| *candidate)
        // `api_key` is far from `key` by letters, not by meaning.
        .or_else(|| known.iter().copied().find(|candidate| lower.split(['_', '-']).any(|part| part == *candidate)))
}

/// `did you mean` the nearest, or else the whole list when it is short enough to read.
pub fn suggestion(word: &str, known: &[&str]) -> Option<String> {
    match nearest(word, known) {
        Some(meant) => Some(format!("did you mean `{meant}`?")),
        None if known.is_empty() || known.len() > 24 => None,
        None => Some(format!("known: {}", known.join(", "))),
    }
}
