use crate::rest::call::{Call, encoded};
use crate::rest::wire::Config;

/// How a catalog separates the levels of a namespace, when it does not say.
const USUAL_SEPARATOR: &str = "%1F";

/// What a catalog says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    /// The URL that namespaces are below, without a slash at the end.
    base: String,
    /// As it stands in a URL.
    separator: String,
    /// Whether what changes something carries a key, so that the server can tell a repeated request from a new one.
    pub(crate) takes_idempotency_keys: bool,
}

impl Server {
    /// The call that asks for it.
    pub(crate) fn config(uri: &str, warehouse: Option<&str>) -> Call {
        let mut call = Call::get(format!("{}/v1/config", uri.trim_end_matches('/')));
        if let Some(warehouse) = warehouse {
            call = call.with_query("warehouse", warehouse);
        }
        call
    }

    /// What the answer means for a client that was given this URL. The prefix is taken as it is: it comes encoded.
    pub(crate) fn new(given: &str, config: &Config) -> Self {
        let setting = |name: &str| {
            let of = |settings: &std::collections::HashMap<String, Option<String>>| {
                settings.get(name).cloned().flatten()
            };
            of(&config.overrides)
                .or_else(|| of(&config.defaults))
                .filter(|value| !value.is_empty())
        };
        let uri = config.overrides.get("uri").cloned().flatten();
        let uri = uri.unwrap_or_else(|| given.to_owned());
        let prefix = setting("prefix").map_or(String::new(), |prefix| {
            format!("/{}", prefix.trim_matches('/'))
        });
        Self {
            base: format!("{}/v1{prefix}", uri.trim_end_matches('/')),
            separator: setting("namespace-separator").unwrap_or_else(|| USUAL_SEPARATOR.to_owned()),
            takes_idempotency_keys: config.idempotency_key_lifetime.is_some(),
        }
    }

    pub(crate) fn namespaces(&self) -> String {
        format!("{}/namespaces", self.base)
    }

    pub(crate) fn namespace(&self, levels: &[String]) -> String {
        format!("{}/{}", self.namespaces(), self.joined(levels))
    }

    pub(crate) fn tables(&self, levels: &[String]) -> String {
        format!("{}/tables", self.namespace(levels))
    }

    pub(crate) fn table(&self, levels: &[String], name: &str) -> String {
        format!("{}/{}", self.tables(levels), encoded(name))
    }

    /// The namespace as it stands in a path or a query.
    pub(crate) fn joined(&self, levels: &[String]) -> String {
        let levels: Vec<String> = levels.iter().map(|level| encoded(level)).collect();
        levels.join(&self.separator)
    }
}
