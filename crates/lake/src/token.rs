use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What makes a source batch recognisable: the same batch for the same table always has the same token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Token([u8; 16]);

impl Token {
    /// Returns the first 16 bytes of SHA-256 over the table, the kind of source and the identity of the batch.
    ///
    /// Each is preceded by its length, so that no two triples have the same bytes.
    pub fn new(table_uuid: Uuid, kind: &str, identity: &[u8]) -> Self {
        let mut hash = Sha256::new();
        for piece in [table_uuid.as_bytes().as_slice(), kind.as_bytes(), identity] {
            hash.update((piece.len() as u64).to_le_bytes());
            hash.update(piece);
        }
        let mut token = [0; 16];
        token.copy_from_slice(&hash.finalize()[..16]);
        Self(token)
    }

    /// The 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let text: String = digits
            .map(|digit| char::from(DIGITS[usize::from(digit)]))
            .collect();
        f.write_str(&text)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({self})")
    }
}

impl FromStr for Token {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not a token of 32 hex digits");
        if text.len() != 32 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut token = [0; 16];
        for (i, byte) in token.iter_mut().enumerate() {
            let pair = &text[2 * i..2 * i + 2];
            if !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(wrong());
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(token))
    }
}

impl TryFrom<String> for Token {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Token> for String {
    fn from(token: Token) -> Self {
        token.to_string() // A ledger writes some hundred of them with each commit.
    }
}

/// Names what one invocation writes for one source batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchId {
    /// The same whenever the batch is delivered.
    pub token: Token,
    /// Random per invocation, so that two deliveries of one batch never write to one name.
    pub attempt: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_prints_as_32_hex_digits_and_reads_back() {
        let token = Token::new(Uuid::nil(), "sqs", b"message-1");
        let text = token.to_string();
        assert_eq!(text.len(), 32);
        assert_eq!(text.parse::<Token>(), Ok(token));
        assert!("xyz".parse::<Token>().is_err());
        assert!("+1".repeat(16).parse::<Token>().is_err());
    }

    #[test]
    fn the_table_the_kind_and_the_identity_all_count() {
        let token =
            |table, kind, identity: &[u8]| Token::new(Uuid::from_u128(table), kind, identity);
        let base = token(1, "sqs", b"a");
        assert_eq!(base, token(1, "sqs", b"a"));
        assert_ne!(base, token(2, "sqs", b"a"));
        assert_ne!(base, token(1, "http", b"a"));
        assert_ne!(base, token(1, "sqs", b"b"));
        assert_ne!(token(1, "sqs", b"a"), token(1, "sq", b"sa"));
    }
}
