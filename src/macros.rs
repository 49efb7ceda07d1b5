//! The macro `select!`. What it expands to stands in `channel/arms.rs`.

/// Waits for the first of several sends and receives that is ready, and does it. Go's `select`.
///
/// ```
/// use phalanx::{channel, select};
/// use std::time::Duration;
///
/// let (numbers, receiver) = channel::bounded(1);
/// let (words, other) = channel::unbounded();
/// numbers.send(1).unwrap();
///
/// select! {
///     recv(receiver) -> number => assert_eq!(number, Ok(1)),
///     recv(other) -> word => {
///         let _: Result<&str, _> = word;
///         unreachable!("nothing was sent");
///     }
///     default(Duration::from_secs(1)) => println!("timed out"),
/// }
/// # drop(words);
/// ```
///
/// # Cases
/// | case | |
/// | --- | --- |
/// | `recv(receiver) -> result => body` | receives; `result` is a `Result<T, RecvError>` |
/// | `send(sender, value) -> result => body` | sends; `result` is a `Result<(), SendError<T>>`. The value is dropped if another case is chosen |
/// | `send_from(sender, slot) -> result => body` | sends what is in a `&mut Option<T>`, which keeps the value if another case is chosen. `None` switches the case off |
/// | `cancelled(token) => body` | chosen when a [`CancelToken`](crate::CancelToken) is cancelled; `cancelled(token) -> reason => body` passes the reason |
/// | `default => body` | chosen if no case is ready: the select never blocks |
/// | `default(limit) => body` | chosen if no case becomes ready in time: `limit` is a `Duration` or an `Instant` |
///
/// There may be up to 32 cases, and one default, which stands last. For cases that are known only at run time there is
/// [`Select`](crate::channel::Select).
///
/// A case whose channel is closed is ready, and its result is an error. All expressions are evaluated first, in their
/// order. One of several ready cases is chosen at random, so that each gets its turn. A channel may be in several
/// cases. The pattern of a result must match all results, so write `-> result` and a `match` in the body, not `-> Ok(n)`. A
/// body may use `break`, `continue`, `return` and `?`. The value of the select is that of the chosen body.
///
/// A case that isn't chosen has no effect: it receives nothing, sends nothing, and takes no wake-up from others.
///
/// # Switching a case off
/// A receiver, a sender or a token may be an `Option`, or a reference to one. `None` switches the case off, as a nil channel
/// does in Go:
///
/// ```
/// use phalanx::{channel, select};
///
/// let receivers = [1, 2].map(|n| {
///     let (sender, receiver) = channel::unbounded();
///     sender.send(n).unwrap();
///     receiver
/// });
/// let [mut one, mut other] = receivers.map(Some);
/// let mut sum = 0;
/// while one.is_some() || other.is_some() {
///     select! {
///         recv(one) -> n => match n {
///             Ok(n) => sum += n,
///             Err(_) => one = None, // closed: always ready from now on, so switch it off
///         },
///         recv(other) -> n => match n {
///             Ok(n) => sum += n,
///             Err(_) => other = None,
///         },
///     }
/// }
/// assert_eq!(sum, 3);
/// ```
///
/// # Panics
/// If all cases are switched off and there is no default: it would block forever.
#[macro_export]
macro_rules! select {
    () => {
        ::std::compile_error!("a select without cases would block forever")
    };
    ($($tokens:tt)+) => {
        $crate::__phalanx_select!(@parse [] $($tokens)+)
    };
}

