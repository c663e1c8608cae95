//! postroad-journal
