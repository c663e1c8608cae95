//! postroad-ews
