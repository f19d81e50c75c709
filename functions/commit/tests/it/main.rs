//! The handler over a real lake in a directory.

#[cfg(test)]
mod cold_start;
#[cfg(test)]
mod handler;
