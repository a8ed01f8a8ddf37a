//! Row security on Postgres, with a login that is no superuser: the net under a forgotten filter.
//!
//! Nothing here goes through the store's statements. The tests enter its roles as it does, with one `BEGIN` text, and ask
//! what an unfiltered statement would see.

mod connections;
mod refusals;
mod roles;
mod session;
mod tenants;
