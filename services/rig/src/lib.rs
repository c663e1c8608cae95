//! postroad-rig
