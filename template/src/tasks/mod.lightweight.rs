pub use memory::MemoryTask;
