import { useEffect } from 'react'
import { LANGUAGES, setLanguage, useLanguage, useTexts } from '../texts'

/** Lets the user choose the language. */
export function Languages() {
  const language = useLanguage()
  const t = useTexts()

  useEffect(() => {
    document.documentElement.lang = language
  }, [language])

  return (
    <nav aria-label={t.languages}>
      {Object.entries(LANGUAGES).map(([code, texts]) => (
        <button
          key={code}
          type="button"
          className="link"
          lang={code}
          aria-current={code === language || undefined}
          onClick={() => setLanguage(code)}
        >
          {texts.language}
        </button>
      ))}
    </nav>
  )
}
