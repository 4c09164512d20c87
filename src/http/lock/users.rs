//! Basic authentication against bcrypt hashes.
//!
//! A hash is dear to check, by intent. So one password is checked at a time, off the threads that
//! serve; and a password that was right is remembered, as a keyed digest that is of no use outside this
//! process. Wrong ones are not remembered: no flood of them can push a right one out.
//!
//! The rest wait in lines, each in the order of arrival: one password of each connection waits with
//! those of its address, and one of each address for its turn. So a flood from elsewhere delays a
//! scraper by one check for each address, and a flood from its own address by one for each connection,
//! whatever they send. There is no pause after a wrong password: who floods would hang up and come
//! again, and only who mistyped would wait.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::http::HeaderValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::config::Secret;

/// For a turn. A scraper gives up after 10 s if it was not told otherwise.
const MAX_WAIT: Duration = Duration::from_secs(8);
/// Addresses share them by chance, anew in each process, so that their number has a bound.
const LINES: usize = 64;
/// Only right passwords come in, so users are what fills it; beyond this it starts anew.
const MAX_REMEMBERED: usize = 256;

pub struct Doorkeeper {
    /// Made at the start; without randomness nothing is remembered.
    key: Option<hmac::Key>,
    remembered: std::sync::Mutex<HashSet<[u8; 32]>>,
    lines: [Mutex<()>; LINES],
    chance: RandomState,
    checking: Arc<Mutex<()>>,
}

/// Who asks: one connection.
#[derive(Default)]
pub struct Visitor {
    /// `None` over a Unix socket.
    address: Option<IpAddr>,
    /// Many requests may come at once over HTTP/2.
    line: Mutex<()>,
}

impl Visitor {
    pub fn new(address: Option<IpAddr>) -> Self {
        // One host has as many addresses as it likes within an IPv6 network.
        let address = address.map(|address| match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
            v4 => v4,
        });
        Self {
            address,
            line: Mutex::default(),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Known,
    /// No credentials, or wrong ones.
    Unknown,
    /// Its turn did not come in time.
    Busy,
}

impl Doorkeeper {
    pub fn new() -> Self {
        Self {
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok(),
            remembered: Default::default(),
            lines: std::array::from_fn(|_| Mutex::default()),
            chance: RandomState::new(),
            checking: Arc::default(),
        }
    }

    pub async fn judge(
        &self,
        visitor: &Visitor,
        users: &HashMap<String, Secret>,
        header: Option<HeaderValue>,
    ) -> Verdict {
        let Some(credentials) = header.as_ref().and_then(Credentials::parse) else {
            return Verdict::Unknown;
        };
        let stored = users.get(credentials.user());
        let digest = stored.and_then(|hash| self.digest(&credentials, hash));
        if digest.is_some_and(|digest| self.remembers(&digest)) {
            return Verdict::Known;
        }
        // An unknown user takes as long as a known one whose hash is the dearest: how long an answer
        // takes does not tell which names exist, as long as all hashes cost the same.
        let Some(hash) = stored.or_else(|| users.values().max_by_key(|hash| cost(hash))) else {
            return Verdict::Unknown;
        };
        let turn = async {
            let lines = (visitor.line.lock().await, self.line(visitor).lock().await);
            (lines, self.checking.clone().lock_owned().await)
        };
        let Ok((_lines, turn)) = tokio::time::timeout(MAX_WAIT, turn).await else {
            return Verdict::Busy;
        };
        let hash = hash.clone();
        // The turn goes along: a client that leaves does not make room for a second check meanwhile.
        let checked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            bcrypt::verify(credentials.password(), hash.expose()).unwrap_or(false)
        });
        let right = checked.await.unwrap_or(false);
        if !right || stored.is_none() {
            return Verdict::Unknown;
        }
        if let Some(digest) = digest {
            self.remember(digest);
        }
        Verdict::Known
    }

    fn line(&self, visitor: &Visitor) -> &Mutex<()> {
        let [first, ..] = &self.lines;
        let index = self.chance.hash_one(visitor.address) % LINES as u64;
        usize::try_from(index)
            .ok()
            .and_then(|index| self.lines.get(index))
            .unwrap_or(first)
    }

    /// Of user, password and hash: another hash in the file, and nothing is remembered of the user.
    fn digest(&self, credentials: &Credentials, hash: &Secret) -> Option<[u8; 32]> {
        let mut context = hmac::Context::with_key(self.key.as_ref()?);
        // Neither holds a NUL that could move the border: hashes are base64, and the rest is one text.
        context.update(hash.expose().as_bytes());
        context.update(b"\0");
        context.update(&credentials.decoded);
        context.sign().as_ref().try_into().ok()
    }

    fn remembers(&self, digest: &[u8; 32]) -> bool {
        let remembered = self.remembered.lock();
        let remembered = remembered.unwrap_or_else(PoisonError::into_inner);
        remembered.contains(digest)
    }

    fn remember(&self, digest: [u8; 32]) {
        let remembered = self.remembered.lock();
        let mut remembered = remembered.unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(digest);
    }
}

fn cost(hash: &Secret) -> u32 {
    let parts = hash.expose().parse::<bcrypt::HashParts>();
    parts.map_or(0, |parts| parts.get_cost())
}

/// `user:password`; wiped when dropped.
struct Credentials {
    decoded: Zeroizing<Vec<u8>>,
    colon: usize,
}

impl Credentials {
    fn parse(header: &HeaderValue) -> Option<Self> {
        let (scheme, rest) = header.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = Zeroizing::new(STANDARD.decode(rest.trim_matches(' ')).ok()?);
        let colon = decoded.iter().position(|b| *b == b':')?;
        std::str::from_utf8(decoded.get(..colon)?).ok()?;
        Some(Self { decoded, colon })
    }

    fn user(&self) -> &str {
        let user = self.decoded.get(..self.colon).unwrap_or_default();
        std::str::from_utf8(user).unwrap_or_default()
    }

    fn password(&self) -> &[u8] {
        self.decoded.get(self.colon + 1..).unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "users_tests.rs"]
mod tests;
