//! `pictures draw`: writes `docs/images/*.svg`. `pictures record`: records a flip on a test cluster first.

use anyhow::{Context, bail};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = pictures::folder();
    let record = match std::env::args().nth(1).as_deref() {
        Some("draw") => pictures::committed_record()?,
        Some("record") => {
            let record = pictures::recording::record().await?;
            let json = serde_json::to_string_pretty(&record)? + "\n";
            let path = folder.join("flip.json");
            std::fs::write(&path, json).with_context(|| path.display().to_string())?;
            record
        }
        other => bail!("found {other:?}, expected draw or record"),
    };
    for (name, svg) in pictures::all(&record) {
        let path = folder.join(name);
        std::fs::write(&path, svg).with_context(|| path.display().to_string())?;
        println!("{}", path.display());
    }
    Ok(())
}
