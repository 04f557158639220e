use loco_rs::prelude::*;

use crate::openapi;

const DEFAULT_FILE: &str = "openapi.json";

/// Writes the description of the API to a file.
pub struct OpenApi;

#[async_trait]
impl Task for OpenApi {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "openapi".to_string(),
            detail: format!("Write the description of the API: file:<path> ({DEFAULT_FILE})"),
        }
    }

    async fn run(&self, _ctx: &AppContext, vars: &task::Vars) -> Result<()> {
        let file = vars.cli_arg("file").map_or(DEFAULT_FILE, |file| file);
        let document = openapi::document().to_pretty_json()? + "\n";
        std::fs::write(file, document)
            .map_err(|err| Error::Message(format!("{file} cannot be written: {err}")))?;
        println!("wrote {file}");
        Ok(())
    }
}
