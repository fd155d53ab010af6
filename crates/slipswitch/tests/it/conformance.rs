//! The conformance matrix: every surface a client may knock at, every dialect a provider may speak, every feature; end to end over
//! real sockets, judged by what the client hears and by what reached the provider.
//!
//! The matrix is published as `docs/conformance.md`, and this test fails when that page says more, or less, than is true.
//! A new `Dialect`, `Surface` or feature becomes a row, a table or a column by itself; what has to be said about it is asked for by
//! the compiler, or by a panic that names the place.

mod bed;
mod feature;
mod limits;
mod page;
mod spell;

use crate::corpus::Surface;
use bed::Bed;
use feature::Feature;
use slip_ir::Dialect;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

/// Set to anything, the page is written instead of compared.
const WRITE: &str = "SLIPSWITCH_CONFORMANCE";
/// From this crate.
const PAGE: &str = "../../docs/conformance.md";

/// One square of the matrix.
struct Cell {
    surface: Surface,
    dialect: Dialect,
    feature: Feature,
    verdict: Verdict,
}

enum Verdict {
    /// With what was lost on the way, as the records of the requests tell it.
    Works(BTreeSet<String>),
    /// One of the two has no such thing.
    Cannot(&'static str),
    Fails(Vec<(String, String)>),
}

#[tokio::test]
async fn every_surface_reaches_every_dialect_as_the_page_says() {
    let bed = Arc::new(Bed::start().await);
    let walks: Vec<_> = Dialect::ALL.into_iter().map(|dialect| tokio::spawn(walk(bed.clone(), dialect))).collect();
    let mut cells = Vec::new();
    for walk in walks {
        cells.extend(walk.await.expect("a row of the matrix is walked to its end"));
    }
    let text = page::write(&cells);
    // Past the test runner, which keeps what a passing test prints to itself.
    let _ = std::io::stdout().write_all(format!("\n{text}\n{}", told(&cells)).as_bytes());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &text).expect("the page can be written");
        return;
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    let broken = page::broken(&published, &cells);
    assert!(broken.is_empty(), "documented as working, and does not (see why above):\n{}", broken.join("\n"));
    assert!(
        published == text,
        "docs/conformance.md is out of date: run `cargo xtask conformance` and look at what changed"
    );
}

/// All that is asked of one provider, one after the other: whatever reached it last is what was just asked.
async fn walk(bed: Arc<Bed>, dialect: Dialect) -> Vec<Cell> {
    let mut cells = Vec::new();
    for surface in Surface::callers() {
        for feature in Feature::ALL {
            let verdict = match limits::reason(surface, dialect, feature) {
                Some(why) => Verdict::Cannot(why),
                None => feature.walk(&bed, surface, dialect).await,
            };
            cells.push(Cell { surface, dialect, feature, verdict });
        }
    }
    cells
}

/// What failed and why, and how many of each there are.
fn told(cells: &[Cell]) -> String {
    let mut out = String::new();
    let (mut works, mut cannot, mut fails) = (0, 0, 0);
    for cell in cells {
        match &cell.verdict {
            Verdict::Works(_) => works += 1,
            Verdict::Cannot(_) => cannot += 1,
            Verdict::Fails(found) => {
                fails += 1;
                for (check, what) in found {
                    let what: String = what.chars().take(600).collect();
                    out += &format!("FAILED {} to {}: {check}: {what}\n", cell.surface.name(), cell.dialect);
                }
            }
        }
    }
    out + &format!("conformance: {works} work, {fails} fail, {cannot} cannot exist\n")
}
