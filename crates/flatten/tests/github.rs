//! Events of the shape of GitHub's public events: nested actors, repositories and payloads that differ by type.
