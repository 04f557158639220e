import { Link } from 'react-router'
import { Page } from '../components/Page'

export function Home() {
  return (
    <Page title="Welcome">
      <p>This is the front end of {import.meta.env.VITE_APP_NAME}.</p>
      <nav aria-label="Pages">
        <ul>
          {/* scaffold:nav */}
          <li><Link to="/account">Your account</Link></li>
        </ul>
      </nav>
    </Page>
  )
}