/// The steps of [`select!`](crate::select): reads the cases into a list, then makes the call and a match.
#[doc(hidden)]
#[macro_export]
macro_rules! __phalanx_select {
    // The end of the cases.
    (@parse [$($cases:tt)+]) => {
        $crate::__phalanx_select!(@run [$($cases)+] ($crate::channel::__select::Stop::never()) (
            ::std::unreachable!("a select without a default has chosen a case")
        ))
    };

    // `default`, which is the last.
    (@parse [$($cases:tt)*] default => $body:expr $(,)?) => {
        $crate::__phalanx_select!(
            @run [$($cases)*] ($crate::channel::__select::Stop::at_once()) ($body)
        )
    };
    (@parse [$($cases:tt)*] default() => $body:expr $(,)?) => {
        $crate::__phalanx_select!(
            @run [$($cases)*] ($crate::channel::__select::Stop::at_once()) ($body)
        )
    };
    (@parse [$($cases:tt)*] default($limit:expr) => $body:expr $(,)?) => {
        $crate::__phalanx_select!(
            @run [$($cases)*] ($crate::channel::__select::Stop::after($limit)) ($body)
        )
    };
    (@parse [$($cases:tt)*] default $(($($limit:tt)*))? => $($rest:tt)*) => {
        ::std::compile_error!("select!: the default stands last, once")
    };

    // A case, with a block or with an expression and a comma.
    (@parse [$($cases:tt)*] $kind:ident($($args:tt)*) -> $result:pat => $body:block, $($rest:tt)*) => {
        $crate::__phalanx_select!(@parse [$($cases)* { $kind ($($args)*) ($result) ($body) }] $($rest)*)
    };
    (@parse [$($cases:tt)*] $kind:ident($($args:tt)*) -> $result:pat => $body:block $($rest:tt)*) => {
        $crate::__phalanx_select!(@parse [$($cases)* { $kind ($($args)*) ($result) ($body) }] $($rest)*)
    };
    (@parse [$($cases:tt)*] $kind:ident($($args:tt)*) -> $result:pat => $body:expr, $($rest:tt)*) => {
        $crate::__phalanx_select!(@parse [$($cases)* { $kind ($($args)*) ($result) ($body) }] $($rest)*)
    };
    (@parse [$($cases:tt)*] $kind:ident($($args:tt)*) -> $result:pat => $body:expr) => {
        $crate::__phalanx_select!(@parse [$($cases)* { $kind ($($args)*) ($result) ($body) }])
    };
    // `cancelled` without the reason.
    (@parse [$($cases:tt)*] cancelled($($args:tt)*) => $body:block, $($rest:tt)*) => {
        $crate::__phalanx_select!(@parse [$($cases)* { cancelled ($($args)*) (_) ($body) }] $($rest)*)
    };
    (@parse [$($cases:tt)*] cancelled($($args:tt)*) => $body:block $($rest:tt)*) => {
        $crate::__phalanx_select!(@parse [$($cases)* { cancelled ($($args)*) (_) ($body) }] $($rest)*)
    };
    (@parse [$($cases:tt)*] cancelled($($args:tt)*) => $body:expr, $($rest:tt)*) => {
        $crate::__phalanx_select!(@parse [$($cases)* { cancelled ($($args)*) (_) ($body) }] $($rest)*)
    };
    (@parse [$($cases:tt)*] cancelled($($args:tt)*) => $body:expr) => {
        $crate::__phalanx_select!(@parse [$($cases)* { cancelled ($($args)*) (_) ($body) }])
    };
    (@parse [$($cases:tt)*] $($rest:tt)*) => {
        ::std::compile_error!(::std::concat!(
            "select!: expected `recv(receiver) -> result => body`, `send(sender, value) -> result => body`, ",
            "`send_from(sender, slot) -> result => body`, `cancelled(token) => body`, `default => body` or `default(limit) => body`, found `",
            ::std::stringify!($($rest)*),
            "`",
        ))
    };

    (@run [$($cases:tt)*] ($stop:expr) ($default:expr)) => {{
        let chosen = $crate::channel::__select::run(
            $crate::__phalanx_select!(@list $($cases)*),
            $stop,
        );
        $crate::__phalanx_select!(@match chosen ($default) $($cases)*)
    }};

    (@list) => { () };
    (@list { recv ($receiver:expr $(,)?) $result:tt $body:tt } $($cases:tt)*) => {
        (
            $crate::channel::__select::Recv::new(&$receiver),
            $crate::__phalanx_select!(@list $($cases)*),
        )
    };
    (@list { send ($sender:expr, $value:expr $(,)?) $result:tt $body:tt } $($cases:tt)*) => {
        (
            $crate::channel::__select::Send::new(&$sender, $value),
            $crate::__phalanx_select!(@list $($cases)*),
        )
    };
    (@list { send_from ($sender:expr, $slot:expr $(,)?) $result:tt $body:tt } $($cases:tt)*) => {
        (
            $crate::channel::__select::Send::from_slot(&$sender, $slot),
            $crate::__phalanx_select!(@list $($cases)*),
        )
    };
    (@list { cancelled ($token:expr $(,)?) $result:tt $body:tt } $($cases:tt)*) => {
        (
            $crate::channel::__select::Cancelled::new(&$token),
            $crate::__phalanx_select!(@list $($cases)*),
        )
    };
    (@list { $kind:ident ($($args:tt)*) $result:tt $body:tt } $($cases:tt)*) => {
        ::std::compile_error!(::std::concat!(
            "select!: expected `recv(receiver)`, `send(sender, value)`, `send_from(sender, slot)` or `cancelled(token)`, found `",
            ::std::stringify!($kind($($args)*)),
            "`",
        ))
    };

    (@match $chosen:ident ($default:expr)) => {{
        let $crate::channel::__select::NoCase = $chosen;
        $default
    }};
    (@match $chosen:ident $default:tt { $kind:ident $args:tt ($result:pat) ($body:expr) } $($cases:tt)*) => {
        match $chosen {
            $crate::channel::__select::Chosen::This(result) => {
                let $result = result;
                $body
            }
            $crate::channel::__select::Chosen::Later($chosen) => {
                $crate::__phalanx_select!(@match $chosen $default $($cases)*)
            }
        }
    };
}
