//! One organisation sees nothing of another, on any path.

mod identity;
mod ownership;
mod table;
mod walls;
