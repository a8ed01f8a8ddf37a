//! What a schedule does about runs that nobody was there for.

use super::named;

named! {
    /// What happens to runs that came due while nothing could run them.
    MissedRuns {
        /// They are left out.
        Skip = "skip",
        /// All of them together run once.
        Once = "once",
        /// Each of them runs.
        All = "all",
    }
}
