mod request_limit;

pub use request_limit::RequestLimit;
