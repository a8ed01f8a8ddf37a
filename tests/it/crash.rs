//! Whatever line the program dies at, a lead is called once or held with its reason, its ticket ends, and whoever watches
//! it misses nothing.

mod by_people;
mod chaos;
mod panicked;
mod planted;
mod power_cut;
mod scene;
