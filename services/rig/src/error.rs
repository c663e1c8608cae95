//! Why a role cannot start or go on. Each has its row of the fault table.

use postroad_core::fault::{Code, Report};

/// Why a role cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is not usable.
    #[error("{0}")]
    Configuration(String),
    /// The journal is not usable.
    #[error("the journal is not usable")]
    Journal(#[from] postroad_journal::Error),
    /// A listener could not be opened, or failed.
    #[error("{what}")]
    Listen {
        /// Which listener.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A supervised task failed.
    #[error("the task {task} failed: {reason}")]
    Task {
        /// Which.
        task: &'static str,
        /// Why.
        reason: String,
    },
    /// A fault that a role met while starting.
    #[error("{}", .0.sentence())]
    Fault(Report),
}

impl Error {
    /// The row of the fault table, and what was seen.
    pub fn report(&self) -> Report {
        match self {
            Self::Configuration(detail) => Report::new(Code::ConfigurationInvalid, detail.clone()),
            Self::Journal(error) => error.report(),
            Self::Listen { what, source } => Report::new(Code::ConfigurationInvalid, format!("{what}: {source}")),
            Self::Task { .. } => Report::new(Code::Internal, self.to_string()),
            Self::Fault(report) => report.clone(),
        }
    }
}
