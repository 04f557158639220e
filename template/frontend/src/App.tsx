import { Link, NavLink, Outlet, ScrollRestoration, useNavigate } from 'react-router'
import { appName } from './appName'
import { clearToken, useIsLoggedIn } from './auth/token'

export function App() {
  const isLoggedIn = useIsLoggedIn()
  const navigate = useNavigate()

  async function logOut() {
    // First away from a page that RequireAuth would remember for whoever logs in next.
    await navigate('/', { flushSync: true })
    clearToken()
  }

  return (
    <>
      <a className="skip" href="#main">
        Skip to content
      </a>
      <header>
        <Link className="brand" to="/">
          {appName}
        </Link>
        <nav aria-label="Account">
          {isLoggedIn ? (
            <>
              <NavLink to="/account">Account</NavLink>
              <button type="button" onClick={() => void logOut()}>
                Log out
              </button>
            </>
          ) : (
            <>
              <NavLink to="/login">Log in</NavLink>
              <NavLink to="/register">Register</NavLink>
            </>
          )}
        </nav>
      </header>
      <main id="main" tabIndex={-1}>
        <Outlet />
      </main>
      <ScrollRestoration />
    </>
  )
}
