//! See the crate description; filled in next.
