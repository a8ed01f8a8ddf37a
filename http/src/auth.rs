//! Who is calling: passwords, access tokens, and the secrets of which only a hash is kept.

pub mod password;
pub mod token;
