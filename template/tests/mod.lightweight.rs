mod memory;
mod requests;
mod tasks;
mod workers;
