//! How fast a mail server is asked: budgets, back-offs, a breaker for servers that are down, and turns among those that wait
//! (PROTOCOL.md §5; DESIGN.md INV-4).
//!
//! Time is a [`Moment`], not the clock's: a clock that jumps must neither lengthen a back-off nor end one.

mod back_off;
mod breaker;
mod budget;
mod lanes;
mod rate;

pub use back_off::{BackOff, MOST, back_off};
pub use breaker::{Breaker, Permission, Probing, is_unreachable};
pub use budget::{Budget, Learned, Outcome};
pub use lanes::{Lane, Lanes};
pub use rate::Rate;

/// A monotonic time: the distance from a beginning that the caller chose once.
pub type Moment = std::time::Duration;
