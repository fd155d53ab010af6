//! The matrix as a page: a table per surface, a row per dialect, a column per feature, and notes.

use super::feature::Feature;
use super::{Cell, Verdict};
use crate::corpus::Surface;
use slip_ir::Dialect;
use std::fmt::Write as _;

const HEAD: &str = "\
# Conformance

What a client of each surface gets from a provider of each dialect. This page is written by `cargo xtask conformance` from what was seen:
every cell is a conversation over real sockets with a simulated provider, judged by what the client heard and by what had reached the
provider. The tests fail when a cell says more, or less, than is true.

`yes`: works. `no`: does not. `–`: one of the two has no such thing. Numbers point to the notes below: why there can be nothing, or what is
lost on the way (which the record of each request tells as well).

";

pub fn write(cells: &[Cell]) -> String {
    let mut out = HEAD.to_owned();
    for feature in Feature::ALL {
        let (name, says) = feature.name();
        let _ = writeln!(out, "- **{name}**: {says}");
    }
    let mut notes: Vec<String> = Vec::new();
    for surface in Surface::callers() {
        let _ = writeln!(out, "\n## {} (`{}`)\n", title(surface), surface.path("{model}", false));
        let names: Vec<&str> = Feature::ALL.iter().map(|f| f.name().0).collect();
        let _ = writeln!(out, "| provider speaks | {} |", names.join(" | "));
        let _ = writeln!(out, "|---|{}", "---|".repeat(names.len()));
        for dialect in Dialect::ALL {
            let mut row = format!("| `{dialect}` |");
            for feature in Feature::ALL {
                let cell = cells
                    .iter()
                    .find(|c| c.surface == surface && c.dialect == dialect && c.feature == feature)
                    .map_or(String::new(), |cell| square(cell, &mut notes));
                let _ = write!(row, " {cell} |");
            }
            let _ = writeln!(out, "{row}");
        }
    }
    if !notes.is_empty() {
        out.push_str("\n## Notes\n\n");
    }
    for (at, note) in notes.iter().enumerate() {
        let _ = writeln!(out, "{}. {note}", at + 1);
    }
    out
}

fn title(surface: Surface) -> String {
    let name = surface.name();
    let (first, rest) = name.split_at(1);
    first.to_uppercase() + rest
}

fn square(cell: &Cell, notes: &mut Vec<String>) -> String {
    let (word, said): (&str, Vec<String>) = match &cell.verdict {
        Verdict::Works(losses) => ("yes", losses.iter().map(|l| format!("lost: {l}")).collect()),
        Verdict::Cannot(why) => ("–", vec![(*why).to_owned()]),
        Verdict::Fails(_) => ("no", Vec::new()),
    };
    let mut numbers = Vec::new();
    for note in said {
        let at = notes.iter().position(|n| *n == note).unwrap_or_else(|| {
            notes.push(note);
            notes.len() - 1
        });
        numbers.push((at + 1).to_string());
    }
    if numbers.is_empty() { word.to_owned() } else { format!("{word} <sup>{}</sup>", numbers.join(" ")) }
}

/// The cells that a published page says work, and that do not.
pub fn broken(page: &str, cells: &[Cell]) -> Vec<String> {
    let failing = cells.iter().filter(|cell| matches!(cell.verdict, Verdict::Fails(_)));
    let broken = failing.filter(|cell| says_yes(page, cell).unwrap_or(false));
    let line = |cell: &Cell| format!("  {} to {}: {}", cell.surface.name(), cell.dialect, cell.feature.name().0);
    broken.map(line).collect()
}

fn says_yes(page: &str, cell: &Cell) -> Option<bool> {
    let section = page.split("\n## ").find(|s| s.starts_with(&format!("{} (", title(cell.surface))))?;
    let columns = |line: &str| line.split('|').map(|c| c.trim().to_owned()).collect::<Vec<_>>();
    let head = section.lines().find(|l| l.starts_with("| provider speaks")).map(columns)?;
    let row = section.lines().find(|l| l.starts_with(&format!("| `{}`", cell.dialect))).map(columns)?;
    let at = head.iter().position(|c| c == cell.feature.name().0)?;
    Some(row.get(at)?.starts_with("yes"))
}
