//! The shape of every aggregate.

/// A consistency boundary: its events are one subject of the journal, and a decision reads nothing else.
pub trait Aggregate {
    /// What is known; `Default` is "nothing happened yet".
    type State: Default + Clone + Send + Sync;
    /// What is asked for.
    type Command: Send + Sync;
    /// What happened.
    type Event: Clone + Send + Sync;
    /// What a decision may know besides the state: time, settings, what exists elsewhere.
    type Facts: Send + Sync;
    /// Why it was not done.
    type Refusal: Send + Sync;

    /// Decides what a command makes happen; no events means that it holds already.
    fn decide(
        state: &Self::State,
        command: &Self::Command,
        facts: &Self::Facts,
    ) -> Result<Vec<Self::Event>, Self::Refusal>;

    /// Folds one event into the state. Total: it never fails, whatever the history.
    fn evolve(state: Self::State, event: &Self::Event) -> Self::State;

    /// Folds events into the state.
    fn fold<'a>(state: Self::State, events: impl IntoIterator<Item = &'a Self::Event>) -> Self::State
    where
        Self::Event: 'a,
    {
        events.into_iter().fold(state, Self::evolve)
    }
}
