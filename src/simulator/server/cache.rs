//! Recent answers, which the service gives again for two minutes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

/// What makes two requests the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The resource whose rows it is over; `None` for all.
    pub resource: Option<String>,
    pub query: String,
    pub timespan: Option<String>,
    pub statistics: bool,
    pub render: bool,
}

/// Complete answers by request.
#[derive(Default)]
pub struct Cache(Mutex<HashMap<Key, (Instant, Bytes)>>);

const LONGEST: Duration = Duration::from_secs(120);
const MAX_ENTRIES: usize = 256;
const MAX_BYTES: usize = 8 << 20;

impl Cache {
    /// The answer and its age, if one was given less than `max_age` ago.
    pub fn get(&self, key: &Key, max_age: Duration, now: Instant) -> Option<(Bytes, Duration)> {
        if max_age.is_zero() {
            return None;
        }
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (given, body) = entries.get(key)?;
        let age = now.saturating_duration_since(*given);
        (age < max_age.min(LONGEST)).then(|| (body.clone(), age))
    }

    /// Remembers an answer, unless it is large: those are few, and memory is not.
    pub fn put(&self, key: Key, body: &Bytes, now: Instant) {
        if body.len() > MAX_BYTES {
            return;
        }
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, (given, _)| now.saturating_duration_since(*given) < LONGEST);
        if entries.len() < MAX_ENTRIES {
            entries.insert(key, (now, body.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_lives_for_as_long_as_it_may() {
        let key = |query: &str| Key {
            resource: None,
            query: query.into(),
            timespan: None,
            statistics: false,
            render: false,
        };
        let cache = Cache::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let age = |max_age, now| {
            let found = cache.get(&key("T"), Duration::from_secs(max_age), at(now));
            found.map(|(_, age)| age.as_secs())
        };
        cache.put(key("T"), &Bytes::from_static(b"{}"), start);
        assert_eq!(age(120, 13), Some(13));
        assert_eq!(age(10, 13), None);
        assert_eq!(age(0, 0), None);
        assert_eq!(age(9999, 120), None);
        assert!(cache.get(&key("U"), LONGEST, start).is_none());
        cache.put(key("U"), &Bytes::new(), at(200));
        assert_eq!(cache.0.lock().unwrap().len(), 1, "what is old goes");
    }
}
