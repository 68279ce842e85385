//! Each fault is written down, with its time, before it is made.
