/// The name that tables of the embedded catalog are filed under, as PyIceberg must name the catalog to see them.
pub const DEFAULT_CATALOG_NAME: &str = "calve";

/// A SQLite file.
#[derive(Debug)]
pub struct SqliteCatalog;
