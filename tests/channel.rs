//! What channels do, call by call.
use phalanx::channel::{self, *};
use phalanx::thread;
#[test]
fn smoke() {
    for cap in [Some(0), Some(1), Some(10), Some(1024), Some(usize::MAX), None] {
        for (p, c) in [(1, 1), (2, 2), (3, 1), (1, 3)] {
            let (s, r) = match cap {
                Some(n) => channel::bounded(n),
                None => channel::unbounded(),
            };
            let n = 20_000u64;
            let total: u64 = thread::scope(|scope| {
                for _ in 0..p {
                    let s = s.clone();
                    scope.spawn(move || {
                        for i in 1..=n {
                            s.send(Box::new(i)).unwrap()
                        }
                    });
                }
                let handles: Vec<_> = (0..c)
                    .map(|_| {
                        let r = r.clone();
                        scope.spawn(move || r.iter().map(|b| *b).sum::<u64>())
                    })
                    .collect();
                drop(s);
                drop(r);
                handles.into_iter().map(|h| h.join().unwrap()).sum()
            });
            assert_eq!(total, p as u64 * n * (n + 1) / 2);
        }
    }
}
