//! Says which commit is built, for `--version` and `vminsights_exporter_build_info`.
//!
//! A source tree without git (a released archive, a container's build context) names it by the
//! environment: `VMINSIGHTS_REVISION` and `VMINSIGHTS_REVISION_DATE`. Else both are `unknown`. The
//! date is the commit's, not the build's, so that one source gives one program.

use std::process::Command;

fn main() {
    for (variable, format) in [
        ("VMINSIGHTS_REVISION", "--format=%h"),
        ("VMINSIGHTS_REVISION_DATE", "--format=%cs"),
    ] {
        println!("cargo::rerun-if-env-changed={variable}");
        let value = std::env::var(variable)
            .ok()
            .or_else(|| git(&["log", "-1", format]))
            .unwrap_or_else(|| "unknown".into());
        println!("cargo::rustc-env={variable}={value}");
    }
    // A new commit moves one of these; a path that is not there would build again each time.
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file])
            && std::path::Path::new(&path).exists()
        {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    println!("cargo::rerun-if-changed=build.rs");
}

/// What git says, if this is a git checkout and git is there.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}
