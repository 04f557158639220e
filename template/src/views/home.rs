use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, Serialize{{to_schema}})]
pub struct HomeResponse {
    pub app_name: String,
}

impl HomeResponse {
    #[must_use]
    pub fn new(app_name: &str) -> Self {
        Self {
            app_name: app_name.to_string(),
        }
    }
}
