//! Cancelling: a tree of tokens.

mod callback;
mod future;
mod node;
mod reason;
mod registration;
mod token;
mod tree;

pub use self::callback::CallbackState;
pub use self::future::CancelFuture;
pub use self::reason::CancelReason;
pub use self::registration::CancelRegistration;
pub use self::token::CancelToken;
