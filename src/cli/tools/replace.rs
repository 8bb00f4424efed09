//! Files that are replaced at once.

use std::io::Write as _;
use std::path::Path;

use miette::{IntoDiagnostic as _, miette};

/// Replaces a file at once: whoever reads it sees the old one or the new one.
pub(super) fn write(path: &Path, text: &str) -> miette::Result<()> {
    let folder = path.parent().ok_or_else(|| miette!("no folder"))?;
    std::fs::create_dir_all(folder).into_diagnostic()?;
    // A leading dot: a reading of the directory leaves it alone.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}", std::process::id()));
    let written = std::fs::File::create(&temporary).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    });
    if written.is_err() {
        // The first error is the one that matters.
        let _ = std::fs::remove_file(&temporary);
    }
    written.into_diagnostic()
}
