//! The built-in packs: folders of definitions, embedded as they lie in `packs/`.

use include_dir::{Dir, include_dir};

static PACKS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/catalogue/packs");

/// The packs' names, sorted.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = PACKS.dirs().filter_map(|dir| dir.path().to_str()).collect();
    names.sort_unstable();
    names
}

/// The files of a pack, as (path within the packs, text); `None` if there is no such pack.
pub fn files(pack: &str) -> Option<Vec<(&'static std::path::Path, &'static str)>> {
    // A name such as "vm/../feed" is no pack's, whatever the folder makes of it.
    if !names().contains(&pack) {
        return None;
    }
    let files = PACKS.get_dir(pack)?.files();
    Some(
        files
            .filter_map(|file| Some((file.path(), file.contents_utf8()?)))
            .collect(),
    )
}
