//! The texts of one column while an answer is read, each held in memory once.
//!
//! A large answer says the same things over and over: its rows are a few disks, ports or processes of
//! each VM, and the VM's resource id alone is most of the bytes.

use std::collections::HashSet;
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Texts {
    known: HashSet<Arc<str>>,
    /// The text before, which often comes again: no need to hash it.
    last: Option<Arc<str>>,
}

impl Texts {
    /// This text, in the memory of an equal one that was here before.
    pub fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(last) = &self.last
            && **last == *text
        {
            return last.clone();
        }
        let shared = match self.known.get(text) {
            Some(known) => known.clone(),
            None => {
                let new: Arc<str> = text.into();
                self.known.insert(new.clone());
                new
            }
        };
        self.last = Some(shared.clone());
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one() {
        let mut texts = Texts::default();
        let [root, var, again, once_more] = ["/", "/var", "/", "/"].map(|text| texts.share(text));
        assert_eq!([&*root, &*var, &*again], ["/", "/var", "/"]);
        assert!(Arc::ptr_eq(&root, &again));
        assert!(Arc::ptr_eq(&root, &once_more));
        assert!(!Arc::ptr_eq(&root, &var));
    }
}
