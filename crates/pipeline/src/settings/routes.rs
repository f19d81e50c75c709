//! Which table an event goes to, as `calve.toml` says it.

use std::collections::{BTreeMap, BTreeSet};

use flatten::Pointer;
use lake::TableName;
use serde::{Deserialize, Serialize};

use super::{Settings, SettingsError, check::Wrong};
use crate::route::table_name_of;

/// More tables than this are nobody's intention.
const MAX_TABLES: u32 = 10_000;

/// The `[routes]` of `calve.toml`. What they do not send elsewhere goes to the table of `[table]`, whose namespace and shape the
/// other tables have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RouteSettings {
    /// Where an event says what it is: a pointer, or the name of a key. Default: none, and no routes.
    pub field: Option<String>,
    /// Tables, without their namespace, that events go to whose value becomes their name. Default: none.
    pub tables: Vec<String>,
    /// For values the tables, without their namespace, that their events go to. Default: none.
    pub to: BTreeMap<String, String>,
    /// Other values make tables of their name while the namespace holds fewer tables than this. Default: 0.
    pub max_tables: u32,
}

impl RouteSettings {
    /// Where an event says what it is; none when all events go to one table.
    pub(crate) fn pointer(&self) -> Option<Pointer> {
        let field = self.field.as_deref().filter(|_| self.leads_anywhere())?;
        pointer_of(field)
    }

    fn leads_anywhere(&self) -> bool {
        !self.tables.is_empty() || !self.to.is_empty() || self.max_tables > 0
    }

    /// Checks what the types cannot.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        if let Some(field) = self
            .field
            .as_ref()
            .filter(|field| pointer_of(field).is_none())
        {
            return Err(Wrong::new("routes.field", field.clone()));
        }
        let mut names = BTreeSet::new();
        for name in &self.tables {
            let expected = if name.contains('.') {
                "write names without the namespace, which is that of `table.name`".to_owned()
            } else if let Some(becomes) = table_name_of(name).filter(|becomes| becomes != name) {
                format!("write `{becomes}`: that is what values become before they are compared")
            } else if !names.insert(name) {
                "write each table once".to_owned()
            } else if table_name_of(name).is_some() {
                continue;
            } else {
                "write names of at most 64 letters, digits and `_`".to_owned()
            };
            return Err(Wrong {
                key: "routes.tables",
                value: name.clone(),
                expected: Some(expected),
            });
        }
        // Any namespace will do to see whether a name is one.
        let is_name = |name: &str| TableName::new(vec!["a".to_owned()], name.to_owned()).is_ok();
        if let Some(name) = self.to.values().find(|name| !is_name(name)) {
            return Err(Wrong::new("routes.to", name.clone()));
        }
        if self.max_tables > MAX_TABLES {
            return Err(Wrong::new("routes.max_tables", self.max_tables.to_string()));
        }
        Ok(())
    }
}

impl Settings {
    /// Checks what routes ask of other settings.
    pub(super) fn check_routes(&self) -> Result<(), SettingsError> {
        if self.routes.leads_anywhere() && self.routes.field.is_none() {
            return Err(SettingsError::Missing {
                name: "routes.field",
                because: "when there are other routes",
                expected: super::check::expected_of("routes.field").to_owned(),
            });
        }
        if self.routes.max_tables > 0 && !self.table.create {
            return Err(SettingsError::Value {
                name: "routes.max_tables".to_owned(),
                value: self.routes.max_tables.to_string(),
                expected: "write `0`, or set `table.create` to `true`".to_owned(),
            });
        }
        Ok(())
    }

    /// The tables that routes name, without the default one, in order.
    ///
    /// # Errors
    ///
    /// When the default table's name cannot be read.
    pub fn routed_tables(&self) -> Result<BTreeSet<TableName>, SettingsError> {
        let default = self.table_name()?;
        if self.routes.pointer().is_none() {
            return Ok(BTreeSet::new());
        }
        let names = self.routes.tables.iter().chain(self.routes.to.values());
        let tables = names.filter_map(|name| beside(&default, name));
        Ok(tables.filter(|table| *table != default).collect())
    }
}

