//! Writes `schemas/<table>.json`, one file per table, and `schemas/README.md`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    std::fs::create_dir_all(&folder)?;
    for (name, text) in schema::all() {
        std::fs::write(folder.join(format!("{name}.json")), text)?;
    }
    std::fs::write(folder.join("README.md"), schema::dictionary())
}
