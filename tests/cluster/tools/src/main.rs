//! Builds the programs of the test cluster ahead of time, and prints their folder.

fn main() -> anyhow::Result<()> {
    let tools = test_tools::Tools::ensure()?;
    test_tools::AlertingTools::ensure()?;
    println!("{}", tools.folder().display());
    Ok(())
}
