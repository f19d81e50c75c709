//! The SQL of the catalog's file.

pub(super) const FROM_TABLE: &str =
    "FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?";

pub(super) const MOVE_POINTER: &str = "UPDATE iceberg_tables
    SET metadata_location = ?1, previous_metadata_location = ?2
    WHERE catalog_name = ?3 AND table_namespace = ?4 AND table_name = ?5 AND metadata_location = ?2";

pub(super) const ADD_NAMESPACE: &str = "INSERT OR IGNORE INTO iceberg_namespace_properties
    (catalog_name, namespace, property_key, property_value) VALUES (?, ?, 'exists', 'true')";

/// A file that PyIceberg made has no `iceberg_type`; it is left as it is, and PyIceberg ignores ours.
pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS iceberg_tables (
        catalog_name VARCHAR(255) NOT NULL,
        table_namespace VARCHAR(255) NOT NULL,
        table_name VARCHAR(255) NOT NULL,
        metadata_location VARCHAR(1000),
        previous_metadata_location VARCHAR(1000),
        iceberg_type VARCHAR(5),
        PRIMARY KEY (catalog_name, table_namespace, table_name)
    );
    CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
        catalog_name VARCHAR(255) NOT NULL,
        namespace VARCHAR(255) NOT NULL,
        property_key VARCHAR(255) NOT NULL,
        property_value VARCHAR(1000),
        PRIMARY KEY (catalog_name, namespace, property_key)
    );
";
