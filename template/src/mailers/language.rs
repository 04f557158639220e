use std::future::Future;

use unic_langid::LanguageIdentifier;

/// A language in which there are mails.
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
    /// The first of the wanted languages in which there are mails, English if there are none.
    #[must_use]
    pub fn negotiate(wanted: &[LanguageIdentifier]) -> Self {
        let known = wanted
            .iter()
            .find_map(|wanted| match wanted.language.as_str() {
                "en" => Some(Self::English),
                "de" => Some(Self::German),
                _ => None,
            });
        known.unwrap_or_default()
    }

    /// The language of whoever has sent the request that leads to a mail. English where there is no
    /// request, as in a task.
    #[must_use]
    pub fn current() -> Self {
        CURRENT.try_with(|language| *language).unwrap_or_default()
    }

    /// Does work whose mails are in this language.
    pub fn scope<T>(self, work: impl Future<Output = T>) -> impl Future<Output = T> {
        CURRENT.scope(self, work)
    }
}