/// The table of this name in the namespace of another one; none when it is no name.
pub(crate) fn beside(table: &TableName, name: &str) -> Option<TableName> {
    TableName::new(table.namespace().to_vec(), name.to_owned()).ok()
}

/// A pointer, or the name of a key of the event.
fn pointer_of(field: &str) -> Option<Pointer> {
    if field.starts_with('/') {
        return Pointer::parse(field);
    }
    let keys = vec![field.to_owned()];
    (!field.is_empty()).then(|| Pointer::from_keys(keys))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(section: &str) -> Result<Settings, SettingsError> {
        let text = format!("[routes]\n{section}");
        Settings::from_parts(&BTreeMap::new(), Some((Path::new("calve.toml"), &text)))
    }

    #[track_caller]
    fn check_error(section: &str, message: &str, hint: &str) {
        let error = read(section).unwrap_err();
        let found = (error.to_string(), error.hint().unwrap_or_default());
        assert_eq!(found, (message.to_owned(), hint.to_owned()));
    }

    #[test]
    fn the_tables_that_routes_name_are_beside_the_default_one() {
        let routes =
            "field = \"type\"\ntables = [\"clicks\"]\nto = { v = \"Views-1\", e = \"events\" }";
        let tables = read(routes).unwrap().routed_tables().unwrap();
        let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["analytics.Views-1", "analytics.clicks"]);
    }

    #[test]
    fn routes_can_be_set_by_variables() {
        let variables = [
            ("CALVE_ROUTES_FIELD", "/meta/type"),
            ("CALVE_ROUTES_TABLES", "clicks, orders"),
            ("CALVE_ROUTES_TO", r#"{ "page.view" = "views" }"#),
            ("CALVE_ROUTES_MAX_TABLES", "12"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = Settings::from_parts(&BTreeMap::from(variables), None).unwrap();
        let routes = settings.routes;
        assert_eq!(routes.pointer().unwrap().keys(), ["meta", "type"]);
        assert_eq!((routes.tables.len(), routes.max_tables), (2, 12));
        assert_eq!(routes.to["page.view"], "views");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_would_be_right() {
        check_error(
            "field = \"/a~2\"",
            "`routes.field` in `calve.toml` cannot be `/a~2`",
            "write the name of a key like `event_type`, or an RFC 6901 pointer like `/meta/type`",
        );
        for (name, hint) in [
            (
                "shop.clicks",
                "write names without the namespace, which is that of `table.name`",
            ),
            (
                "Clicks",
                "write `clicks`: that is what values become before they are compared",
            ),
            (
                "../",
                "write names without the namespace, which is that of `table.name`",
            ),
            ("", "write names of at most 64 letters, digits and `_`"),
        ] {
            check_error(
                &format!("field = \"type\"\ntables = [\"{name}\"]"),
                &format!("`routes.tables` in `calve.toml` cannot be `{name}`"),
                hint,
            );
        }
        check_error(
            "field = \"type\"\ntables = [\"a\", \"b\", \"a\"]",
            "`routes.tables` in `calve.toml` cannot be `a`",
            "write each table once",
        );
        check_error(
            "field = \"type\"\nto = { a = \"shop.clicks\" }",
            "`routes.to` in `calve.toml` cannot be `shop.clicks`",
            "write names of tables without their namespace, like `{ page_view = \"views\" }`",
        );
        check_error(
            "tables = [\"clicks\"]",
            "`routes.field` has to be set when there are other routes",
            "write the name of a key like `event_type`, or an RFC 6901 pointer like `/meta/type`",
        );
        check_error(
            "field = \"type\"\nmax_tables = 3\n[table]\ncreate = false",
            "`routes.max_tables` cannot be `3`",
            "write `0`, or set `table.create` to `true`",
        );
    }
}
