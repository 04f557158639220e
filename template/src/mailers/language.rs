use std::future::Future;

use unic_langid::LanguageIdentifier;

/// A language in which emails are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Language {
    #[default]
    English,
    German,
}

tokio::task_local! {
    static CURRENT: Language;
}

impl Language {
    /// Picks the first supported language, or English if there is none.
    #[must_use]
    pub fn negotiate(preferred: &[LanguageIdentifier]) -> Self {
        let supported = preferred
            .iter()
            .find_map(|preferred| match preferred.language.as_str() {
                "en" => Some(Self::English),
                "de" => Some(Self::German),
                _ => None,
            });
        supported.unwrap_or_default()
    }

    /// The language of the current request's sender, or English outside a request, such as in a
    /// task.
    #[must_use]
    pub fn current() -> Self {
        CURRENT.try_with(|language| *language).unwrap_or_default()
    }

    /// Runs the work with this as the current language.
    pub fn scope<T>(self, work: impl Future<Output = T>) -> impl Future<Output = T> {
        CURRENT.scope(self, work)
    }
}
