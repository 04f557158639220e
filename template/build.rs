//! The front end is built into the service. Where it is not built yet, as in a new clone, a page
//! that says so takes its place.

use std::{fs, io, path::Path};

const PAGE: &str = "frontend/dist/index.html";

const NOT_BUILT: &str = r#"<!doctype html>
<html lang="en">
  <head>
    <meta charset="UTF-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="light dark" />
    <title>Front end not built</title>
  </head>
  <body>
    <h1>The front end is not built yet</h1>
    <p>The service is running. To see its pages here, build them and start the service again:</p>
    <pre>npm --prefix frontend ci
npm --prefix frontend run build
cargo loco start</pre>
    <p>
      While you work on them, <code>npm run dev</code> serves them on
      <a href="http://localhost:5173">localhost:5173</a>, and shows each change at once.
    </p>
  </body>
</html>
"#;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={PAGE}");
    let page = Path::new(PAGE);
    if !page.exists() {
        fs::create_dir_all("frontend/dist")?;
        fs::write(page, NOT_BUILT)?;
    }
    if fs::read_to_string(page)? == NOT_BUILT {
        println!("cargo::warning=the front end is not built: `npm --prefix frontend run build`");
    }
    Ok(())
}
