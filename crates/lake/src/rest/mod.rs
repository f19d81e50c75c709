//! An Iceberg REST catalog: a client for what Calve asks of one, and no more.
//!
//! ```text
//! RestCatalog ─▶ Call ─▶ RestClient ─▶ Authority (token or signature) ─▶ HTTP ─▶ Answer or RestError
//! ```

mod authority;
mod call;
mod catalog;
mod client;
mod error;
mod http;
mod namespaces;
mod options;
mod server;
mod sigv4;
mod token;
mod wire;

pub use catalog::RestCatalog;
pub use error::RestError;
pub use options::{ClientCredentials, Clock, RestAuth, RestOptions, Secret};
pub use sigv4::{SigV4, SigV4Service};
