//! Embeds the catalogue: one row (file name, text) per file of `catalog/models` and `catalog/endpoints`, so that a new file needs
//! no code.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

fn main() -> io::Result<()> {
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?);
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let catalog = here.join("../../catalog");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={}", catalog.display());
    let mut code = String::new();
    for (table, folder) in [("MODELS", "models"), ("ENDPOINTS", "endpoints")] {
        let _ = writeln!(code, "pub(super) static {table}: &[(&str, &str)] = &[");
        for file in files(&catalog.join(folder))? {
            let name = format!("{folder}/{}", file.file_name().unwrap_or_default().to_string_lossy());
            let _ = writeln!(code, "    ({name:?}, include_str!({:?})),", file.display().to_string());
        }
        code.push_str("];\n");
    }
    fs::write(out.join("catalog.rs"), code)
}

/// The `.toml` files of a folder, by name: the order of the table is the same on every machine.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut all = fs::read_dir(folder)?.map(|e| e.map(|e| e.path())).collect::<io::Result<Vec<_>>>()?;
    all.retain(|p| p.extension().is_some_and(|e| e == "toml"));
    all.sort();
    Ok(all)
}
