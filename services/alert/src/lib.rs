//! postroad-alert
