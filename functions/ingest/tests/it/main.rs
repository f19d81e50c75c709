//! The handler over a real table in a directory.

#[cfg(test)]
mod common;
#[cfg(test)]
mod triggers;
