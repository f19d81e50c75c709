use tokio::sync::Mutex;

use crate::rest::call::Call;
use crate::rest::error::RestError;
use crate::rest::http::Http;
use crate::rest::options::{ClientCredentials, Secret};
use crate::rest::wire::GrantedToken;

/// How long before it expires a token is renewed, at most; a fifth of its life when that is shorter.
const MARGIN_MS: i64 = 60_000;

/// A token for all, renewed before it expires.
#[derive(Debug)]
pub(crate) struct TokenSource {
    uri: String,
    credentials: ClientCredentials,
    /// Held while a token is fetched, so that one is fetched at a time.
    at_hand: Mutex<Option<Token>>,
}

#[derive(Debug, Clone)]
struct Token {
    text: Secret,
    number: u64,
    /// Nothing when the server does not say.
    renew_ms: Option<i64>,
}

impl TokenSource {
    pub(crate) fn new(catalog_uri: &str, credentials: ClientCredentials) -> Self {
        let usual = || format!("{}/v1/oauth/tokens", catalog_uri.trim_end_matches('/'));
        Self {
            uri: credentials.token_uri.clone().unwrap_or_else(usual),
            credentials,
            at_hand: Mutex::new(None),
        }
    }

    /// Returns a token that is good for now, and its number.
    pub(crate) async fn token(&self, http: &Http, now_ms: i64) -> Result<(Secret, u64), RestError> {
        let mut at_hand = self.at_hand.lock().await;
        let number = match at_hand.as_ref() {
            Some(token) if token.renew_ms.is_none_or(|renew_ms| now_ms < renew_ms) => {
                return Ok((token.text.clone(), token.number));
            }
            Some(token) => token.number + 1,
            None => 0,
        };
        let granted = self.fetch(http).await?;
        let token = Token {
            text: Secret::new(granted.access_token),
            number,
            renew_ms: granted.expires_in.map(|seconds| renew_ms(now_ms, seconds)),
        };
        *at_hand = Some(token.clone());
        Ok((token.text, number))
    }

    /// Forgets the token of that number. Whoever was refused with it while others renewed it forgets nothing.
    pub(crate) async fn forget(&self, number: u64) {
        if let Some(token) = self.at_hand.lock().await.as_mut()
            && token.number == number
        {
            token.renew_ms = Some(i64::MIN);
        }
    }

    async fn fetch(&self, http: &Http) -> Result<GrantedToken, RestError> {
        let credentials = &self.credentials;
        let mut fields = vec![
            ("grant_type", "client_credentials"),
            ("client_id", &credentials.client_id),
            ("client_secret", credentials.client_secret.expose()),
        ];
        fields.extend(credentials.scope.as_deref().map(|scope| ("scope", scope)));
        let others = credentials.parameters.iter();
        fields.extend(others.map(|(name, value)| (name.as_str(), value.as_str())));
        let call = Call::form(self.uri.clone(), fields);
        let body = http.send(&call).await?;
        serde_json::from_slice(&body).map_err(|error| RestError::Unreadable {
            request: call.name(),
            source: error.into(),
        })
    }
}

fn renew_ms(now_ms: i64, lifetime_s: u64) -> i64 {
    let life_ms = i64::try_from(lifetime_s)
        .unwrap_or(i64::MAX)
        .saturating_mul(1000);
    now_ms.saturating_add(life_ms - MARGIN_MS.min(life_ms / 5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_a_minute_before_it_expires_or_a_fifth_of_its_life() {
        assert_eq!(renew_ms(1_000, 3600), 1_000 + 3_540_000);
        assert_eq!(renew_ms(1_000, 5), 1_000 + 4_000);
        assert_eq!(renew_ms(1_000, 0), 1_000);
        assert_eq!(renew_ms(1_000, u64::MAX), i64::MAX - 60_000 + 1_000);
    }
}
