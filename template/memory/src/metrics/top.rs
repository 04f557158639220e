//! The part of the report that says what has held the most memory.

use std::{cmp::Reverse, fmt::Write};

use crate::mebibytes;

/// The most rows of a table.
const ROWS: usize = 10;

/// What has held memory, in bytes.
pub struct Holder {
    pub name: String,
    /// How many requests or jobs there were.
    pub count: u64,
    /// The most that one of them held.
    pub peak: u64,
    /// What all of them have allocated.
    pub allocated: u64,
}

/// A table of those that have held the most, or nothing if there are none.
pub fn table(title: &str, counted: &str, holders: impl Iterator<Item = Holder>) -> String {
    let mut holders: Vec<Holder> = holders.filter(|holder| holder.count > 0).collect();
    holders.sort_by_key(|holder| Reverse(holder.peak));
    if holders.is_empty() {
        return String::new();
    }
    let mut table = format!(
        "\n{:>12}{:>12}{counted:>12}  {title}\n",
        "max peak", "allocated"
    );
    for holder in holders.into_iter().take(ROWS) {
        writeln!(
            table,
            "{:>12}{:>12}{:>12}  {}",
            mebibytes(holder.peak),
            mebibytes(holder.allocated / holder.count),
            holder.count,
            holder.name,
        )
        .expect("infallible");
    }
    table
}
