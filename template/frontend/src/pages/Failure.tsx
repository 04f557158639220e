import { Page } from '../components/Page'
import { useTexts } from '../texts'

/** Shown instead of a page that failed. The router logs the error to the console. */
export function Failure() {
  const t = useTexts()

  return (
    <main>
      <Page title={t.failureTitle}>
        <p role="alert">{t.failureText}</p>
        <p>
          <a href="/">{t.toHome}</a>
        </p>
      </Page>
    </main>
  )
}
