import { useRef, type MouseEvent } from 'react'
import { Link, NavLink, Outlet, ScrollRestoration, useNavigate } from 'react-router'
import { appName } from './appName'
import { useLogout } from './api/auth'
import { useIsLoggedIn } from './auth/user'
import { Languages } from './components/Languages'
import { Problems } from './components/Problems'
import { useTexts } from './texts'

export function App() {
  const isLoggedIn = useIsLoggedIn()
  const navigate = useNavigate()
  const logout = useLogout()
  const t = useTexts()
  const main = useRef<HTMLElement>(null)

  function skip(event: MouseEvent) {
    // The address stays the same: its fragment may belong to the page, as for a password reset.
    event.preventDefault()
    main.current?.focus()
  }

  async function logOut() {
    // Leave first: otherwise RequireAuth would send whoever logs in next back to this page.
    await navigate('/', { flushSync: true })
    logout.mutate()
  }

  return (
    <>
      <a className="skip" href="#main" onClick={skip}>
        {t.skip}
      </a>
      <header>
        <Link className="service" to="/">
          {appName}
        </Link>
        <nav aria-label={t.navigation}>
          {isLoggedIn ? (
            <>
              <NavLink to="/account">{t.account}</NavLink>
              <button type="button" className="link" onClick={() => void logOut()}>
                {t.logOut}
              </button>
            </>
          ) : (
            <>
              <NavLink to="/login">{t.logIn}</NavLink>
              <NavLink to="/register">{t.register}</NavLink>
            </>
          )}
        </nav>
        {logout.error && <Problems error={logout.error} />}
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        <Outlet />
      </main>
      <footer>
        <Languages />
      </footer>
      <ScrollRestoration />
    </>
  )
}
