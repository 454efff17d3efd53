//! `cargo xtask screens`: pictures of the pages, for the documentation and for whoever changes how they look.
//!
//! The tour is the one that the tests take (`crates/portcullis/tests/pages`), so that a picture shows what is tested.

use crate::{parts, test, workspace};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// Where the pictures lie.
const FOLDER: &str = "docs/screens";
/// Bytes of a picture at most: few dozens of them are cloned by everybody.
const BYTES: u64 = 60 * 1024;
/// Colours of a picture: the pages have few, and letters have edges.
const COLOURS: &str = "64";
/// The test that takes them.
const TEST: &str = "nothing_stands_out";

/// Takes every picture anew.
///
/// # Errors
/// When a part is missing, something does not build, or a page is not as it should be.
pub(crate) fn run(args: &[String]) -> Result<()> {
    if let Some(arg) = args.first() {
        bail!("screens takes no argument, not even {arg:?}");
    }
    parts::debian(parts::FOR_TESTS)?;
    parts::debian(parts::FOR_SCREENS)?;
    parts::fonts()?;
    workspace::run(workspace::cargo().args(["build", "--package", "portcullis"]))?;
    let folder = workspace::root().join(FOLDER);
    std::fs::create_dir_all(&folder).context("cannot make the folder")?;
    let mut runner = test::runner();
    test::environment(&mut runner);
    runner.args(["--package", "portcullis", "--test", "pages", TEST]);
    workspace::run(runner.env("PORTCULLIS_SCREENS", &folder))?;
    shrink(&folder)
}

/// Gives each picture a palette, and looks that it is small.
fn shrink(folder: &Path) -> Result<()> {
    let mut count = 0_usize;
    for entry in std::fs::read_dir(folder).context("cannot read the folder")? {
        let path = entry?.path();
        if path.extension().is_none_or(|it| it != "png") {
            continue;
        }
        let mut quant = Command::new("pngquant");
        quant.args(["--force", "--strip", "--nofs", "--speed", "1", "--ext", ".png", COLOURS]);
        workspace::run(quant.arg(&path))?;
        let bytes = std::fs::metadata(&path)?.len();
        if bytes > BYTES {
            bail!("{} has {bytes} bytes, {BYTES} at most", path.display());
        }
        count += 1;
    }
    println!("{count} pictures lie in {FOLDER}");
    Ok(())
}
