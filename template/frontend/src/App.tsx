import { useRef, type MouseEvent } from 'react'
import { Link, NavLink, Outlet, ScrollRestoration, useNavigate } from 'react-router'
import { appName } from './appName'
import { useLogout } from './api/auth'
import { useIsLoggedIn } from './auth/user'

export function App() {
  const isLoggedIn = useIsLoggedIn()
  const navigate = useNavigate()
  const logout = useLogout()
  const main = useRef<HTMLElement>(null)

  function skip(event: MouseEvent) {
    // The address stays: what stands after its # may be the page's, as on the one for a new password.
    event.preventDefault()
    main.current?.focus()
  }

  async function logOut() {
    // First away from a page that RequireAuth would remember for whoever logs in next.
    await navigate('/', { flushSync: true })
    logout.mutate()
  }

  return (
    <>
      <a className="skip" href="#main" onClick={skip}>
        Skip to content
      </a>
      <header>
        <Link className="service" to="/">
          {appName}
        </Link>
        <nav aria-label="Account">
          {isLoggedIn ? (
            <>
              <NavLink to="/account">Your account</NavLink>
              <button type="button" className="link" onClick={() => void logOut()}>
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
        {logout.error && <p className="problems" role="alert">{logout.error.message}</p>}
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        <Outlet />
      </main>
      <ScrollRestoration />
    </>
  )
}
