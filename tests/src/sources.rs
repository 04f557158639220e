use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, Once},
    thread,
};

use crate::Answers;

/// The rendered text files of a set of answers, in memory only.
#[derive(Debug)]
pub struct Sources {
    pub answers: Answers,
    files: BTreeMap<PathBuf, Arc<str>>,
}

impl Sources {
    /// # Panics
    ///
    /// If the answers do not render.
    #[must_use]
    pub fn render(answers: Answers) -> Self {
        keep_temporary_files_in_memory();
        let rendered = answers
            .render()
            .unwrap_or_else(|err| panic!("{answers:?} does not render: {err:#}"));
        let files = rendered
            .files()
            .into_iter()
            .filter_map(|path| {
                let bytes = fs::read(rendered.root().join(&path)).expect("a file");
                Some((path, intern(String::from_utf8(bytes).ok()?)))
            })
            .collect();
        Self { answers, files }
    }

    /// Renders each set of answers, in order, on all cores.
    ///
    /// # Panics
    ///
    /// If one does not render.
    #[must_use]
    pub fn render_all(answers: &[Answers]) -> Vec<Self> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            let parts: Vec<_> = answers
                .chunks(answers.len().div_ceil(threads))
                .map(|part| {
                    scope.spawn(|| part.iter().cloned().map(Self::render).collect::<Vec<_>>())
                })
                .collect();
            parts
                .into_iter()
                .flat_map(|part| part.join().expect("all answers render"))
                .collect()
        })
    }

    /// Every file by its path.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &Arc<str>)> {
        self.files.iter().map(|(path, text)| (path.as_path(), text))
    }

    /// A file's text.
    ///
    /// # Panics
    ///
    /// If the file is missing.
    #[must_use]
    pub fn read(&self, path: impl AsRef<Path>) -> &str {
        let path = path.as_ref();
        self.files
            .get(path)
            .unwrap_or_else(|| panic!("{:?}: no {}", self.answers, path.display()))
    }

    /// Whether there is such a file, or such a folder with files.
    #[must_use]
    pub fn has(&self, path: impl AsRef<Path>) -> bool {
        let path = path.as_ref();
        let path = path.strip_prefix(".").unwrap_or(path);
        self.files.keys().any(|file| file.starts_with(path))
    }
}

/// Keeps equal texts in memory only once: most files are the same in most services.
fn intern(text: String) -> Arc<str> {
    static TEXTS: Mutex<Option<HashSet<Arc<str>>>> = Mutex::new(None);
    let mut texts = TEXTS.lock().expect("no panic while locked");
    let texts = texts.get_or_insert_default();
    if let Some(known) = texts.get(text.as_str()) {
        return Arc::clone(known);
    }
    let text = Arc::from(text);
    texts.insert(Arc::clone(&text));
    text
}

/// Hundreds of renderings create and delete a hundred thousand files, which takes minutes on ext4
/// but seconds on an in-memory file system.
fn keep_temporary_files_in_memory() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() {
            // Fails if another directory has been set already, which is just as good.
            let _ = tempfile::env::override_temp_dir(memory);
        }
    });
}
