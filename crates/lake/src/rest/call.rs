use std::fmt::Write as _;

use bytes::Bytes;
use reqwest::Method;
use serde::Serialize;

use crate::rest::error::RestError;

/// A request before anybody has signed it.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn get(url: String) -> Self {
        Self::new(Method::GET, url)
    }

    pub(crate) fn delete(url: String) -> Self {
        Self::new(Method::DELETE, url)
    }

    /// Sends this value as JSON.
    pub(crate) fn post(url: String, value: &impl Serialize) -> Result<Self, RestError> {
        let mut call = Self::new(Method::POST, url).with_header("content-type", "application/json");
        let body = serde_json::to_vec(value).map_err(|error| RestError::NotSent {
            request: call.name(),
            retryable: false,
            source: error.into(),
        })?;
        call.body = Bytes::from(body);
        Ok(call)
    }

    /// Sends these fields as a form.
    pub(crate) fn form<'a>(
        url: String,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let pairs: Vec<String> = fields
            .into_iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        let mut call = Self::new(Method::POST, url)
            .with_header("content-type", "application/x-www-form-urlencoded");
        call.body = Bytes::from(pairs.join("&"));
        call
    }

    fn new(method: Method, url: String) -> Self {
        Self {
            method,
            url,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn with_query(self, name: &str, value: &str) -> Self {
        self.with_encoded_query(name, &encoded(value))
    }

    pub(crate) fn with_encoded_query(mut self, name: &str, value: &str) -> Self {
        let mark = if self.url.contains('?') { '&' } else { '?' };
        self.url.push(mark);
        self.url.push_str(name);
        self.url.push('=');
        self.url.push_str(value);
        self
    }

    /// Method and URL, for people. What stands behind the `?` may be long and may be nobody's business.
    pub(crate) fn name(&self) -> String {
        let url = self.url.split('?').next().unwrap_or_default();
        format!("{} {url}", self.method)
    }
}

/// The text as it may stand in a path or a query: all but letters, digits and `-._~` as `%XX`.
///
/// A space becomes `%20` and never `+`, which signers read in two ways.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}"); // Writing to a string does not fail.
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_stand_in_a_url_is_escaped_byte_by_byte() {
        assert_eq!(
            encoded("arn:aws:s3tables:eu-west-1:1:bucket/b ü+~"),
            "arn%3Aaws%3As3tables%3Aeu-west-1%3A1%3Abucket%2Fb%20%C3%BC%2B~"
        );
    }

    #[test]
    fn the_name_of_a_call_leaves_its_query_out() {
        let call = Call::get("https://c.example/v1/config".to_owned())
            .with_query("warehouse", "a&b")
            .with_query("x", "");
        assert_eq!(call.url, "https://c.example/v1/config?warehouse=a%26b&x=");
        assert_eq!(call.name(), "GET https://c.example/v1/config");
    }
}
