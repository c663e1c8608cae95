//! Everything goes wrong while mail flows both ways, and afterwards every invariant of the design is checked.
//!
//! | module | what it holds |
//! |---|---|
//! | `plan` | what happens when: a pure function of a seed |
//! | `fault` | every fault of the fake Exchange, so that each is played |
//! | `play` | carries a plan out, and calms everything down afterwards |
//! | `evidence`, `verdict` | what is there then, and whether it keeps INV-1 to INV-10 |
//!
//! A seed reproduces the plan, not the instant at which each process is hit: a seed that failed is to be run several times.
#![expect(clippy::print_stdout, reason = "a long run tells how far it is")]

pub mod evidence;
pub mod fault;
pub mod plan;
pub mod play;
pub mod verdict;

/// Why a run did not get to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stage.
    #[error(transparent)]
    Stage(#[from] system::Error),
    /// Something else, said by whoever had it.
    #[error("{0}")]
    Other(String),
    /// An invariant does not hold.
    #[error(transparent)]
    Broken(#[from] postroad_core::invariant::Broken),
}

/// Anything that can be said.
pub(crate) fn other(error: impl std::fmt::Display) -> Error {
    Error::Other(error.to_string())
}
