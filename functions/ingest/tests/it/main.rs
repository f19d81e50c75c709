//! The handler over a real table in a directory.

#[cfg(test)]
mod cold_start;
#[cfg(test)]
mod common;
#[cfg(test)]
mod objects;
#[cfg(test)]
mod staged;
#[cfg(test)]
mod triggers;
