//! What cannot exist, and why: one line for each gap of the matrix that is nobody's fault.

use super::feature::Feature;
use crate::corpus::Surface;
use slip_ir::Dialect;

/// Whose the gap is: it is there whatever stands on the other side.
enum Whose {
    Client(&'static str),
    Provider(Dialect),
}

use Feature::{Files, Images, Parallel, Reasoning, Results, Structured, Tools, Turns};
use Whose::{Client, Provider};

/// A client is named by its surface's dialect, so that a row may be written before the surface is.
const LIMITS: &[(Whose, &[Feature], &str)] = &[
    (
        Client("openai-completions"),
        &[Turns, Tools, Parallel, Results, Images, Files, Structured, Reasoning],
        "legacy completions know a prompt and a text, and nothing else",
    ),
    (
        Provider(Dialect::Completions),
        &[Turns, Tools, Parallel, Results, Images, Files, Structured, Reasoning],
        "legacy completions know a prompt and a text, and nothing else",
    ),
    (Client("ollama-generate"), &[Turns, Tools, Parallel, Results], "Ollama's generate takes one prompt and no tools"),
    (
        Provider(Dialect::OllamaGenerate),
        &[Turns, Tools, Parallel, Results],
        "Ollama's generate takes one prompt and no tools",
    ),
    (Client("ollama"), &[Files], "Ollama has no file input"),
    (Client("ollama-generate"), &[Files], "Ollama has no file input"),
    (Provider(Dialect::Ollama), &[Files], "Ollama has no file input"),
    (Provider(Dialect::OllamaGenerate), &[Files], "Ollama has no file input"),
    (Client("cohere"), &[Files], "Cohere's chat takes text and images"),
    (Provider(Dialect::Cohere), &[Files], "Cohere's chat takes text and images"),
];

/// Why there can be nothing in this cell.
pub fn reason(surface: Surface, dialect: Dialect, feature: Feature) -> Option<&'static str> {
    let meant = |whose: &Whose| match whose {
        Client(name) => *name == surface.dialect(),
        Provider(provider) => *provider == dialect,
    };
    LIMITS.iter().find(|(whose, features, _)| meant(whose) && features.contains(&feature)).map(|(_, _, why)| *why)
}
