//! postroad-locator
