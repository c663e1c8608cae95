//! postroad
