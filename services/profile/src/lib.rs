//! postroad-profile
