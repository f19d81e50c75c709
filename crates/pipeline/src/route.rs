//! The rules by which an event goes to a table.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use flatten::Finder;
use lake::TableName;
use sha2::{Digest as _, Sha256};

use crate::{
    Settings,
    settings::{RouteSettings, beside},
};

/// A value of more characters than this becomes no name.
const MAX_VALUE_CHARS: usize = 64;

/// Where an event goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Way {
    /// To the default table.
    Default,
    /// To this table, which the settings name.
    Named(TableName),
    /// To the table of this name, if data may write to it.
    OfData(TableName),
}

/// The routes of the settings.
#[derive(Debug)]
pub(crate) struct Routes {
    finder: Finder,
    default: TableName,
    to: HashMap<String, Way>,
    tables: BTreeMap<String, Way>,
    /// The names, in lower case, of all tables that the settings name.
    taken: BTreeSet<String>,
    max_tables: u32,
    fingerprint: String,
}

impl Routes {
    /// Those of the settings; none when all events go to the default table.
    pub(crate) fn new(settings: &Settings, default: &TableName) -> Option<Self> {
        let RouteSettings {
            tables,
            to,
            max_tables,
            ..
        } = &settings.routes;
        let finder = Finder::new(settings.routes.pointer()?);
        let way = |name: &String| match beside(default, name) {
            Some(table) if table != *default => Way::Named(table),
            _ => Way::Default,
        };
        let names = tables.iter().chain(to.values()).map(String::as_str);
        let names = names.chain([default.name()]);
        Some(Self {
            finder,
            to: to
                .iter()
                .map(|(value, name)| (value.clone(), way(name)))
                .collect(),
            tables: tables
                .iter()
                .map(|name| (name.clone(), way(name)))
                .collect(),
            taken: names.map(str::to_ascii_lowercase).collect(),
            max_tables: *max_tables,
            fingerprint: fingerprint(&settings.routes, default),
            default: default.clone(),
        })
    }

    /// Where these bytes go.
    pub(crate) fn way_of(&self, event: &[u8]) -> Way {
        match self.finder.text(event) {
            Some(value) => self.way_of_value(&value),
            None => Way::Default,
        }
    }

    fn way_of_value(&self, value: &str) -> Way {
        if let Some(way) = self.to.get(value) {
            return way.clone();
        }
        let Some(name) = table_name_of(value) else {
            return Way::Default;
        };
        if let Some(way) = self.tables.get(&name) {
            return way.clone();
        }
        // No table whose name differs from that of another one in case alone: some catalogs know no difference.
        if self.max_tables == 0 || self.taken.contains(&name) {
            return Way::Default;
        }
        beside(&self.default, &name).map_or(Way::Default, Way::OfData)
    }

    /// Data makes no table when the namespace holds this many.
    pub(crate) fn max_tables(&self) -> usize {
        usize::try_from(self.max_tables).unwrap_or(usize::MAX)
    }

    /// Another one for other routes: what is known of a batch is known under the routes that it came under.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// The name that a value of at most 64 characters becomes: in ASCII lower case, each scalar but `[a-z0-9_]` one `_`, none at the
/// ends; none when nothing is left.
pub(crate) fn table_name_of(value: &str) -> Option<String> {
    if value.chars().nth(MAX_VALUE_CHARS).is_some() {
        return None;
    }
    let name = value
        .chars()
        .map(|scalar| match scalar.to_ascii_lowercase() {
            kept @ ('a'..='z' | '0'..='9' | '_') => kept,
            _ => '_',
        });
    let name: String = name.collect();
    let name = name.trim_matches('_');
    (!name.is_empty()).then(|| name.to_owned())
}

fn fingerprint(routes: &RouteSettings, default: &TableName) -> String {
    use std::fmt::Write as _;
    // Serialising a struct of plain values cannot fail, and its maps are in order.
    let rules = serde_json::to_vec(&(routes, default)).unwrap_or_default();
    let hash = Sha256::digest(rules);
    hash[..8].iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}"); // Writing to a string cannot fail.
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(change: impl FnOnce(&mut RouteSettings)) -> Option<Routes> {
        let mut settings = Settings::default();
        settings.routes.field = Some("type".to_owned());
        change(&mut settings.routes);
        Routes::new(&settings, &settings.table_name().unwrap())
    }

    #[track_caller]
    fn check(routes: &Routes, value: &str, expected: &str) {
        let event = serde_json::json!({ "type": value }).to_string();
        let found = match routes.way_of(event.as_bytes()) {
            Way::Default => "default".to_owned(),
            Way::Named(table) => table.to_string(),
            Way::OfData(table) => format!("{table} of data"),
        };
        assert_eq!(found, expected, "{value}");
    }

    #[track_caller]
    fn check_name(value: &str, expected: Option<&str>) {
        assert_eq!(table_name_of(value).as_deref(), expected, "{value}");
    }

    #[test]
    fn a_value_becomes_a_name_without_dots_or_not_at_all() {
        check_name("click", Some("click"));
        check_name("Page View", Some("page_view"));
        check_name("com.acme/Order-1", Some("com_acme_order_1"));
        check_name("../x", Some("x"));
        check_name("日本 x", Some("x"));
        check_name("'; drop table x; --", Some("drop_table_x"));
        for nothing in [
            "",
            "..",
            "日本",
            "_",
            "\0",
            &"a".repeat(65),
            &"é".repeat(10_000),
        ] {
            check_name(nothing, None);
        }
        check_name(&"a".repeat(64), Some(&"a".repeat(64)));
    }

    #[test]
    fn a_value_goes_where_the_settings_say_and_else_to_the_default_table() {
        let routes = routes(|routes| {
            routes.tables = vec!["clicks".to_owned()];
            routes.to.insert("page_view".to_owned(), "Views".to_owned());
            routes.to.insert(String::new(), "events".to_owned());
        });
        let routes = routes.unwrap();
        check(&routes, "clicks", "analytics.clicks");
        check(&routes, "Clicks!", "analytics.clicks");
        check(&routes, "page_view", "analytics.Views");
        for other in ["Page_view", "views", "orders", "EVENTS", "a.b", ""] {
            check(&routes, other, "default");
        }
        for event in ["{}", "oops", r#"{"type":7}"#, r#"["type","clicks"]"#] {
            assert_eq!(routes.way_of(event.as_bytes()), Way::Default);
        }
    }

    #[test]
    fn data_names_tables_of_its_own_only_where_it_may_and_none_that_differs_in_case_alone() {
        let routes = routes(|routes| {
            routes.max_tables = 3;
            routes.to.insert("page_view".to_owned(), "Views".to_owned());
        });
        let routes = routes.unwrap();
        check(&routes, "orders", "analytics.orders of data");
        check(&routes, "other.orders", "analytics.other_orders of data");
        check(&routes, "views", "default");
        check(&routes, "Events", "default");
    }

    #[test]
    fn without_anywhere_to_go_there_are_no_routes() {
        assert!(routes(|_| {}).is_none());
        assert!(routes(|routes| routes.max_tables = 1).is_some());
    }

    #[test]
    fn other_routes_have_another_fingerprint() {
        let of = |max_tables| {
            routes(|routes| routes.max_tables = max_tables)
                .unwrap()
                .fingerprint
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
