//! Random choices with fixed seeds: which key, and read or write.
//!
//! Every contender of a row follows the same script. It is drawn once before the row, so that drawing
//! costs nothing inside a window. Go draws the same script from the same generator.

/// Marks a script entry as a write; the rest of the entry is the key.
pub const WRITE: u32 = 1 << 31;

/// Length of a script. A power of two, and more than the number of keys.
pub const SCRIPT: usize = 1 << 18;

/// SplitMix64: small, well mixed, and the same few lines in Go.
#[derive(Clone)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    #[inline]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..1`.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Zipf's law over `0..n` with exponent 1: key `k` is drawn `1 / (k + 1)` times as often as key 0.
/// Draws by binary search in the cumulative weights.
pub struct Zipf {
    cumulative: Vec<f64>,
}

impl Zipf {
    pub fn new(n: usize) -> Self {
        let mut total = 0.0;
        let cumulative = (1..=n)
            .map(|rank| {
                total += 1.0 / rank as f64;
                total
            })
            .collect();
        Self { cumulative }
    }

    pub fn draw(&self, rng: &mut Rng) -> usize {
        let total = self.cumulative[self.cumulative.len() - 1];
        let at = rng.unit() * total;
        self.cumulative.partition_point(|&sum| sum <= at)
    }
}

/// Draws a script of `SCRIPT` operations over `keys` keys.
pub fn script(keys: usize, zipf: bool, reads_per_mille: u64, seed: u64) -> Vec<u32> {
    let mut rng = Rng::new(seed);
    let law = zipf.then(|| Zipf::new(keys));
    (0..SCRIPT)
        .map(|_| {
            let key = match &law {
                Some(law) => law.draw(&mut rng),
                None => (rng.next() % keys as u64) as usize,
            } as u32;
            let write = rng.next() % 1000 >= reads_per_mille;
            if write { key | WRITE } else { key }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_draws_the_first_key_as_often_as_its_weight_says() {
        let (law, mut rng) = (Zipf::new(1000), Rng::new(7));
        let first = (0..100_000).filter(|_| law.draw(&mut rng) == 0).count() as f64;
        // 1 / H(1000), H(1000) being 7.485.
        assert!((first / 100_000.0 - 1.0 / 7.485).abs() < 0.005, "{first}");
    }

    #[test]
    fn zipf_halves_from_the_first_rank_to_the_second() {
        let (law, mut rng) = (Zipf::new(100), Rng::new(11));
        let mut seen = [0u32; 100];
        for _ in 0..200_000 {
            seen[law.draw(&mut rng)] += 1;
        }
        let ratio = f64::from(seen[0]) / f64::from(seen[1]);
        assert!((1.9..2.1).contains(&ratio), "{ratio}");
    }

    #[test]
    fn a_script_holds_the_asked_share_of_writes_and_only_known_keys() {
        let script = script(10_000, false, 950, 1);
        let writes = script.iter().filter(|&&op| op & WRITE != 0).count() as f64;
        assert!((writes / SCRIPT as f64 - 0.05).abs() < 0.003);
        assert!(script.iter().all(|op| op & !WRITE < 10_000));
    }

    #[test]
    fn the_same_seed_draws_the_same_script() {
        assert_eq!(script(100, true, 500, 3), script(100, true, 500, 3));
        assert_ne!(script(100, true, 500, 3), script(100, true, 500, 4));
    }

    /// Go's test of its own script expects the same numbers.
    #[test]
    fn scripts_are_the_same_as_in_go() {
        let sum = |script: Vec<u32>| {
            let fold = |sum: u64, op| sum.wrapping_mul(31).wrapping_add(u64::from(op));
            script.into_iter().fold(0, fold)
        };
        assert_eq!(sum(script(10_000, false, 950, 42)), 12_641_045_546_789_422_183);
        assert_eq!(sum(script(100_000, true, 500, 42)), 5_937_860_855_901_540_141);
    }

    #[test]
    fn the_generator_is_splitmix64() {
        // The first output for seed 0 of the published reference.
        assert_eq!(Rng::new(0).next(), 0xe220_a839_7b1d_cdaf);
    }
}
