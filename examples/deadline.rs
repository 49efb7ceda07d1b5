//! Work that stops at a deadline, in the middle of a tree of tokens.
//!
//! A request has three parts, each of which has a token of its own. One of them may take 20 ms, no more; the others take
//! as long as the request. Go's `context.WithTimeout`.

use phalanx::{CancelReason, CancelToken, WaitGroup, channel, select};
use std::time::{Duration, Instant};

/// Finds primes until the token is cancelled. Returns how many it has found.
fn primes(token: &CancelToken) -> usize {
    let is_prime = |n: &u64| (2..).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    (2..).take_while(|_| !token.is_cancelled()).filter(is_prime).count()
}

/// Answers questions until there are no more, or the token is cancelled.
fn answers(token: &CancelToken, questions: &channel::Receiver<u64>) -> Result<u64, CancelReason> {
    let mut sum = 0;
    loop {
        select! {
            recv(questions) -> question => match question {
                Ok(n) => sum += n,
                Err(_) => return Ok(sum),
            },
            cancelled(token) -> reason => return Err(reason),
        }
    }
}

/// Sleeps until the token is cancelled, and says why.
fn sleeps(token: &CancelToken) -> String {
    token
        .wait_timeout(Duration::from_secs(3_600))
        .map_or("slept".to_owned(), |reason| reason.to_string())
}

fn main() {
    let request = CancelToken::new();
    let (asking, questions) = channel::bounded(8);
    let (report, reports) = channel::unbounded();
    let start = Instant::now();

    // The part in the middle: its deadline is its own, and that of the part below it.
    let search = request.with_timeout(Duration::from_millis(20));
    let parts = WaitGroup::new();
    parts.go({
        let (token, report) = (search.child(), report.clone());
        move || {
            let found = primes(&token);
            let reason = token.reason().expect("it stopped because it was cancelled");
            report.send(format!("search: {reason}")).unwrap();
            assert!(found > 0);
        }
    });
    parts.go({
        let (token, report) = (request.child(), report.clone());
        move || {
            let sum = answers(&token, &questions).expect("it isn't cancelled");
            report.send(format!("answers: {sum}")).unwrap();
        }
    });
    let sleeper = WaitGroup::new();
    sleeper.go({
        let token = request.child();
        move || report.send(format!("sleeper: {}", sleeps(&token))).unwrap()
    });

    // The search stops at its deadline, and nothing else does.
    assert!(matches!(search.wait(), CancelReason::DeadlineExceeded));
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert!(!request.is_cancelled());
    asking.send_many(1..=100).unwrap();
    drop(asking);
    parts.wait();

    // The rest stops with the request.
    request.cancel_with("the client has hung up");
    sleeper.wait();
    let mut reports: Vec<String> = reports.iter().collect();
    reports.sort();
    for line in &reports {
        println!("{line}");
    }
    assert_eq!(
        reports,
        ["answers: 5050", "search: deadline exceeded", "sleeper: the client has hung up"]
    );
}
