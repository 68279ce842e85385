//! Faults as a seed draws them.
