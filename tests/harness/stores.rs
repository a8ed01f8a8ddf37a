//! One test text, two stores.

/// Runs each test once on `SQLite` with memory and once on Postgres with Redis. The parameter is a started
/// [`crate::program::Builder`].
///
/// ```text
/// on_both_stores! {
///     async fn a_lead_rings_the_boss(builder) {
///         let apex = builder.start().await;
///     }
/// }
/// ```
#[macro_export]
macro_rules! on_both_stores {
    ($($(#[$meta:meta])* async fn $name:ident($builder:ident) $body:block)+) => {
        $(mod $name {
            use super::*;

            async fn promise($builder: $crate::program::Builder) $body

            $(#[$meta])*
            #[tokio::test]
            async fn on_sqlite() {
                promise($crate::Apex::builder().sqlite()).await;
            }

            $(#[$meta])*
            #[tokio::test]
            async fn on_postgres_and_redis() {
                promise($crate::Apex::builder().postgres().redis()).await;
            }
        })+
    };
}
