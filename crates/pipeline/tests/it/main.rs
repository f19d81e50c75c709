//! The pipeline over a real table in a directory.

#[cfg(test)]
mod common;
#[cfg(test)]
mod landing;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod replayed_messages;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod shards;
#[cfg(test)]
mod staged;
