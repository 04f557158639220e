import { Link } from 'react-router'
import { appName } from '../appName'
import { Page } from '../components/Page'
import { useTexts } from '../texts'

export function Home() {
  const t = useTexts()

  return (
    <Page title={t.welcome}>
      <p>{t.homeText(appName)}</p>
      <nav aria-label={t.pages}>
        <ul>
          {/* scaffold:nav */}
          <li><Link to="/account">{t.account}</Link></li>
        </ul>
      </nav>
    </Page>
  )
}
