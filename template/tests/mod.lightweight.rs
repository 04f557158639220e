mod environment;
mod logs;
mod memory;
mod requests;
mod tasks;
mod workers;
