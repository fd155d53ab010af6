//! Tables for people, and the same as CSV for spreadsheets.

use std::io::{Result, Write};

/// How a column stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

/// Longer texts than this are cut in tables.
const WIDEST: usize = 48;

/// Head and rows in columns.
pub fn table(out: &mut impl Write, head: &[(&str, Side)], rows: &[Vec<String>]) -> Result<()> {
    let cell = |text: &str| -> String {
        let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        match plain.char_indices().nth(WIDEST) {
            Some((at, _)) => format!("{}…", &plain[..at]),
            None => plain,
        }
    };
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|text| cell(text)).collect()).collect();
    let width = |n: usize| {
        let cells = rows.iter().filter_map(|row| row.get(n)).map(|text| text.chars().count());
        cells.chain(head.get(n).map(|(name, _)| name.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let heads: Vec<String> = head.iter().map(|(name, _)| (*name).to_owned()).collect();
    for row in std::iter::once(&heads).chain(&rows) {
        let cells = row.iter().zip(head).zip(&widths).map(|((text, (_, side)), width)| match side {
            Side::Left => format!("{text:<width$}"),
            Side::Right => format!("{text:>width$}"),
        });
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// One line of CSV (RFC 4180). A text that a spreadsheet would take for a formula is told as text.
pub fn csv(out: &mut impl Write, cells: &[String]) -> Result<()> {
    let told = |text: &String| {
        let formula =
            text.starts_with(['=', '+', '@', '\t', '\r']) || text.starts_with('-') && text.parse::<f64>().is_err();
        let text = if formula { format!("'{text}") } else { text.clone() };
        if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
    };
    writeln!(out, "{}", cells.iter().map(told).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_quotes_what_needs_it_and_no_cell_is_a_formula() {
        let mut out = Vec::new();
        let cells = ["a", "b,c", "say \"no\"", "=1+1", "-0.5", "-x", ""].map(str::to_owned);
        csv(&mut out, &cells).expect("written");
        assert_eq!(String::from_utf8_lossy(&out), "a,\"b,c\",\"say \"\"no\"\"\",'=1+1,-0.5,'-x,\n");
    }

    #[test]
    fn tables_stand_in_columns() {
        let mut out = Vec::new();
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["longer".to_owned(), "23".to_owned()]];
        table(&mut out, &[("name", Side::Left), ("n", Side::Right)], &rows).expect("written");
        assert_eq!(String::from_utf8_lossy(&out), "name     n\na        1\nlonger  23\n");
    }
}
