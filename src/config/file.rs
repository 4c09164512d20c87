//! Files that a person writes: read whole, but never without end.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A configuration, a definition or a query beyond this is a mistake.
const MAX_BYTES: u64 = 1 << 20;

/// The text of a configuration, definition or query file.
///
/// # Errors
/// If it can't be read, is no UTF-8, or has more than 1 MiB; a device that never ends has that too.
pub fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!(
            "has more than {MAX_BYTES} bytes; no more are read"
        )));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_end_is_refused() {
        let error = read_text(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "has more than 1048576 bytes; no more are read"
        );
    }
}
