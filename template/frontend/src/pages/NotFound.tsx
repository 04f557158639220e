import { Link } from 'react-router'
import { Page } from '../components/Page'
import { useTexts } from '../texts'

export function NotFound() {
  const t = useTexts()

  return (
    <Page title={t.notFoundTitle}>
      <p>{t.notFoundText}</p>
      <p>
        <Link to="/">{t.toHome}</Link>
      </p>
    </Page>
  )
}
