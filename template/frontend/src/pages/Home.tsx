import { Link } from 'react-router'
import { appName } from '../appName'
import { Page } from '../components/Page'

export function Home() {
  return (
    <Page title="Welcome">
      <p>This is the front end of {appName}.</p>
      <nav aria-label="Pages">
        <ul>
          {/* scaffold:nav */}
          <li><Link to="/account">Your account</Link></li>
        </ul>
      </nav>
    </Page>
  )
}
