use std::collections::{BTreeSet, HashMap};

use serde::de::DeserializeOwned;

use crate::name::TableName;
use crate::rest::call::Call;
use crate::rest::client::RestClient;
use crate::rest::error::RestError;
use crate::rest::wire::{CreateNamespace, LoadedNamespace, Namespaces, Tables};

/// How deep namespaces may lie in each other.
const MAX_LEVELS: usize = 16;

/// Makes the namespace, and those that it lies in, where they are absent.
pub(crate) async fn make(client: &RestClient, levels: &[String]) -> Result<(), RestError> {
    let server = client.server().await?;
    for n_levels in 1..=levels.len() {
        let namespace = &levels[..n_levels];
        let look = Call::get(server.namespace(namespace));
        match client.read::<serde::de::IgnoredAny>(look).await {
            Ok(_) => continue,
            Err(error) if error.is_absent() => {}
            Err(error) => return Err(error),
        }
        let body = CreateNamespace {
            namespace,
            properties: HashMap::new(),
        };
        let made = client.change(Call::post(server.namespaces(), &body)?).await;
        match made {
            Err(error) if error.status() != Some(409) => return Err(error),
            _ => {} // It is there, by us or by somebody else.
        }
    }
    Ok(())
}

/// Returns the location that the namespace gives its tables, if it is there and says one.
pub(crate) async fn location(
    client: &RestClient,
    levels: &[String],
) -> Result<Option<String>, RestError> {
    let server = client.server().await?;
    let look = Call::get(server.namespace(levels));
    match client.read::<LoadedNamespace>(look).await {
        Ok(namespace) => Ok(namespace
            .properties
            .and_then(|mut properties| properties.remove("location"))),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the names of all tables of all namespaces. Those whose names are none of ours are left out.
pub(crate) async fn all_tables(client: &RestClient) -> Result<BTreeSet<TableName>, RestError> {
    let server = client.server().await?;
    let mut found = BTreeSet::new();
    let mut open = children(client, &[]).await?;
    let mut known: BTreeSet<Vec<String>> = open.iter().cloned().collect();
    while let Some(namespace) = open.pop() {
        let tables = pages(
            client,
            Call::get(server.tables(&namespace)),
            |page: Tables| (page.identifiers, page.next_page_token),
        );
        for table in tables.await? {
            found.extend(TableName::new(table.namespace, table.name));
        }
        for child in children(client, &namespace).await? {
            if known.insert(child.clone()) {
                open.push(child);
            }
        }
    }
    Ok(found)
}

/// The namespaces directly below this one; below none: those at the top.
async fn children(client: &RestClient, parent: &[String]) -> Result<Vec<Vec<String>>, RestError> {
    if parent.len() == MAX_LEVELS {
        return Ok(Vec::new());
    }
    let server = client.server().await?;
    let mut call = Call::get(server.namespaces());
    if !parent.is_empty() {
        call = call.with_encoded_query("parent", &server.joined(parent));
    }
    let listed = pages(client, call, |page: Namespaces| {
        (page.namespaces, page.next_page_token)
    });
    let listed = match listed.await {
        // Catalogs without nested namespaces say so in one of these ways.
        Err(error)
            if !parent.is_empty() && matches!(error.status(), Some(400 | 404..=406 | 501)) =>
        {
            Vec::new()
        }
        listed => listed?,
    };
    // Others ignore the question and list everything again.
    let is_child =
        |levels: &Vec<String>| levels.len() == parent.len() + 1 && levels.starts_with(parent);
    Ok(listed.into_iter().filter(is_child).collect())
}

/// Asks for page after page, and returns what is on all of them.
async fn pages<P: DeserializeOwned, T>(
    client: &RestClient,
    call: Call,
    open: impl Fn(P) -> (Vec<T>, Option<String>),
) -> Result<Vec<T>, RestError> {
    let mut found = Vec::new();
    let mut next = call.clone();
    let mut last_token = None;
    loop {
        let (items, token) = open(client.read(next).await?);
        found.extend(items);
        let token = token.filter(|token| !token.is_empty());
        let Some(page) = &token else {
            return Ok(found);
        };
        if token == last_token {
            return Err(RestError::Unreadable {
                request: call.name(),
                source: "its page names itself as the next one".into(),
            });
        }
        next = call.clone().with_query("pageToken", page);
        last_token = token;
    }
}
