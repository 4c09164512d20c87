//! The texts of one column while an answer is read, each held in memory once.
//!
//! A large answer says the same things over and over: its rows are a few disks, ports or processes of
//! each VM, and the VM's resource id alone is most of the bytes.

use std::collections::HashSet;
use std::sync::Arc;

/// So many texts show whether those of the column come again.
const TRIAL: usize = 16_384;
/// One in so many must have done so; in random order one in twelve has when each comes four times in
/// 400,000 rows.
const SHARED_ONE_IN: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Texts {
    known: HashSet<Arc<str>>,
    /// How often a text was known.
    shared: usize,
    /// Whether the texts come but once: looking for them would cost more than it saves.
    hopeless: bool,
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
        let shared = self.find(text);
        self.last = Some(shared.clone());
        shared
    }

    fn find(&mut self, text: &str) -> Arc<str> {
        if self.hopeless {
            return text.into();
        }
        if let Some(known) = self.known.get(text) {
            self.shared += 1;
            return known.clone();
        }
        let new: Arc<str> = text.into();
        self.known.insert(new.clone());
        if self.known.len() == TRIAL && self.shared < TRIAL / SHARED_ONE_IN {
            self.hopeless = true;
            self.known = HashSet::new();
        }
        new
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

    #[test]
    fn a_column_whose_texts_come_once_is_not_searched_for_ever() {
        let fill = |texts: &mut Texts| {
            for number in 0..TRIAL {
                texts.share(&number.to_string());
            }
        };
        let comes_again = |texts: &mut Texts| {
            let first = texts.share("again");
            texts.share("between");
            Arc::ptr_eq(&first, &texts.share("again"))
        };
        let mut unique = Texts::default();
        fill(&mut unique);
        assert!(!comes_again(&mut unique));
        assert!(unique.known.is_empty());

        let mut repeated = Texts::default();
        for _ in 0..TRIAL / SHARED_ONE_IN {
            repeated.share("a");
            repeated.share("b");
        }
        fill(&mut repeated);
        assert!(comes_again(&mut repeated));
    }
}
