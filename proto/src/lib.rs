//! postroad-proto
