pub use ::memory::MemoryTask;
