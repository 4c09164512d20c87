//! Numbers that look random and are a function of what they are asked for.

use uuid::Uuid;

/// One step of splitmix64: a bijection that scatters its input over all 64 bits.
const fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A sequence of numbers that depends on its keys alone, e.g. (seed, what, VM, minute).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(keys: &[u64]) -> Self {
        Self(keys.iter().fold(0, |state, &key| mix(state ^ mix(key))))
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// From 0 (inclusive) to 1 (exclusive).
    pub fn unit(&mut self) -> f64 {
        // 53 bits are what a double holds.
        (self.roll() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// From `low` to `high`, both inclusive; `low` if there is nothing between them.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let width = high.wrapping_sub(low).max(0) as u64;
        low.wrapping_add((self.roll() % width.saturating_add(1)) as i64)
    }

    /// True in this share of rolls.
    pub fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    pub fn pick<T: Copy, const N: usize>(&mut self, items: [T; N]) -> T {
        const { assert!(N > 0) };
        items[(self.roll() % N as u64) as usize]
    }

    /// A version 4 UUID.
    pub fn guid(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(
            (u128::from(self.roll()) << 64 | u128::from(self.roll())).to_be_bytes(),
        )
        .into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_keys_give_the_same_numbers_and_others_do_not() {
        let rolls = |keys: &[u64]| {
            let mut dice = Dice::new(keys);
            [dice.roll(), dice.roll(), dice.roll()]
        };
        assert_eq!(rolls(&[1, 2, 3]), rolls(&[1, 2, 3]));
        assert_ne!(rolls(&[1, 2, 3]), rolls(&[1, 3, 2]));
        assert_ne!(rolls(&[0]), rolls(&[0, 0]));
    }

    #[test]
    fn ranges_hold_and_are_filled() {
        let mut dice = Dice::new(&[7]);
        let rolls: Vec<_> = (0..1000).map(|_| dice.between(-2, 2)).collect();
        assert_eq!(
            (rolls.iter().min(), rolls.iter().max()),
            (Some(&-2), Some(&2))
        );
        assert_eq!(dice.between(5, 4), 5);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&dice.unit())));
        let hits = (0..10_000).filter(|_| dice.chance(0.1)).count();
        assert!((800..1200).contains(&hits), "{hits}");
        assert_eq!(dice.guid().get_version_num(), 4);
    }
}
