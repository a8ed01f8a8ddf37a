//! Passwords: the rules for new ones, and Argon2id hashes of them.
//!
//! One hash takes tens of milliseconds and 19 MiB by intention: callers run these functions on a blocking thread.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error as HashError, PasswordHasher, PasswordVerifier};
use unicode_normalization::UnicodeNormalization;

/// The fewest characters of a password.
pub const MIN_CHARS: usize = 8;
/// The most characters of a password.
pub const MAX_CHARS: usize = 200;

/// Stands in for an unknown user's hash, so that both kinds of "no" take the same time. Nobody's password.
const DUMMY: &str = "$argon2id$v=19$m=19456,t=2,p=1$WcorSstIyfZLnz6T0hDiGw$sjE9FQ6uTjfMYjwG2OBEAHHOWO6LqfOYetV74r1bxvI";

/// Why a password was not hashed.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Fewer than [`MIN_CHARS`] characters.
    #[error("password is shorter than {MIN_CHARS} characters")]
    TooShort,
    /// More than [`MAX_CHARS`] characters.
    #[error("password is longer than {MAX_CHARS} characters")]
    TooLong,
    /// Nothing but one repeated character, or nothing but spaces.
    #[error("password is one repeated character")]
    Repeated,
    /// The hash function failed.
    #[error("password could not be hashed")]
    Hash(#[source] HashError),
}

/// May this become somebody's password?
///
/// # Errors
///
/// `TooShort`, `TooLong` or `Repeated`.
pub fn check_rules(password: &str) -> Result<(), PasswordError> {
    let count = password.chars().count();
    if count < MIN_CHARS {
        return Err(PasswordError::TooShort);
    }
    if count > MAX_CHARS {
        return Err(PasswordError::TooLong);
    }
    let mut characters = password.chars();
    let first = characters.next();
    if characters.all(|character| Some(character) == first) {
        return Err(PasswordError::Repeated);
    }
    Ok(())
}

/// Hashes a new password into a PHC string (`$argon2id$…`), with a salt of its own.
///
/// # Errors
///
/// The rules' refusals; `Hash` when the machine gives no random salt.
pub fn hash(password: &str) -> Result<String, PasswordError> {
    check_rules(password)?;
    let hashed = Argon2::default().hash_password(typed(password).as_bytes()).map_err(PasswordError::Hash)?;
    Ok(hashed.to_string())
}

/// Is this the password behind `stored`? With no stored hash (unknown user) it takes as long and says no.
pub fn verify(password: &str, stored: Option<&str>) -> bool {
    let known = stored.and_then(|stored| PasswordHash::new(stored).ok());
    let is_known = known.is_some();
    let Some(expected) = known.or_else(|| PasswordHash::new(DUMMY).ok()) else { return false };
    let fits = Argon2::default().verify_password(typed(password).as_bytes(), &expected).is_ok();
    fits && is_known
}

/// The same letters are the same password, however a keyboard composes `ā`.
fn typed(password: &str) -> String {
    password.nfkc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_verifies_against_its_own_hash_only() {
        let stored = hash("correct horse").unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(verify("correct horse", Some(&stored)));
        assert!(!verify("correct horsf", Some(&stored)));
        assert_ne!(stored, hash("correct horse").unwrap(), "each hash has a salt of its own");
    }

    #[test]
    fn an_unknown_user_costs_the_same_hash_and_never_gets_in() {
        assert!(!verify("nobody's password", None));
        assert!(!verify("nobody's password", Some("not a hash")));
        let dummy = PasswordHash::new(DUMMY).unwrap();
        let real = hash("correct horse").unwrap();
        let real = PasswordHash::new(&real).unwrap();
        assert_eq!(dummy.algorithm, real.algorithm);
        assert_eq!(dummy.params, real.params);
        assert_eq!(dummy.version, real.version);
        assert!(dummy.hash.is_some() && dummy.salt.is_some());
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert!(matches!(check_rules("1234567"), Err(PasswordError::TooShort)));
        assert!(check_rules("māhanga1").is_ok());
        assert!(check_rules(&"ab".repeat(100)).is_ok());
        assert!(matches!(check_rules(&"ab".repeat(101)), Err(PasswordError::TooLong)));
        assert!(matches!(check_rules("        "), Err(PasswordError::Repeated)));
        assert!(matches!(hash("short"), Err(PasswordError::TooShort)));
    }

    #[test]
    fn composed_and_decomposed_letters_are_the_same_password() {
        let stored = hash("kerer\u{16B} pass").unwrap();
        assert!(verify("kereru\u{304} pass", Some(&stored)));
    }
}
