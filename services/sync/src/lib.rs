//! postroad-sync
