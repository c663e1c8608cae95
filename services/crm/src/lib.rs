//! postroad-crm
